"""Landlines and numbers that nobody has: asked once, through the real SDK, and remembered for the next message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.telling import dead_ends
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Mail, Plugin, Settings

SIGNED = Mail(sender="Lakeside Billing", address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org")
_last = iter(range(10, 90))


def settings(other: Any, *order: str, **changes: Any) -> Settings:
    base = configuration(other.ready)
    facility = base.facilities["lakeside"].model_copy(update={"notifiers": order, "mail": SIGNED})
    sms = base.notifiers["sms"].model_dump() | {"lookup": True} | changes
    mail = {"type": "smtp", "address": other.ready["smtp"], "security": "none", "timeout_seconds": 3}
    gate = {"type": "http", "url": other.ready["http"] + "/gateway/messages", "secret": other.ready["gateway_secret"]}
    made = {"sms": sms, "mail": mail, "gate": gate | {"timeout_seconds": 3}}
    notifiers = {name: Plugin.model_validate(options) for name, options in made.items()}
    return base.model_copy(update={"facilities": {"lakeside": facility}, "notifiers": notifiers})


@pytest.fixture
def use(live: Workbench, other: Any) -> Any:
    def use(*order: str, **changes: Any) -> None:
        live.use(settings(other, *order, **changes))
        other.hooks.flow = live.flow

    use("sms", "mail")
    return use


@pytest.fixture
def phone() -> str:
    """A number that no other test of this process writes to."""
    return f"84755501{next(_last):02d}"


def owing(live: Workbench, phone: str, email: str = "") -> Any:
    body = dft(line("CG", "40.00"), account=unique("L"), phone=phone)
    number = f"^PRN^CP^^1^{phone[:3]}^{phone[3:]}"
    mail = f"~^NET^Internet^{email}" if email else ""
    live.take(body.replace(number.encode(), f"{number}{mail}".encode()))
    live.work("notify")
    live.work("notify")
    return live.request()


def lookups(other: Any, phone: str) -> list[Any]:
    asked = [one["path"] for one in other.get("/_control/twilio/requests") if one["method"] == "GET"]
    return [path for path in asked if path.endswith(f"/PhoneNumbers/+1{phone}")]


def told(live: Workbench) -> list[tuple[str, str]]:
    return [(row.notifier, row.state) for row in live.rows(tables.notice)]


def arrived(live: Workbench, other: Any) -> None:
    other.hooks.until(lambda: all(row.state != "sent" for row in live.rows(tables.notice, channel="sms")))


@pytest.mark.usefixtures("use")
def test_a_landline_gets_no_text_and_the_mail_goes_out_in_its_place(live: Workbench, other: Any) -> None:
    before = lookups(other, "8475550199")
    owing(live, "8475550199", "payer@example.org")
    assert told(live) == [("sms", "blocked"), ("mail", "sent")]
    assert (other.texts("+18475550199"), live.holds()) == ([], [])
    owing(live, "8475550199", "payer@example.org")
    assert told(live)[2:] == [("sms", "blocked"), ("mail", "sent")]
    assert len(lookups(other, "8475550199")) == len(before) + 1, "asked once, and remembered"


@pytest.mark.usefixtures("use")
def test_a_landline_without_an_address_is_on_the_work_list(live: Workbench, other: Any) -> None:
    owing(live, "4145550199")
    assert (told(live), live.holds()) == ([("sms", "blocked")], ["landline"])
    assert "555" not in live.one(tables.hold).text
    assert other.texts("+14145550199") == []


@pytest.mark.usefixtures("use")
def test_a_mobile_is_asked_about_once_and_texted(live: Workbench, other: Any, phone: str) -> None:
    owing(live, phone)
    owing(live, phone)
    arrived(live, other)
    assert told(live) == [("sms", "delivered")] * 2
    assert len(lookups(other, phone)) == 1
    attempt = live.rows(tables.attempt)[0]
    assert (attempt.subject.partition(":")[0], attempt.outcome) == ("line", "done")
    assert "555" not in attempt.subject


@pytest.mark.usefixtures("use")
def test_a_process_that_dies_during_the_question_asks_again_and_texts_once(
    live: Workbench, other: Any, phone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = live.flow.world.notifiers["sms"]

    def dies(number: str) -> str:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(service, "line_type", dies)
        with pytest.raises(SystemExit):
            owing(live, phone)
    assert [(row.subject.partition(":")[0], row.outcome) for row in live.rows(tables.attempt)] == [("line", "")]
    live.clock.advance(minutes=5)
    live.work("notify")
    arrived(live, other)
    assert (told(live), len(other.texts(f"+1{phone}"))) == ([("sms", "delivered")], 1)
    assert all(row.ended_at for row in live.rows(tables.attempt))


def test_without_the_option_nobody_is_asked(live: Workbench, other: Any, use: Any, phone: str) -> None:
    use("sms", lookup=False)
    owing(live, phone)
    arrived(live, other)
    assert (told(live), lookups(other, phone)) == ([("sms", "delivered")], [])


def test_where_the_lookup_fails_the_text_is_tried(
    live: Workbench, other: Any, use: Any, phone: str, monkeypatch: Any
) -> None:
    service = live.flow.world.notifiers["sms"]

    def broken(number: str) -> str:
        raise KeyError(number)

    monkeypatch.setattr(service, "line_type", broken)
    owing(live, phone)
    arrived(live, other)
    assert told(live) == [("sms", "delivered")]
    assert live.one(tables.contact_fact).line == "unknown"
    assert not any("555" in row.detail for row in live.rows(tables.attempt))


def test_a_number_that_nobody_has_is_not_texted_a_second_time(live: Workbench, other: Any, use: Any) -> None:
    use("sms", lookup=False)
    owing(live, "4145550198")
    assert (told(live), live.holds()) == ([("sms", "blocked")], ["notice_refused"])
    owing(live, "4145550198")
    assert (told(live)[1:], sorted(live.holds())) == ([("sms", "blocked")], ["contact_gone", "notice_refused"])
    tried = [row for row in live.rows(tables.attempt) if row.subject.startswith("notice:")]
    assert len(tried) == 1, "the second was never handed over"
    gone = live.one(tables.hold, cause="contact_gone")
    release.retry(live.flow, gone.id, by="anna")
    live.work("notify")
    assert "contact_gone" in live.holds(), "nobody said that the number is good"
    release.retry(live.flow, live.one(tables.hold, cause="contact_gone", state="open").id, by="anna", sure=True)
    live.work("notify")
    tried = [row for row in live.rows(tables.attempt) if row.subject.startswith("notice:")]
    assert (len(tried), live.holds()) == (2, ["notice_refused", "notice_refused"])


def test_a_landline_that_only_the_report_tells_of_is_learned(live: Workbench, other: Any, use: Any) -> None:
    use("sms", "mail", lookup=False)
    owing(live, "6085550199", "payer@example.org")
    other.hooks.until(lambda: told(live)[0] == ("sms", "undelivered"))
    live.work("notify")
    assert told(live) == [("sms", "undelivered"), ("mail", "sent")]
    owing(live, "6085550199", "payer@example.org")
    assert told(live)[2:] == [("sms", "blocked"), ("mail", "sent")]


def test_the_same_loop_through_a_gateway_of_anybodys(live: Workbench, other: Any, use: Any, phone: str) -> None:
    use("gate", "mail")
    owing(live, phone)
    other.hooks.until(lambda: told(live) == [("gate", "delivered")])
    [text] = other.texts(f"+1{phone}")
    assert "/p/" in text["body"]
    owing(live, "7085550199", "payer@example.org")
    other.hooks.until(lambda: told(live)[1] == ("gate", "undelivered"))
    live.work("notify")
    assert told(live)[2:] == [("mail", "sent")]
    owing(live, "4145550198")
    assert told(live)[3:] == [("gate", "blocked")]
    assert (live.rows(tables.notice)[-1].code, live.holds()) == ("unknown_recipient", ["notice_refused"])


@pytest.mark.parametrize(("answer", "state"), [("drop", "unknown"), ("500", "unknown"), ("503", "due")])
def test_a_gateway_that_fails_is_asked_again_only_where_nothing_can_have_gone_out(
    live: Workbench, other: Any, use: Any, phone: str, answer: str, state: str
) -> None:
    use("gate")
    other.call(f"/_control/gateway/next?answer={answer}")
    owing(live, phone)
    other.hooks.until(lambda: told(live)[0][1] in (state, "delivered"))
    sent = [one for one in other.get("/_control/gateway/requests") if one["to"] == f"+1{phone}"]
    if state == "due":
        live.clock.advance(minutes=2)
        live.work("notify")
        other.hooks.until(lambda: told(live) == [("gate", "delivered")])
        return
    live.work("notify")
    assert len(sent) == 1
    if answer == "500":
        assert (told(live), live.holds()) == ([("gate", "unknown")], ["notice_unknown"])
    else:  # it had it, and its report tells
        other.hooks.until(lambda: told(live) == [("gate", "delivered")])
        assert live.holds() == []


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("+4930901820", "landline"), ("+4915123456789", "mobile"), ("+442079460018", "landline"),
        ("+447400123456", "mobile"), ("+16085550148", "unknown"), ("+18005550148", "unknown"), ("", "unknown"),
        ("payer@example.org", "unknown"),
    ],
)  # fmt: skip
def test_the_numbering_plan_tells_where_it_tells(number: str, line: str) -> None:
    assert dead_ends.by_plan(number) == line


@given(st.text(max_size=20))
def test_what_is_no_number_is_of_no_known_line(text: str) -> None:
    assert dead_ends.by_plan(text) in ("mobile", "landline", "voip", "unknown")


def test_a_landline_abroad_is_told_by_its_number_alone_and_nobody_is_asked(
    live: Workbench, other: Any, use: Any
) -> None:
    assert dead_ends.line_of(live.flow, "+4930901820", "sms") == "landline"
    assert not [one for one in other.get("/_control/twilio/requests") if "4930901820" in one["path"]]
    assert live.rows(tables.attempt) == []
