"""By which channel, and by which next: SMS and e-mail through a real SMS sandbox and a real mail server."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from mailserver import MailServer
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line, unique

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.flow.paying import pay, record
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.ledger import books, errands, tables
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ports import NoticeEvent, NoticeReport, Sent
from chartpost.adapter.settings import Mail, Plugin, Settings

_last = iter(range(2, 96))
LANDLINE, NO_NUMBER = "6085550199", "6085550198"
SIGNED = Mail(sender="Lakeside Billing", address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org")


@pytest.fixture
def phone() -> str:
    """A number that no other test of this process writes to."""
    return f"41455501{next(_last):02d}"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


def ordered(settings: Settings, *order: str, mail: Mail | None = SIGNED) -> Settings:
    facility = settings.facilities["lakeside"].model_copy(update={"notifiers": order, "mail": mail})
    return settings.model_copy(update={"facilities": {"lakeside": facility}})


@pytest.fixture
def use(live: Workbench, other: Any, mail: MailServer) -> Callable[..., None]:
    """Take a configuration with these notifiers in this order."""

    def use(*order: str, signed: Mail | None = SIGNED, without: str = "") -> None:
        settings = ordered(configuration(other.ready), *order, mail=signed)
        smtp = Plugin.model_validate({
            "type": "smtp", "address": mail.address, "security": "none", "timeout_seconds": 0.5
        })  # fmt: skip
        notifiers = {**settings.notifiers, "mail": smtp}
        notifiers.pop(without, None)
        live.use(settings.model_copy(update={"notifiers": notifiers}))
        other.hooks.flow = live.flow

    use("sms", "mail")
    return use


def owing(live: Workbench, phone: str, email: str = "payer@example.org", source: str = "all") -> Any:
    body = dft(line("CG", "40.00", "ECHO"), account=unique("F"), phone=phone or "0000000000", name="Canary^Carla")
    number = f"^PRN^CP^^1^{phone[:3] or '000'}^{phone[3:] or '0000000'}"
    assert number.encode() in body
    written = number if phone else ""
    live.take(body.replace(number.encode(), f"{written}~^NET^Internet^{email}".encode()), source=source)
    return live.request()


def told(live: Workbench) -> list[tuple[str, str]]:
    return [(row.channel, row.state) for row in live.rows(tables.notice)]


def credited(live: Workbench) -> None:
    live.take(dft(line("CD", "40.00", "ECHO"), account=live.one(tables.account).number.decode()))


# ------------------------------------------------------------------------------------------------ the first channel


@pytest.mark.usefixtures("use")
def test_who_has_no_number_gets_a_neutral_mail_with_a_link_that_opens_the_request(
    live: Workbench, mail: MailServer
) -> None:
    request = owing(live, "")
    live.work()
    live.work()
    [letter] = mail.mails
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert (letter["To"], letter["Subject"]) == ("payer@example.org", "Lakeside")
    assert letter["From"] == "Lakeside Billing <pay@lakeside.example.org>"
    [address] = [word for word in plain.get_content().split() if "/p/" in word]
    assert address in html.get_content()
    assert pay.look(live.flow, address.rpartition("/")[2]).owed.minor == request.asked  # type: ignore[union-attr]
    assert not any(word in letter.as_string() for word in ("Canary", "Carla", "40.00", "ECHO", "Clinic", "USD"))
    notice = live.one(tables.notice)
    assert (notice.state, notice.notifier, live.holds()) == ("sent", "mail", [])
    assert letter["Message-ID"] == notice.provider_ref
    assert notice.public_id in notice.provider_ref


@pytest.mark.usefixtures("use")
def test_consent_is_about_texts_and_a_mail_goes_without_it(live: Workbench, mail: MailServer, phone: str) -> None:
    owing(live, phone, source="no_consent")
    live.work()
    assert (told(live), len(mail.mails), live.holds()) == ([("email", "sent")], 1, [])


@pytest.mark.usefixtures("use")
def test_who_can_be_reached_both_ways_is_told_once(live: Workbench, other: Any, mail: MailServer, phone: str) -> None:
    owing(live, phone)
    live.work()
    other.hooks.until(lambda: told(live) == [("sms", "delivered")])
    live.work()
    assert (len(other.texts("+1" + phone)), mail.mails, live.holds()) == (1, [], [])


def test_the_order_is_the_facilitys(live: Workbench, other: Any, mail: MailServer, phone: str, use: Any) -> None:
    use("mail", "sms")
    owing(live, phone)
    live.work()
    assert (told(live), len(mail.mails), other.texts("+1" + phone)) == ([("email", "sent")], 1, [])


@pytest.mark.parametrize(
    ("order", "email", "cause"),
    [(("sms", "mail"), "none", "no_contact"), (("mail",), "none", "no_email"), ((), "a@example.org", "no_notifier")],
)
def test_who_cannot_be_reached_at_all_is_on_the_work_list_once(
    live: Workbench, use: Any, order: tuple[str, ...], email: str, cause: str
) -> None:
    use(*order)
    owing(live, "", email=email)
    live.work()
    assert ([state for _, state in told(live)], live.holds()) == (["blocked"], [cause])
    assert live.rows(tables.attempt) == []


def test_a_notifier_for_mail_is_of_no_use_to_a_facility_that_does_not_say_how_it_signs(
    live: Workbench, mail: MailServer, use: Any
) -> None:
    use("mail", signed=None)
    owing(live, "")
    live.work()
    assert (live.holds(), mail.dialogs) == (["no_notifier"], 0)


def test_a_batch_of_messages_plans_all_its_notices_in_one_statement(bench: Workbench) -> None:
    bench.receive(*(dft(line("CG", "10.00"), account=f"B-{number}") for number in range(10)))
    inserts: list[int] = []

    @event.listens_for(bench.store.engine, "before_cursor_execute")
    def count(_c: Any, _k: Any, statement: str, *_: Any) -> None:
        inserts.extend([1] if statement.startswith("INSERT INTO notice") else [])

    bench.translate()
    event.remove(bench.store.engine, "before_cursor_execute", count)
    assert len(inserts) == 1
    assert len(bench.rows(tables.notice)) == 10


# ------------------------------------------------------------------------------------------------- the next channel


@pytest.mark.usefixtures("use")
def test_a_refused_text_gives_way_to_a_mail_and_no_person_is_needed(
    live: Workbench, other: Any, mail: MailServer
) -> None:
    owing(live, NO_NUMBER)
    live.work()
    assert told(live) == [("sms", "blocked"), ("email", "sent")]
    assert (len(mail.mails), live.holds()) == (1, [])


@pytest.mark.usefixtures("use")
def test_a_text_that_is_not_delivered_gives_way_to_a_mail(live: Workbench, other: Any, mail: MailServer) -> None:
    owing(live, LANDLINE)
    live.work("notify")
    other.hooks.until(lambda: len(told(live)) == 2)
    live.work()
    assert told(live) == [("sms", "undelivered"), ("email", "sent")]
    assert (len(mail.mails), live.holds()) == (1, [])


def test_a_mail_that_is_refused_gives_way_to_a_text(
    live: Workbench, other: Any, mail: MailServer, phone: str, use: Any
) -> None:
    use("mail", "sms")
    mail.answers["RCPT"] = "550 no such mailbox"
    owing(live, phone)
    live.work()
    other.hooks.until(lambda: told(live) == [("email", "blocked"), ("sms", "delivered")])
    assert (live.rows(tables.notice)[0].code, live.holds()) == ("550", [])


@pytest.mark.usefixtures("use")
def test_only_when_no_channel_is_left_a_person_is_told_once(live: Workbench, mail: MailServer) -> None:
    mail.answers["RCPT"] = "550 payer@example.org is unknown"
    owing(live, NO_NUMBER)
    live.work()
    assert (told(live), live.holds()) == ([("sms", "blocked"), ("email", "blocked")], ["notice_refused"])
    hold = live.one(tables.hold)
    assert "mail server refused" in hold.text
    assert "address in the chart" in hold.fix
    assert "our account" in hold.fix
    rows = " ".join(str(row) for row in (*live.rows(tables.hold), *live.rows(tables.attempt)))
    assert "payer@" not in rows


@pytest.mark.parametrize("fault", ["drop", "silence"])
def test_a_mail_of_which_nobody_knows_is_neither_sent_again_nor_followed_by_a_text(
    live: Workbench, other: Any, mail: MailServer, phone: str, use: Any, fault: str
) -> None:
    use("mail", "sms")
    mail.answers["DATA"] = fault
    owing(live, phone)
    live.work()
    live.clock.advance(hours=1)
    live.work()
    assert (told(live), live.holds()) == ([("email", "unknown")], ["notice_unknown"])
    assert (len(mail.mails), other.texts("+1" + phone)) == (1, [])
    assert live.one(tables.notice).public_id in live.one(tables.hold).fix, "by it the mail is found in the server's log"


@pytest.mark.usefixtures("use")
def test_a_text_in_doubt_gives_way_once_it_is_known_that_it_did_not_arrive(
    live: Workbench, other: Any, mail: MailServer, phone: str
) -> None:
    other.call("/_control/twilio/callbacks?mode=hold")
    other.call("/_control/twilio/next?answer=drop")
    owing(live, phone)
    live.work()
    assert (told(live), live.holds()) == ([("sms", "unknown")], ["notice_unknown"])
    [sms] = other.texts("+1" + phone)
    other.call(f"/_control/twilio/callback?sid={sms['sid']}&status=undelivered")
    live.work()
    assert (told(live), len(mail.mails)) == ([("sms", "undelivered"), ("email", "sent")], 1)
    assert (live.holds(), live.holds("done")) == ([], ["notice_unknown"])


@pytest.mark.usefixtures("use")
def test_a_process_that_died_in_the_call_leaves_a_question_and_no_message_by_another_channel(
    live: Workbench, other: Any, mail: MailServer
) -> None:
    owing(live, "")
    real = live.flow.world.notifiers["mail"]

    def die(text: Any) -> None:
        real.send(text)
        raise SystemExit("killed")

    world = {**live.flow.world.notifiers, "mail": SimpleNamespace(channel="email", send=die)}
    sound, live.flow = live.flow, replace(live.flow, world=replace(live.flow.world, notifiers=world))
    live.hands._flow = live.flow
    with pytest.raises(SystemExit):
        live.work()
    live.flow = live.hands._flow = sound
    errands.release_leases(live.store)
    live.work()
    assert (told(live), live.holds(), len(mail.mails)) == ([("email", "unknown")], ["notice_unknown"], 1)


@pytest.mark.usefixtures("use")
def test_a_closed_request_is_not_announced_by_another_channel(live: Workbench, other: Any, mail: MailServer) -> None:
    other.call("/_control/twilio/callbacks?mode=hold")
    owing(live, LANDLINE)
    live.work()
    credited(live)
    [sms] = [one for one in other.texts("+1" + LANDLINE) if one["sid"] == live.one(tables.notice).provider_ref]
    other.call(f"/_control/twilio/callback?sid={sms['sid']}&status=undelivered")
    live.work()
    assert (told(live), mail.mails, live.holds()) == ([("sms", "undelivered")], [], [])


def test_consent_that_was_withdrawn_meanwhile_leads_to_the_next_channel(
    live: Workbench, other: Any, mail: MailServer, phone: str
) -> None:
    settings = ordered(configuration(other.ready), "sms", "mail")
    smtp = Plugin.model_validate({"type": "smtp", "address": mail.address, "security": "none"})
    settings = settings.model_copy(update={"notifiers": {**settings.notifiers, "mail": smtp}})
    live.use(settings)
    owing(live, phone)
    sources = {**settings.sources, "all": settings.sources["no_consent"]}
    live.use(settings.model_copy(update={"sources": sources}))
    live.work()
    assert (told(live), other.texts("+1" + phone)) == ([("sms", "blocked"), ("email", "sent")], [])
    assert live.holds() == []


def test_a_notifier_that_was_taken_out_of_the_configuration_gives_way_too(
    live: Workbench, mail: MailServer, phone: str, use: Any
) -> None:
    owing(live, phone)
    use("mail", without="sms")
    live.work()
    assert (told(live), len(mail.mails), live.holds()) == ([("sms", "blocked"), ("email", "sent")], 1, [])


@pytest.mark.usefixtures("use")
def test_while_the_mail_server_is_away_one_hold_says_so_and_everything_goes_out_in_the_end(
    live: Workbench, mail: MailServer
) -> None:
    mail.answers["MAIL"] = "421 come back later"
    for _ in range(2):
        owing(live, "")
    for _ in range(6):
        live.work()
        live.clock.advance(seconds=61)
    assert {state for _, state in told(live)} == {"due"}
    assert live.holds() == ["not_reachable"]
    assert live.one(tables.hold).object == "notifier:mail"
    mail.answers.clear()
    live.work()
    assert (told(live), len(mail.mails)) == ([("email", "sent")] * 2, 2)
    assert (live.holds(), live.holds("done")) == ([], ["not_reachable"])


@pytest.mark.usefixtures("use")
def test_a_mail_server_that_refuses_one_mail_is_reachable_again(live: Workbench, mail: MailServer) -> None:
    mail.answers["MAIL"] = "421 come back later"
    owing(live, "")
    for _ in range(6):
        live.work()
        live.clock.advance(seconds=61)
    assert live.holds() == ["not_reachable"]
    mail.answers.clear()
    mail.answers["RCPT"] = "550 no such mailbox"
    live.work()
    assert (live.holds(), live.holds("done")) == (["notice_refused"], ["not_reachable"])


# -------------------------------------------------------------------------------------- reports in their own time


def arrives(live: Workbench, notice: Any, report: NoticeReport) -> None:
    """Let a report on a notice come in, however the service sends them."""
    real = live.flow.world.notifiers[notice.notifier]
    one = NoticeEvent(unique("report"), notice.provider_ref or "SM1", report, "30006")
    world = {**live.flow.world.notifiers, notice.notifier: SimpleNamespace(parse_report=lambda *_: one)}
    flow = replace(live.flow, world=replace(live.flow.world, notifiers=world))
    assert real.channel
    # The next channel is looked up in the same world.
    world[notice.notifier].channel = real.channel
    record.notice_report(flow, notice.notifier, f"/hooks/x/status?notice={notice.public_id}", b"", {})


@pytest.mark.usefixtures("use")
def test_a_report_that_is_faster_than_the_answer_falls_back_once_whatever_the_answer_is(
    live: Workbench, mail: MailServer, phone: str
) -> None:
    for outcome in (Sent("SM1"), Permanent("no", "21610"), Ambiguous("no answer")):
        owing(live, phone)
        notice = live.rows(tables.notice)[-1]

        def send(text: Any, notice: Any = notice, outcome: Any = outcome) -> Sent:
            arrives(live, notice, NoticeReport.UNDELIVERED)
            if isinstance(outcome, Sent):
                return outcome
            raise outcome

        world = {**live.flow.world.notifiers, "sms": SimpleNamespace(channel="sms", send=send)}
        sound, live.flow = live.flow, replace(live.flow, world=replace(live.flow.world, notifiers=world))
        live.hands._flow = live.flow
        live.work()
        live.flow = live.hands._flow = sound
    assert told(live) == [("sms", "undelivered"), ("email", "sent")] * 3
    assert (len(mail.mails), live.holds()) == (3, [])


@pytest.mark.usefixtures("use")
def test_a_late_report_on_an_old_notice_changes_nothing_once_a_newer_one_has_taken_over(
    live: Workbench, other: Any, mail: MailServer, phone: str
) -> None:
    """The first text was in doubt, a person had it sent again, and the second is in doubt as well."""
    other.call("/_control/twilio/callbacks?mode=hold")
    other.call("/_control/twilio/next?answer=drop&count=2")
    request = owing(live, phone)
    live.work()
    with live.store.write() as tx:
        key = live.one(tables.account).key
        notify.plan(live.flow, tx, [books.load(tx, [key])[key]])
    live.work()
    assert told(live) == [("sms", "unknown")] * 2
    first, second = live.rows(tables.notice)
    arrives(live, first, NoticeReport.UNDELIVERED)
    live.work()
    assert (told(live), mail.mails) == ([("sms", "undelivered"), ("sms", "unknown")], [])
    assert live.holds() == ["notice_unknown"], "the question about the second is still open"
    arrives(live, second, NoticeReport.DELIVERED)
    assert (live.holds(), live.request().state) == ([], request.state)


@pytest.mark.usefixtures("use")
def test_an_answer_and_a_report_at_the_same_moment_fall_back_once(live: Workbench, mail: MailServer) -> None:
    for _ in range(10):
        owing(live, "4145550101")
        notice, together = live.rows(tables.notice)[-1], threading.Barrier(2)

        def refused(text: Any, together: threading.Barrier = together) -> Sent:
            together.wait(10)
            raise Permanent("no", "21610")

        def reported(notice: Any = notice, together: threading.Barrier = together) -> None:
            together.wait(10)
            arrives(live, notice, NoticeReport.UNDELIVERED)

        world = {**live.flow.world.notifiers, "sms": SimpleNamespace(channel="sms", send=refused)}
        live.hands._flow = replace(live.flow, world=replace(live.flow.world, notifiers=world))
        with ThreadPoolExecutor(1) as pool:
            report = pool.submit(reported)
            live.work("notify")
            report.result(10)
        live.hands._flow = live.flow
        live.work("notify")
    texts, mails = told(live)[::2], told(live)[1::2]
    assert {channel for channel, _ in texts} == {"sms"}
    assert {state for _, state in texts} <= {"blocked", "undelivered"}
    assert mails == [("email", "sent")] * 10
    assert (len(mail.mails), live.holds()) == (10, [])


# ------------------------------------------------------------------------------------------------- what always holds

OUTCOMES = st.lists(st.sampled_from(["sent", "refused", "unknown", "transient", "died"]), max_size=4)
REPORTS = st.lists(st.sampled_from([NoticeReport.DELIVERED, NoticeReport.UNDELIVERED, NoticeReport.SENT]), max_size=3)


@given(
    order=st.permutations(["sms", "sms2", "mail"]), sms=OUTCOMES, mail=OUTCOMES, reports=REPORTS, closes=st.booleans(),
    contacts=st.sampled_from(["phone", "email", "both", "none"]),
)  # fmt: skip
@given_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_happens_nobody_is_told_twice_and_nobody_is_forgotten(
    migrated: Path, order: list[str], sms: list[str], mail: list[str], reports: list[NoticeReport], closes: bool,
    contacts: str,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(migrated, Path(directory) / "chartpost.db")
        store = Store.open(f"sqlite:///{directory}/chartpost.db", clock=Clock(MAY), migrate=False)

        @event.listens_for(store.engine, "connect")
        def fast(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        bench = Workbench(store, store.clock, ordered(configuration(), *order))  # type: ignore[arg-type]
        went: list[str] = []

        def notifier(channel: str, outcomes: list[str]) -> Any:
            left = iter(outcomes)

            def send(text: Any) -> Sent:
                outcome = next(left, "sent")
                if outcome in ("sent", "unknown", "died"):
                    went.append(channel)
                match outcome:
                    case "sent":
                        return Sent(unique())
                    case "refused":
                        raise Permanent("no", "550")
                    case "unknown":
                        raise Ambiguous("no answer")
                    case "transient":
                        raise Transient("later")
                raise SystemExit

            return SimpleNamespace(channel=channel, send=send, parse_report=None)

        texting = notifier("sms", sms)
        world = {"sms": texting, "sms2": texting, "mail": notifier("email", mail)}
        bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=world))
        bench.hands._flow = bench.flow
        try:
            phone = "6085550101" if contacts in ("phone", "both") else ""
            owing(bench, phone, email="payer@example.org" if contacts in ("email", "both") else "none")
            for report in [*reports, None]:
                for _ in range(12):
                    try:
                        bench.work("notify")
                    except SystemExit:
                        errands.release_leases(store)
                    bench.clock.advance(seconds=61)
                if report is not None and (texts := bench.rows(tables.notice, channel="sms")):
                    arrives(bench, texts[-1], report)
            notices, undelivered = told(bench), sum(state == "undelivered" for _, state in told(bench))
            assert len({channel for channel, _ in notices}) == len(notices), "each channel once"
            assert "due" not in {state for _, state in notices}
            assert len(went) - undelivered <= 1, "told twice"
            happy = notices[-1][1] in ("sent", "delivered")
            assert bool(bench.holds()) != happy, "either somebody was told, or a person is"
            assert len(bench.holds()) <= 1
            if closes:
                credited(bench)
                bench.work("notify")
                assert told(bench) == notices
            bench.check()
        finally:
            bench.close()
            store.close()
