"""The clinic sends Invoices as FHIR: alone (`PUT Invoice/<id>`), or in a transaction together with their people.

POST /clinic/invoice/<id>, /clinic/invoice/<id>/change, /clinic/invoice/<id>/cancel    the buttons on the page: issue
     and send it, lower its last line by 10.00 and send it, cancel it and send it
POST /clinic/send-fhir?to=URL&name=    send the body (an Invoice: PUT if it has an id, else POST; a Bundle: POST to the
     base) and put it on its chart; answers {"status", "body", "ms", "error"}
POST /_control/invoices/send-to?to=URL      the FHIR base that Invoices go to from now on
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from .fhir_charts import FhirCharts, account_of
from .fhir_json import Refused, Resource, decode, encode
from .fhir_patients import BUNDLED, INVOICES, PEOPLE
from .forms import uploaded
from .outgoing import NotLoopback, call, require_loopback

#: name, id, answer, milliseconds: one line of the clinic's interface log
Note = Callable[[str, str, str, float], None]
_STEP = Decimal("10.00")


class Invoices:
    """The Invoices of the clinic, and the way out for them."""

    def __init__(self, charts: FhirCharts, send_to: str, token: str, note: Note) -> None:
        self.charts, self.send_to, self.token, self.note = charts, send_to, token, note
        for resource in (*PEOPLE, *INVOICES):
            charts.store.put(resource, resource["id"])
        for invoice in INVOICES:
            charts.charge(invoice)

    def routes(self) -> list[Route]:
        return [
            Route("/clinic/send-fhir", self.send_raw, methods=["POST"]),
            Route("/clinic/invoice/{id}", self.press, methods=["POST"]),
            Route("/clinic/invoice/{id}/{act}", self.press, methods=["POST"]),
            Route("/_control/invoices/send-to", self.direct, methods=["POST"]),
        ]

    def buttons(self) -> dict[str, Resource]:
        """Return account → the Invoice as it is now, for those that have buttons."""
        kept = [self.charts.store.get("Invoice", invoice["id"]) for invoice in INVOICES]
        return {account_of(found.resource): found.resource for found in kept if found is not None}

    async def send_raw(self, request: Request) -> Response:
        """Send what the body holds, byte for byte. 502: nobody answered; 400: no address to send to."""
        raw = uploaded(await request.body(), request.headers.get("content-type", ""))
        to = request.query_params.get("to", self.send_to)
        if not to or not raw:
            return JSONResponse({"error": "no destination (to=URL)" if raw else "an empty body"}, 400)
        method, path, id = "POST", "", ""
        with contextlib.suppress(Refused):
            resource = decode(raw)
            self.charts.keep(resource)
            given, type = resource.get("id"), resource["resourceType"]
            id = given if isinstance(given, str) else ""
            if type != "Bundle":
                method, path = ("PUT", f"/{type}/{quote(id, safe='')}") if id else ("POST", f"/{quote(type, safe='')}")
        try:
            result = await self.send(method, to.rstrip("/") + path, raw, request.query_params.get("name", ""), id)
        except NotLoopback as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(result, 502 if result["error"] else 200)

    async def press(self, request: Request) -> Response:
        """Do what a button on the page says. A cancelled or settled Invoice stays what it is."""
        back = RedirectResponse("/clinic", 303)
        known = self.charts.store.get("Invoice", request.path_params["id"])
        act = request.path_params.get("act", "send")
        if known is None or not self.send_to:
            return back
        invoice = _after(act, known.resource)
        if invoice is None:
            return back
        if invoice != known.resource:
            invoice = self.charts.store.put(invoice, invoice["id"]).resource
        self.charts.charge(invoice)
        base = f"{request.url.scheme}://{request.url.netloc}/fhir"
        name = {"change": "Invoice corrected", "cancel": "Invoice cancelled"}.get(act, "Invoice")
        if invoice["id"] == BUNDLED:
            await self.send("POST", self.send_to, encode(self._transaction(invoice, base)), name, invoice["id"])
        else:
            where = f"{self.send_to}/Invoice/{invoice['id']}"
            await self.send("PUT", where, encode(invoice), name, invoice["id"])
        return back

    def _transaction(self, invoice: Resource, base: str) -> Resource:
        """Put an Invoice into a Bundle with its patient and whoever pays."""
        named = [invoice["subject"]["reference"], invoice["recipient"]["reference"]]
        kept = [self.charts.store.get(*reference.split("/")) for reference in dict.fromkeys(named)]
        people = [found.resource for found in kept if found is not None]
        entries = []
        for resource in (*people, invoice):
            reference = f"{resource['resourceType']}/{resource['id']}"
            entry = {"fullUrl": f"{base}/{reference}", "resource": resource}
            entries.append(entry | {"request": {"method": "PUT", "url": reference}})
        return {"resourceType": "Bundle", "type": "transaction", "entry": entries}

    async def send(self, method: str, url: str, raw: bytes, name: str, id: str) -> dict[str, Any]:
        """Send, wait up to 10 s; return what came back. Raises NotLoopback."""
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        headers["Authorization"] = f"Bearer {self.token}"
        started, error, answer = time.perf_counter(), "", None
        try:
            answer = await call(method, url, raw, headers)
        except NotLoopback:
            raise
        except TimeoutError:
            error = "no answer within 10 s"
        except (OSError, ValueError) as problem:
            error = f"no connection: {type(problem).__name__}"
        ms = round((time.perf_counter() - started) * 1000, 2)
        self.note(name or "Invoice", id, str(answer.status) if answer else error, ms)
        body = answer.body.decode(errors="replace") if answer else ""
        return {"status": answer.status if answer else 0, "body": body, "ms": ms, "error": error}

    async def direct(self, request: Request) -> Response:
        to = request.query_params.get("to", "").rstrip("/")
        try:
            require_loopback(urlsplit(to).hostname or "")
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        self.send_to = to
        return JSONResponse({"done": "send-to"})


def _after(act: str, invoice: Resource) -> Resource | None:
    """Return the Invoice as it is after `act`; None where that is not possible."""
    status = invoice.get("status")
    match act:
        case "send" if status == "draft":
            return invoice | {"status": "issued", "date": dt.datetime.now(dt.UTC).date().isoformat()}
        case "send" if status == "issued":
            return invoice
        case "cancel" if status == "issued":
            return invoice | {"status": "cancelled", "cancelledReason": "Cancelled by the billing office"}
        case "change" if status == "issued":
            return _lowered(invoice)
    return None


def _lowered(invoice: Resource) -> Resource | None:
    """Take 10.00 off the last line and the totals; None where it does not hold as much."""
    *lines, last = invoice["lineItem"]
    price = last["priceComponent"][0]
    if price["amount"]["value"] <= _STEP:
        return None
    totals = {name: _less(invoice[name]) for name in ("totalNet", "totalGross")}
    corrected = last | {"priceComponent": [price | {"amount": _less(price["amount"])}]}
    return invoice | totals | {"lineItem": [*lines, corrected]}


def _less(money: Resource) -> Resource:
    return money | {"value": money["value"] - _STEP}
