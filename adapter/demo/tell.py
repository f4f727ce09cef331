"""Tell one sample after the other: sent, asked, paid, posted; and whether each came to its expected end."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel

from chartpost.adapter import views
from chartpost.adapter.demo.browser import Browser, Page
from chartpost.adapter.demo.child import PATIENCE, Failed
from chartpost.adapter.demo.samples import Sample
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.story import story

CARD = {"card_number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123"}

Row = dict[str, Any]
T = TypeVar("T")


class Demo:
    """Tells the story of every sample, and notes what is not as expected."""

    def __init__(self, console: Console, store: Store, sandbox: str) -> None:
        self.console = console
        self.store = store
        self.sandbox = sandbox
        self.wrong: list[str] = []
        self.links: dict[str, str] = {}  #: request id → the link in its SMS
        self.before: dict[str, Row] = {}  #: account → its chart before anything was paid on it

    # ------------------------------------------------------------------------------------------ looking at things

    def rows(self, noun: str) -> list[Row]:
        with self.store.read() as connection:
            return list(views.LISTS[noun].rows(connection))

    def fetch(self, path: str) -> Any:
        with urlopen(self.sandbox + path, timeout=PATIENCE) as answer:  # noqa: S310
            return json.loads(answer.read())

    def post(self, path: str, body: bytes) -> Any:
        headers = {"Content-Type": "application/octet-stream"}
        request = Request(self.sandbox + path, body, headers)  # noqa: S310
        with urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
            return json.loads(answer.read())

    def charts(self) -> dict[str, Row]:
        return {chart["account"]: chart for chart in self.fetch("/clinic/charts.json")}

    def await_(self, what: str, look: Callable[[], T | None]) -> T:
        """Look until there is something to see. Raises Failed when it does not come."""
        until = time.monotonic() + PATIENCE
        while (seen := look()) is None:
            if time.monotonic() > until:
                raise Failed(f"{what} did not come within {PATIENCE:.0f} s")
            time.sleep(0.03)
        return seen

    def why(self, message_id: str) -> list[str]:
        """Return what the trace says of each line of a message: counted or not, and by which rule."""
        with self.store.read() as connection:
            details = [line for moment in story(connection, message_id) for line in moment.details]
        notes = (
            re.fullmatch(r"(charges\[\d+]|invoice)(?: =|:) ((?:not )?counted: .*?)( ← .*)?", line) for line in details
        )
        return [f"{note[1].replace('charges', 'FT1')} {note[2]}" for note in notes if note]

    # ------------------------------------------------------------------------------------------------ telling it

    def say(self, mark: str, text: str, style: str = "") -> None:
        self.console.print(f"  [dim]{mark:<8}[/]{f'[{style}]' if style else ''}{escape(text)}{'[/]' if style else ''}")

    def expect(self, sample: Sample, what: str, wanted: object, seen: object) -> None:
        if wanted != seen:
            self.wrong.append(f"{sample.name}: {what} is {seen}, expected {wanted}")
            self.say("✗", f"{what} is {seen}, expected {wanted}", "red")

    def run(self, sample: Sample) -> None:
        """Send one sample and follow it to its end."""
        self.console.print(f"\n[bold]{sample.name.replace('_', ' ')}[/]  [dim]{escape(sample.expected['why'])}[/]")
        try:
            self._follow(sample)
        except (Failed, LookupError, OSError, ValueError) as error:
            self.wrong.append(f"{sample.name}: {error}")
            self.say("✗", str(error), "red")

    def _follow(self, sample: Sample) -> None:
        expected = sample.expected
        known = {row["id"] for row in self.rows("messages")}
        asked_before = {row["id"]: row["asked_minor"] for row in self.rows("requests") if row["state"] == "open"}
        path, wire, key = ("send", "MLLP", "ack_code") if sample.kind == "hl7" else ("send-fhir", "HTTP", "status")
        sent = self.post(f"/clinic/{path}?{urlencode({'name': sample.name})}", sample.body)
        answer = str(sent[key] or sent["error"])
        self.say("in", f"{len(sample.body)} bytes over {wire}; answered {answer} in {sent['ms']} ms")
        self.expect(sample, "the answer", expected["ack"], answer)
        for account, chart in self.charts().items():
            if chart["paid"] == "0.00":
                self.before[account] = chart

        def final() -> Row | None:
            new = [row for row in self.rows("messages") if row["id"] not in known]
            return new[-1] if new and new[-1]["state"] not in ("received", "fetching") else None

        message = self.await_("a final state of the message", final)
        self.say(
            "ledger", f"{message['id']} {message['state']}" + (f": {message['reason']}" if message["reason"] else "")
        )
        self.expect(sample, "the state", expected["state"], message["state"])
        self.expect(sample, "the hold", expected["hold"], message["hold"])
        for hold in self.rows("holds"):
            if hold["object"] == message["id"]:
                self.say("to do", hold["fix"], "yellow")
        moved = [
            row for row in self.rows("requests")
            if row["state"] == "open" and asked_before.get(row["id"]) != row["asked_minor"]
        ]  # fmt: skip
        self.expect(
            sample, "what is asked (minor units)", expected["asked"], moved[0]["asked_minor"] if moved else None
        )
        if not moved:
            self.say("asks", "nobody")
            return
        request = moved[0]
        self.say("asks", f"{request['asked']} {request['currency']} ({request['id']}), because", "bold")
        for line in self.why(message["id"]):
            self.say("", line)
        self._text(sample, request)
        if expected["posted"]:
            self._pay(sample, request)

    def _text(self, sample: Sample, request: Row) -> None:
        """Wait for the SMS of a new request, and show it as the phone does."""
        if request["id"] in self.links:
            self.say("sms", "none: the same link shows what is owed now")
            return

        def delivered() -> Row | None:
            notices = [row for row in self.rows("notices") if row["request"] == request["id"]]
            return notices[0] if notices and notices[0]["state"] not in ("due", "sent") else None

        notice = self.await_("the SMS", delivered)
        self.expect(sample, "the SMS", "delivered", notice["state"])
        texts = [sms for phone in self.fetch("/inbox.json")["phones"] for sms in phone["messages"]]
        sms = next(sms for sms in texts if sms["sid"] == notice["provider_ref"])
        self.links[request["id"]] = sms["links"][0]
        self.say("sms", f"{sms['status']} to")
        bubble = Panel(sms["body"], title=sms["to"], title_align="left", width=74, border_style="cyan")
        self.console.print(Padding(bubble, (0, 0, 0, 10)), soft_wrap=False)
        self.expect(sample, "the number texted", sample.expected["texted"], sms["to"])

    def _pay(self, sample: Sample, request: Row) -> None:
        """Open the link, pay all or the part that the sample says, and wait for the chart."""
        part = sample.expected["pay"]
        known = {row["id"] for row in self.rows("payments")}
        person = Browser()
        page = person.open(self.links[request["id"]])
        self.say("page", f"{' / '.join(page.headings)}")
        if part is None:
            page = person.press(page, ("pay", "all"))
        else:
            page = person.press(page, ("pay", "part"), amount=views.money(part, request["currency"]))
        page = person.press(page, ("method", "card"), **CARD)

        def paid() -> Row | None:
            return next((row for row in self.rows("payments") if row["id"] not in known), None)

        payment = self.await_("the payment", paid)
        self.say("paid", f"{payment['amount']} {payment['currency']} by {payment['medium']}", "green")
        self._return(person, page)
        self.expect(sample, "the amount paid", part or request["asked_minor"], payment["amount_minor"])

        def posted() -> Row | None:
            mine = [row for row in self.rows("postings") if row["payment"] == payment["id"]]
            return mine[0] if mine and mine[0]["state"] not in ("due", "published") else None

        posting = self.await_("the chart's answer", posted)
        what = "DFT^P03 PY" if sample.kind == "hl7" else "PaymentReconciliation"
        self.say(
            "out", f"{posting['amount']} {posting['currency']} to {posting['destination']}: {what}, {posting['id']}"
        )
        self.say("answer", f"{posting['answer_code'] or 'none'}: {posting['state']}", "green")
        self.expect(sample, "the posting", sample.expected["posted"], posting["state"])
        [now] = [row for row in self.rows("requests") if row["id"] == request["id"]]
        self.expect(sample, "the request", "paid" if sample.expected["paid"] else "open", now["state"])

    def _return(self, person: Browser, page: Page) -> None:
        """Show the page that the payer comes back to, once it has heard of the payment too."""
        self.say("page", " / ".join(person.open(page.url).headings))

    def end(self) -> str:
        """Show each patient's chart before and after; return the line that sums it up."""
        self.console.print("\n[bold]charts[/]  [dim]in the clinic, before anything was paid and now[/]")
        for account, chart in self.charts().items():
            if not chart["lines"]:
                continue
            before = self.before.get(account, chart)
            name = f"{chart['patient']['name']}, {account}"
            self.say("chart", f"{name:<38} owes {before['balance']:>8} → {chart['balance']:>8}")
            for posting in chart["postings"]:
                self.say("", f"    payment {posting['amount']} on {posting['paid']}, {posting['reference']}", "green")
        requests, postings = self.rows("requests"), self.rows("postings")
        paid = sum(row["state"] == "paid" for row in requests)
        accepted = sum(row["state"] == "accepted" for row in postings)
        messages = len(self.rows("messages"))
        return f"demo: {messages} messages, {len(requests)} requests, {paid} paid, {accepted} postings accepted"
