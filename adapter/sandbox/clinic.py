"""A small EHR: it sends charges over MLLP, takes postings over MLLP, and shows a chart on which payments appear.

It speaks FHIR as well: `invoices.py` sends, `fhir_server.py` takes postings, and both share charts and log with this.

POST /clinic/send?to=HOST:PORT&name=    send the body (ER7 text, or a multipart upload) and put it on its chart
GET  /clinic/charts.json, /clinic/chart/<account>.json
POST /_control/clinic/next?answer=AE|AR|CA|silence|close|wrong-msa2|late&count=&seconds=   for the next postings:
     AE, AR, close: not applied. CA, silence, wrong-msa2, late: applied, and then answered so, or not at all
POST /_control/clinic/send-to?to=HOST:PORT      where charges go from now on
GET  /_control/clinic/received                  every posting that came, with what was answered
"""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from . import wire
from .chart import Charts
from .faults import Faults
from .fhir_auth import Tokens
from .fhir_charts import FhirCharts
from .fhir_control import FhirControl
from .fhir_server import FhirServer
from .fhir_store import Store
from .forms import uploaded
from .ids import Ids
from .invoices import Invoices
from .outgoing import split_address
from .pages import page
from .patients import PATIENTS


class Clinic:
    """The charts, both directions of MLLP and of FHIR, and the pages."""

    def __init__(
        self, ids: Ids, send_to: tuple[str, int] | None, tokens: Tokens, invoices_to: str, invoice_token: str
    ) -> None:
        self.ids = ids
        self.send_to = send_to
        self.charts = Charts()
        self.charts.charts.update({account: patient.chart() for account, patient in PATIENTS.items()})
        self.faults = Faults({"AE", "AR", "CA", "silence", "close", "wrong-msa2", "late"})
        self.log: list[dict[str, Any]] = []  #: both directions, oldest first
        self.received: list[dict[str, Any]] = []
        on_charts = FhirCharts(self.charts, Store(ids))
        self.fhir = FhirServer(
            on_charts, tokens, lambda name, id, answer: self._note("in", name, id, answer, 0.0),
            lambda name, id, answer: self._note("out", name, id, answer, 0.0),
        )  # fmt: skip
        self.invoices = Invoices(on_charts, invoices_to, invoice_token, functools.partial(self._note, "out"))

    def routes(self) -> list[Route | Mount]:
        return [
            *self.invoices.routes(),
            *FhirControl(self.fhir).routes(),
            Mount("/fhir", routes=self.fhir.routes()),
            Route("/clinic", self.list_page),
            Route("/clinic/charts.json", self.list_json),
            Route("/clinic/send", self.send_raw, methods=["POST"]),
            Route("/clinic/visit/{account}", self.send_visit, methods=["POST"]),
            Route("/clinic/chart/{account:path}", self.chart),
            Route("/_control/clinic/{what}", self.act, methods=["POST"]),
            Route("/_control/clinic/received", lambda request: JSONResponse(self.received)),
        ]

    # ------------------------------------------------------------------------------------------------ charges, out

    async def send_raw(self, request: Request) -> Response:
        """Send what the body holds, byte for byte. 502: nobody answered; 400: no address to send to."""
        raw = uploaded(await request.body(), request.headers.get("content-type", ""))
        try:
            to = split_address(request.query_params["to"]) if "to" in request.query_params else self.send_to
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        if to is None or not raw:
            return JSONResponse({"error": "no destination (to=HOST:PORT)" if raw else "an empty message"}, 400)
        result = await self.send(raw, to, request.query_params.get("name", ""))
        return JSONResponse(result, 502 if result["error"] else 200)

    async def send_visit(self, request: Request) -> Response:
        """Send the visit of one of our patients, as the button on the page does."""
        patient = PATIENTS.get(request.path_params["account"])
        if patient is None or self.send_to is None:
            return RedirectResponse("/clinic", 303)
        now = dt.datetime.now(dt.UTC)
        raw = patient.charges(f"CL{now:%y%m%d%H%M%S}{self.ids.hex(4).upper()}", now)
        await self.send(raw, self.send_to, "visit charges")
        return RedirectResponse("/clinic", 303)

    async def send(self, raw: bytes, to: tuple[str, int], name: str) -> dict[str, Any]:
        """Put the charges on their charts, send the message, wait up to 10 s; return what came back."""
        control_id = ""
        for part in wire.split(raw):
            # What the clinic writes is on its own chart whatever the receiver says of it.
            try:
                message = wire.parse(part)
            except wire.Unreadable:
                continue
            control_id = message.control_id
            self.charts.charge(message)
        started, error, ack = time.perf_counter(), "", None
        try:
            ack = await wire.exchange(*to, raw)
            error = "" if ack is not None else "closed without an answer"
        except TimeoutError:
            error = "no answer within 10 s"
        except (OSError, ValueError) as problem:
            error = f"no connection: {type(problem).__name__}"
        ms = round((time.perf_counter() - started) * 1000, 2)
        code = echoed = ""
        if ack is not None:
            try:
                msa = wire.parse(ack).first("MSA")
                code, echoed = msa.field(1), msa.field(2)
            except wire.Unreadable:
                error = "the answer is no HL7 message"
        self._note("out", name or "charges", control_id, code or error, ms)
        shown = ack.decode("utf-8", "replace") if ack is not None else None
        return {"ack_code": code, "msa2": echoed, "ack": shown, "ms": ms, "error": error, "control_id": control_id}

    # ------------------------------------------------------------------------------------------------ postings, in

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Work one MLLP connection until the peer closes it."""
        try:
            while (raw := await wire.read_frame(reader)) is not None:
                answer = await self._posting(raw)
                if answer == b"":
                    break
                if answer is not None:
                    writer.write(wire.frame(answer))
                    await writer.drain()
        except (OSError, ValueError, asyncio.CancelledError):
            pass  # the peer is gone, or sent a frame beyond any measure; or the sandbox ends
        finally:
            writer.close()

    async def _posting(self, raw: bytes) -> bytes | None:
        """Return the ACK; None for silence; b"" to close the connection."""
        now = dt.datetime.now(dt.UTC)
        try:
            message = wire.parse(raw)
        except wire.Unreadable:
            self._note("in", "unreadable", "", "closed", 0.0)
            return b""
        fault = self.faults.take()
        how = fault.answer if fault else ""
        entry: dict[str, Any] = {
            "control_id": message.control_id,
            "at": now.isoformat(),
            "answer": "",
            "applied": False,
            "raw": raw.decode("utf-8", "replace"),
        }
        self.received.append(entry)
        if how in ("AE", "AR"):
            wrong = wire.Condition("207", "MSH", 1, "refused on purpose")
            return self._answer(message, entry, how, wrong)
        if how == "close":
            self._note("in", "posting", message.control_id, "closed", 0.0)
            entry["answer"] = "close"
            return b""
        about_texts = (message.header.value(9), message.header.value(9, 2)) == ("ADT", "A31")
        verdict = self.charts.inform(message) if about_texts else self.charts.post(message, now)
        entry["applied"] = verdict.code == "AA" and not verdict.repeated
        if how == "silence":
            self._note("in", "posting", message.control_id, "no answer", 0.0)
            entry["answer"] = "silence"
            return None
        if how == "late" and fault is not None:
            await asyncio.sleep(fault.seconds)
        if how == "wrong-msa2":
            entry["answer"] = how
            answer = wire.acknowledge(message, verdict.code, self._control_id(), now, verdict.wrong)
            return answer.replace(f"|{message.control_id}\r".encode(), f"|X{self.ids.hex(8)}\r".encode())
        return self._answer(message, entry, "CA" if how == "CA" else verdict.code, verdict.wrong)

    def _answer(self, message: wire.Message, entry: dict[str, Any], code: str, wrong: wire.Condition | None) -> bytes:
        entry["answer"] = code
        self._note("in", "posting", message.control_id, code, 0.0)
        return wire.acknowledge(message, code, self._control_id(), dt.datetime.now(dt.UTC), wrong)

    def _control_id(self) -> str:
        return "ACK" + self.ids.hex(12).upper()

    def _note(self, direction: str, name: str, control_id: str, answer: str, ms: float) -> None:
        self.log.append(
            {
                "direction": direction,
                "name": name,
                "control_id": control_id,
                "answer": answer,
                "ms": ms,
                "at": time.time(),
            }
        )

    # ------------------------------------------------------------------------------------------- pages and controls

    async def list_page(self, request: Request) -> Response:
        charts = [chart.json() for chart in self.charts.charts.values()]
        log = list(reversed(self.log))[:20]
        invoices = self.invoices.buttons()
        return page(
            request, "clinic.html", charts=charts, own=set(PATIENTS), invoices=invoices, log=log,
            send_to=self.send_to, invoices_to=self.invoices.send_to,
        )  # fmt: skip

    async def list_json(self, request: Request) -> Response:
        return JSONResponse([chart.json() for chart in self.charts.charts.values()])

    async def chart(self, request: Request) -> Response:
        account = request.path_params["account"]
        as_json = account.endswith(".json")
        found = self.charts.charts.get(account.removesuffix(".json") if as_json else account)
        if found is None:
            return JSONResponse({"error": "no such account"}, 404)
        if as_json:
            return JSONResponse(found.json())
        return page(request, "chart.html", chart=found.json())

    async def act(self, request: Request) -> Response:
        query = request.query_params
        try:
            match request.path_params["what"]:
                case "next":
                    self.faults.arm(query["answer"], int(query.get("count", "1")), float(query.get("seconds", "3")))
                case "send-to":
                    self.send_to = split_address(query["to"])
                case what:
                    return JSONResponse({"error": f"no control named {what}"}, 404)
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"done": request.path_params["what"], "armed": len(self.faults)})
