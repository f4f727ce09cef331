"""A whole flow on one database, worked step by step: the doors, the errands and the clock are in the test's hands.

Everything is the product's own: Receiver and Intake are the door, Worker does the errands, the plugins speak through
the real SDKs. Only Kombu is left out (its tests are elsewhere): what the relay would publish is handed to the worker.
"""

from __future__ import annotations

import datetime as dt
import http.client
import http.server
import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from sqlalchemy import Table, select

from chartpost.adapter.assembly import make_flow
from chartpost.adapter.errors import ChartpostError
from chartpost.adapter.flow import ERRANDS, worker
from chartpost.adapter.flow.answering import bounced, incoming
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.charges import translate
from chartpost.adapter.flow.door.receive import Receiver, SourceRules
from chartpost.adapter.flow.door.receive_fhir import Asked, FhirReceiver, FhirRules
from chartpost.adapter.flow.gate import Gate
from chartpost.adapter.flow.paying import record
from chartpost.adapter.keys import Keys
from chartpost.adapter.ledger import columns, states, tables
from chartpost.adapter.ledger.intake import Fate, Intake, Row
from chartpost.adapter.ledger.invoices import KnownInvoices
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ports import EventType, PaymentEvent
from chartpost.adapter.settings import FhirSource, MllpSource, Settings
from chartpost.queues.relay import Announcement

T = TypeVar("T")
MAY = dt.datetime(2026, 5, 4, 15, 0, tzinfo=dt.UTC)
LINK_KEY = b"link-key-of-tests-32-bytes-long!"
TOKEN = "a-bearer-token-of-the-tests"
_numbers = itertools.count(1)


class Clock:
    """The store's clock. It stands still, or runs with the machine's (`real`); `advance` moves either."""

    def __init__(self, start: dt.datetime | None = None) -> None:
        self.start = start
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return (self.start or dt.datetime.now(dt.UTC)) + self.ahead

    def advance(self, **span: float) -> None:
        self.ahead += dt.timedelta(**span)


# ------------------------------------------------------------------------------------------------------- messages


def unique(prefix: str = "") -> str:
    """Return a name that no other test uses: the sandbox is shared."""
    return f"{prefix}{uuid.uuid4().hex[:8].upper()}"


def line(
    kind: str, amount: object, code: str = "COPAY", *, ref: str = "", date: str = "20260504", quantity: object = 1,
    insurance: object = "", payment_ref: str = "", text: str = "Invented service",
) -> str:  # fmt: skip
    """Return the fields of one FT1 from FT1-2 on."""
    fields = [""] * 31
    values = {2: ref, 4: date, 6: kind, 7: f"{code}^{text}", 10: quantity, 11: amount, 15: insurance, 30: payment_ref}
    for number, value in values.items():
        fields[number] = str(value)
    return "|".join(fields[2:]).rstrip("|")


def dft(
    *lines: str, account: str = "A-1", control_id: str | None = None, phone: str = "6085550101",
    name: str = "Sample^Silvia", guarantor: str = "", pv1: str = "", version: str = "2.5.1", processing_id: str = "P",
) -> bytes:  # fmt: skip
    """Return a DFT^P03 with these lines."""
    number = f"T{next(_numbers):07d}" if control_id is None else control_id
    segments = [
        f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260504100000||DFT^P03^DFT_P03|{number}|{processing_id}|{version}",
        f"PID|1||M-{account}^^^LAKESIDE^MR||{name}||19800101|F|||||^PRN^CP^^1^{phone[:3]}^{phone[3:]}" + "|" * 5
        + f"{account}^^^LAKESIDE^AN",
    ]  # fmt: skip
    if pv1:
        segments.append(pv1)
    segments += [f"FT1|{position}|{rest}" for position, rest in enumerate(lines, start=1)]
    if guarantor:
        segments.append(guarantor)
    return "".join(segment + "\r" for segment in segments).encode()


# ------------------------------------------------------------------------------------------------- configuration


def configuration(outside: Mapping[str, str] | None = None, currency: str = "USD", **changes: Any) -> Settings:
    """Return settings with a source for every share rule, named after it.

    `outside` is the ready line of a sandbox: with it the services and the destination are configured, through the real
    plugins. `changes` replace top-level keys.
    """
    clinic = {
        "name": "Lakeside Clinic", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
        "currency": currency, "provider": "card", "notifiers": ["sms"], "quiet": "none",
    }  # fmt: skip
    source = {"type": "mllp", "listen": "127.0.0.1:0", "facility": "lakeside", "consent": "on_file"}
    if outside:
        # Its clock runs with the machine's, and the lines of the tests have fixed dates.
        source |= {"destinations": ["chart"], "guard": {"older_than_days": "none"}}
    shares = ("all", "copay", "self_pay", "net_of_insurance")
    sources: dict[str, Any] = {share: source | {"share": share} for share in shares}
    sources["self_pay"]["self_pay_classes"] = ["SP"]
    sources["no_consent"] = source | {"share": "all", "consent": "none"}
    for share in ("all", "copay"):
        rest = {"type": "fhir", "token": TOKEN, "share": share, "map": "fhir-invoice"}
        sources[f"fhir_{share}"] = {key: value for key, value in source.items() if key != "listen"} | rest
        if outside:
            sources[f"fhir_{share}"] |= {"destinations": ["fhir"], "fetch": "fhir"}
    data: dict[str, Any] = {"facilities": {"lakeside": clinic}, "sources": sources}
    if outside:
        data["destinations"] = {
            "chart": {"type": "mllp", "address": outside["mllp"], "map": "hl7v2-dft-payment", "timeout_seconds": 2},
            "fhir": {
                "type": "fhir", "base_url": outside["http"] + "/fhir", "token": outside["fhir_token"],
                "map": "fhir-payment-reconciliation", "timeout_seconds": 2, "settle_invoice": True,
            },
        }  # fmt: skip
        data["providers"] = {
            "card": {
                "type": "stripe", "secret_key": outside["stripe_key"], "base_url": outside["http"] + "/stripe",
                "webhook_secret": outside["stripe_webhook_secret"], "timeout_seconds": 5,
            }
        }  # fmt: skip
        data["notifiers"] = {
            "sms": {
                "type": "twilio", "account_sid": outside["twilio_sid"], "auth_token": outside["twilio_token"],
                "sender": "+16085550100", "base_url": outside["http"] + "/twilio", "timeout_seconds": 3,
            }
        }  # fmt: skip
    return Settings.model_validate(data | changes)


class _Relay:
    """A worker says here that it has used its wake-up; nobody needs to know."""

    def returned(self, group: str, key: str) -> None: ...


# ------------------------------------------------------------------------------------------------------ workbench


class Workbench:
    """One flow and its database."""

    def __init__(self, store: Store, clock: Clock, settings: Settings, public_url: str = "http://127.0.0.1:1") -> None:
        self.store, self.clock = store, clock
        self.intake = Intake(store)
        self.status = 0  #: HTTP status that the last FHIR body is answered
        self.use(settings, public_url)

    def use(self, settings: Settings, public_url: str = "") -> None:
        """Take another configuration, as after a restart."""
        public_url = public_url or self.flow.public_url
        self.flow = make_flow(settings, Keys(LINK_KEY, b"", None), self.store, public_url)
        if not settings.notifiers:  # nothing outside: who would be written to is planned, and nobody sends
            nobody = {"sms": SimpleNamespace(channel="sms")}
            self.flow = replace(self.flow, world=replace(self.flow.world, notifiers=nobody))
        self.queues = worker.topology(self.flow)
        self.hands = worker.Worker(self.flow, _Relay(), Gate(), threading.Event())  # type: ignore[arg-type]

    # -------------------------------------------------------------------------------------------------- door one

    def receive(self, *bodies: bytes, source: str = "all") -> list[Fate]:
        """Take frames as the listener does: judge each, store all in one commit."""
        settings = self.flow.source(source)
        now = columns.micros(self.clock())
        if isinstance(settings, FhirSource):
            rules = FhirRules(
                source, settings.facility, self.flow.maps[source], settings.version, settings.max_bytes,
                settings.max_depth,
            )  # fmt: skip
            receiver = FhirReceiver(rules, KnownInvoices(self.store, source, rules.kind))
            return [fate for body in bodies for fate in self.intake.commit(self._judged(receiver, body, now))]
        assert isinstance(settings, MllpSource)
        rules = SourceRules(
            source, settings.facility, self.flow.maps[source], settings.processing_id, settings.encoding,
            settings.dedupe_days, settings.max_bytes, settings.max_segments,
        )  # fmt: skip
        rows = [receipt.row for body in bodies for receipt in Receiver(rules).receive(body, now)]
        return self.intake.commit(rows)

    def _judged(self, receiver: FhirReceiver, body: bytes, now: int) -> list[Row]:
        """One Invoice or Bundle, put to its address as its id says."""
        id = json.loads(body).get("id", "")
        asked = Asked("update", id) if id and b'"Invoice"' in body and b'"Bundle"' not in body else Asked()
        judged = receiver.judge(body, now, asked)
        self.status = judged.status
        return [receipt.row for receipt in judged.receipts]

    def translate(self) -> None:
        """Translate until nothing waits."""
        while translate.batch(self.flow):
            pass

    def take(self, *bodies: bytes, source: str = "all") -> Any:
        """Receive and translate; return the last message's row."""
        fates = self.receive(*bodies, source=source)
        self.translate()
        return self.one(tables.message, id=fates[-1].id)

    # --------------------------------------------------------------------------------------------------- errands

    def work(self, *kinds: str) -> list[str]:
        """Do what is due (of these kinds), as the relay would announce it; return the kinds that were done."""
        done: list[str] = []
        for _ in range(50):
            due = [found for kind in kinds or ERRANDS for found in self.due(kind)]
            if not due:
                return done
            for found in due:
                if found.confirmed is not None:
                    found.confirmed()
                done.append(self.one(tables.errand, id=int(found.key)).kind)
                self.hands.errand(found.envelope)
        raise AssertionError(f"errands without end: {done[-10:]}")

    def due(self, kind: str) -> list[Announcement]:
        """Return what the relay would announce now."""
        return list(worker.due(self.flow, self.queues, kind, 500))

    # -------------------------------------------------------------------------------------------------- door two

    def pay(self, amount: int, reference: str = "", request: Any = None) -> PaymentEvent:
        """Record a payment on a request (the newest), as if its card page had been paid; return its event."""
        row = request or self.request()
        session = {
            "public_id": unique("C"), "account_id": row.account_id, "request_id": row.id, "provider": "card",
            "state": "open", "amount": amount, "success_url": "", "cancel_url": "",
        }  # fmt: skip
        with self.store.write() as tx:
            currency = tx.scalar(select(tables.account.c.currency).where(tables.account.c.id == row.account_id))
            times = {"expires_at": tx.now, "created_at": tx.now}
            added = tables.card_session.insert().returning(tables.card_session.c.id)
            number = tx.run(added, [session | times | {"currency": currency}]).scalar_one()
            part = {name: session[name] for name in ("account_id", "request_id", "amount")}
            tx.run(tables.card_part.insert(), [part | {"card_session_id": number, "live": True}])
        told = PaymentEvent(
            unique("evt_"), EventType.PAID, self.clock(), session["public_id"], "", reference or unique("pi_"), amount,
            currency, "card/visa",
        )  # fmt: skip
        record.take(self.flow, "card", told, b"{}")
        return told

    # ----------------------------------------------------------------------------------------------------- looks

    def rows(self, table: Table, **where: Any) -> list[Any]:
        statement = select(table).order_by(*table.primary_key.columns)
        for name, value in where.items():
            statement = statement.where(table.c[name] == value)
        with self.store.read() as connection:
            return list(connection.execute(statement).all())

    def one(self, table: Table, **where: Any) -> Any:
        (row,) = self.rows(table, **where)
        return row

    def holds(self, state: str = "open") -> list[str]:
        """Return the causes of the holds in this state."""
        return [row.cause for row in self.rows(tables.hold, state=state)]

    def request(self, **where: Any) -> Any:
        """Return the newest request."""
        return self.rows(tables.request, **where)[-1]

    def token(self, request: Any = None) -> str:
        row = request or self.request()
        return link.token(LINK_KEY, row.public_id, row.generation)

    def check(self) -> None:
        """Assert what must be true of every ledger at any time."""
        accounts, entries = self.rows(tables.account), self.rows(tables.entry)
        for account in accounts:
            own = [entry.amount for entry in entries if entry.account_id == account.id]
            assert account.balance == sum(own), "the balance is the sum of the entries"
            asked = self.rows(tables.request, account_id=account.id, state="open")
            assert len(asked) <= 1, "at most one request is open"
            for row in asked:
                wanted = max(account.balance - account.withheld, row.advance)
                assert row.asked == wanted > 0, "the request follows the balance"
            assert len(self.rows(tables.card_part, account_id=account.id, live=True)) <= 1, "one card page is open"
        assert len({entry.cause for entry in entries}) == len(entries), "nothing counts twice"
        held = {row.object for row in self.rows(tables.hold)}
        for row in self.rows(tables.hold):
            assert all((row.object, row.cause, row.text, row.fix)), f"a hold says what, why and what to do: {row}"
        for message in self.rows(tables.message):
            if message.state == states.Message.HELD:
                assert f"message:{message.id}" in held, "what is held is on the work list"
            elif message.state != states.Message.RECEIVED:
                assert message.state == states.Message.TRANSLATED or message.reason, "whatever ends says why"
        for payment in self.rows(tables.payment):
            assert [entry.amount for entry in entries if entry.payment_id == payment.id] == [-payment.amount]

    def close(self) -> None:
        self.intake.close()


# ------------------------------------------------------------------------------------------------ the other side


class Hooks:
    """A web server for the sandbox's callbacks, in front of whichever flow a test works with."""

    def __init__(self) -> None:
        self.flow: Any = None
        self.answers: list[tuple[str, int]] = []
        self._told = threading.Condition()
        self._working = 0
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, said = hooks.answer(self.path, body, dict(self.headers.items()))
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)
                with hooks._told:
                    hooks.answers.append((self.path, status))
                    hooks._told.notify_all()

            def log_message(self, *_: Any) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self._told:
            flow = self.flow
            self._working += flow is not None
        if flow is None:  # a late callback of a test that is over
            return 200, b""
        try:
            name, _, what = path.removeprefix("/hooks/").partition("?")[0].partition("/")
            if name == "card":
                record.payment_event(flow, "card", body, headers)
            elif what == "incoming":
                return 200, incoming.incoming(flow, name, self.url + path, body, headers)[1]
            elif what == "bounce":
                bounced.brought(flow, name, body, headers)
            else:
                record.notice_report(flow, name, self.url + path, body, headers)
        except ChartpostError:
            return 400, b""
        finally:
            with self._told:
                self._working -= 1
                self._told.notify_all()
        return 200, b""

    def let_go(self) -> None:
        """Serve nobody from now on; return once no callback is being worked."""
        with self._told:
            self.flow = None
            assert self._told.wait_for(lambda: not self._working, 10)

    def until(self, look: Callable[[], T], seconds: float = 15) -> T:
        """Return what `look` returns once it is true; it is asked again whenever a callback was answered."""
        deadline = time.monotonic() + seconds
        while True:
            if found := look():
                return found
            assert time.monotonic() < deadline, "it did not come"
            with self._told:
                self._told.wait(0.05)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Other:
    """The running sandbox: its keys, its controls, and a person with a browser and a card."""

    def __init__(self, ready: Mapping[str, str], hooks: Hooks) -> None:
        self.ready, self.hooks = ready, hooks

    def call(self, path: str, method: str = "POST", body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        """Return the JSON of an answer, or its status and Location."""
        base = urlsplit(self.ready["http"])
        connection = http.client.HTTPConnection(base.hostname or "", base.port, timeout=10)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
            if "json" in (answer.getheader("Content-Type") or ""):
                return json.loads(data)
            return answer.status, answer.getheader("Location") or ""
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        return self.call(path, "GET")

    def pay(self, url: str, card: str = "4242424242424242", method: str = "card") -> tuple[int, str]:
        """Fill the hosted page and press its button: status, and where it leads."""
        form = {"card_number": card, "expiry": "12 / 40", "cvc": "123", "method": method}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer: tuple[int, str] = self.call(urlsplit(url).path, "POST", urlencode(form).encode(), headers)
        return answer

    def knows(self, body: bytes) -> None:
        """Put the charges on the clinic's own chart, so that it takes postings for the account."""
        self.call("/clinic/send?to=127.0.0.1:1", "POST", body)

    def chart(self, account: str) -> Any:
        return self.get(f"/clinic/chart/{account}.json")

    def texts(self, phone: str) -> list[Any]:
        """Return the messages on a phone, oldest first."""
        phones = {found["number"]: found["messages"] for found in self.get("/inbox.json")["phones"]}
        return list(phones.get(phone, []))

    def sessions(self, reference: str) -> list[Any]:
        """Return the creates of the card provider for one of our references."""
        return [
            asked for asked in self.get("/_control/stripe/requests")
            if asked["path"] == "/v1/checkout/sessions" and asked["params"].get("client_reference_id") == reference
        ]  # fmt: skip

    def calm(self) -> None:
        """Go back to the usual behaviour: the sandbox is shared."""
        self.call("/_control/fhir/conditional?on=1")
        self.call("/_control/stripe/resume")
        self.call("/_control/stripe/clock?ahead=0")
        for service in (
            "stripe/next?answer=500",
            "twilio/next?answer=500",
            "mail/next?answer=450",
            "mail/next?answer=close&stage=data",
        ):
            self.call(f"/_control/{service}&count=0")
        self.call("/_control/twilio/callbacks?mode=normal")
