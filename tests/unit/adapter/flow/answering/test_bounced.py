"""Mail that came back: found by its notice, counted once, and given way to the next channel or to a person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.errors import ChartpostError, Permanent
from chartpost.adapter.flow.answering import bounced
from chartpost.adapter.flow.telling import dead_ends
from chartpost.adapter.ledger import books, contact_facts, tables
from chartpost.adapter.settings import Mail, Plugin, Settings
from chartpost.adapter.web.app import web_app

SIGNED = Mail(sender="Lakeside Billing", address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org")


def settings(base: Settings, smtp: str, secret: str, *order: str, source: str = "all", **more: str) -> Settings:
    facility = base.facilities["lakeside"].model_copy(update={"notifiers": order, "mail": SIGNED})
    mail = {"type": "smtp", "address": smtp, "security": "none", "timeout_seconds": 3, "bounce_secret": secret} | more
    notifiers = base.notifiers | {"mail": Plugin.model_validate(mail)}
    return base.model_copy(update={"facilities": {"lakeside": facility}, "notifiers": notifiers})


@pytest.fixture
def back(live: Workbench, other: Any) -> Any:
    """Take a configuration that writes mail through the sandbox, which brings back what is nobody's."""
    ready = other.ready

    def use(*order: str, **more: str) -> None:
        live.use(settings(configuration(ready), ready["smtp"], ready["bounce_secret"], *order, **more))
        other.hooks.flow = live.flow

    other.call(f"/_control/mail/bounces?url={other.hooks.url}/hooks/mail/bounce&token={ready['bounce_secret']}")
    use("mail", "sms")
    yield use
    other.call("/_control/mail/bounces")


def owing(live: Workbench, email: str, phone: str = "") -> Any:
    body = dft(line("CG", "40.00", "ECHO"), account=unique("B"), phone=phone or "0000000000", name="Canary^Carla")
    number = f"^PRN^CP^^1^{phone[:3] or '000'}^{phone[3:] or '0000000'}"
    written = number if phone else ""
    live.take(body.replace(number.encode(), f"{written}~^NET^Internet^{email}".encode()))
    return live.request()


def states(live: Workbench) -> list[tuple[str, str, str]]:
    return [(row.channel, row.state, row.code) for row in live.rows(tables.notice)]


@pytest.mark.parametrize("envelope", ["", "bounce@lakeside.example.org"])
def test_a_mail_that_nobody_has_comes_back_and_the_next_channel_is_tried(
    live: Workbench, other: Any, back: Any, envelope: str
) -> None:
    back("mail", "sms", bounce_address=envelope)
    owing(live, f"{unique('bounce-').lower()}@example.org", "4145550171")
    live.work("notify")
    other.hooks.until(lambda: ("mail", "undelivered", "5.1.1") in {("mail", *one[1:]) for one in states(live)})
    assert states(live)[0] == ("email", "undelivered", "5.1.1")
    live.work("notify")
    other.hooks.until(lambda: states(live)[-1][:2] == ("sms", "delivered"))
    assert live.holds() == []
    event = next(row for row in live.rows(tables.event) if row.event_id.startswith("bounce/"))
    assert (event.provider, event.state, event.reference) == ("mail", "applied", live.rows(tables.notice)[0].public_id)


def test_without_another_channel_a_person_is_told_and_the_address_is_not_written_to_again(
    live: Workbench, other: Any, back: Any
) -> None:
    back("mail")
    email = f"{unique('bounce-').lower()}@example.org"
    owing(live, email)
    live.work("notify")
    other.hooks.until(lambda: states(live)[-1][1] == "undelivered")
    assert live.holds() == ["notice_undelivered"]
    with live.store.read() as connection:
        why = dead_ends.why_not(connection, live.clock(), "email", email.upper())
    assert why is not None
    assert (why[0], email in "".join(why)) == ("contact_gone", False)
    owing(live, email)
    live.work("notify")
    assert [one[1] for one in states(live)] == ["undelivered", "blocked"]
    assert sorted(live.holds()) == ["contact_gone", "notice_undelivered"]


def test_what_is_only_late_changes_nothing(live: Workbench, other: Any, back: Any) -> None:
    owing(live, f"{unique('late-').lower()}@example.org")
    live.work("notify")
    other.hooks.until(lambda: [row for row in live.rows(tables.event) if row.event_id.startswith("bounce/")])
    assert states(live) == [("email", "sent", "")]
    event = next(row for row in live.rows(tables.event) if row.event_id.startswith("bounce/"))
    assert (event.state, event.reason) == ("ignored", "says nothing about the end")


def mailed(bench: Workbench, *order: str) -> Any:
    """A notice that has gone out by e-mail, as if it had been sent."""
    bench.use(settings(configuration(), "127.0.0.1:1", "a-secret-of-the-tests", *(order or ("mail",))))
    owing(bench, "payer@example.org")
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(state="sent", provider_ref="<x@lakeside.example.org>"))
    return bench.one(tables.notice)


def dsn(to: str, code: str = "5.1.1", action: str = "failed", number: int = 1) -> bytes:
    return (
        f"From: MAILER-DAEMON@mx.example.org\r\nTo: {to}\r\nMessage-ID: <{number}@mx.example.org>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        f"Final-Recipient: rfc822; payer@example.org\r\nAction: {action}\r\nStatus: {code}\r\n\r\n--b--\r\n"
    ).encode()


def test_a_second_copy_is_known_and_an_address_that_is_only_full_is_not_given_up(bench: Workbench) -> None:
    notice = mailed(bench)
    mail = dsn(f"bounce+{notice.public_id}@lakeside.example.org", "5.2.2")
    assert bounced.piped(bench.flow, "mail", mail) == ""
    assert bounced.piped(bench.flow, "mail", mail) == "it is here already"
    again = dsn(f"bounce+{notice.public_id}@lakeside.example.org", "5.1.1", number=2)
    assert bounced.piped(bench.flow, "mail", again) == "came late: the notice is undelivered already"
    after = bench.one(tables.notice)
    assert (after.state, after.provider_ref) == ("undelivered", notice.provider_ref)
    assert (bench.holds(), bench.rows(tables.contact_fact)) == (["notice_undelivered"], [])
    assert [row.state for row in bench.rows(tables.event)] == ["applied", "ignored"]


def test_copies_that_come_at_the_same_moment_count_once(bench: Workbench) -> None:
    notice = mailed(bench)
    mail = dsn(f"bounce+{notice.public_id}@lakeside.example.org")

    def bring(_: int) -> str:
        try:
            return bounced.piped(bench.flow, "mail", mail)
        except (IntegrityError, ChartpostError):  # whoever brought it is told to come again
            return bounced.piped(bench.flow, "mail", mail)

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(bring, range(4)))
    assert sorted(said) == ["", *["it is here already"] * 3]
    assert (len(bench.rows(tables.event)), bench.holds()) == (1, ["notice_undelivered"])


def test_a_mail_that_comes_back_while_somebody_works_on_the_account_waits_for_them_and_counts(bench: Workbench) -> None:
    """Both want the account and its notice: on PostgreSQL who took them the other way round would be thrown out."""
    notice = mailed(bench)
    mail = dsn(f"bounce+{notice.public_id}@lakeside.example.org")
    waits = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with ThreadPoolExecutor(1) as pool:
        with bench.store.write() as tx:
            books.load(tx, [bench.one(tables.account).key])
            brought = pool.submit(bounced.piped, bench.flow, "mail", mail)
            while tx.connection.dialect.name == "postgresql":
                with bench.store.read() as connection:
                    if connection.scalar(waits):
                        break
            tx.one(select(tables.notice).with_for_update())
        assert brought.result(10) == ""
    assert bench.one(tables.notice).state == "undelivered"


def test_what_names_no_notice_of_this_notifier_is_kept_and_changes_nothing(bench: Workbench) -> None:
    notice = mailed(bench)
    for number, to in enumerate(("pay@lakeside.example.org", "bounce+N00000000000@lakeside.example.org")):
        assert bounced.piped(bench.flow, "mail", dsn(to, number=number)).startswith("not ours")
    flow = bench.flow
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(notifier="other"))
    assert bounced.piped(flow, "mail", dsn(f"b+{notice.public_id}@x.example.org", number=9)).startswith("not ours")
    assert bounced.piped(flow, "mail", b"Hello, I have a question.").startswith("not ours")
    assert (bench.one(tables.notice).state, bench.holds()) == ("sent", [])


def test_only_who_knows_the_secret_may_bring_mail_over_http_and_only_to_a_notifier_of_mail(bench: Workbench) -> None:
    notice = mailed(bench)
    mail = dsn(f"bounce+{notice.public_id}@lakeside.example.org")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}, {"authorization": "Bearer é"}):
        with pytest.raises(Permanent):
            bounced.brought(bench.flow, "mail", mail, headers)
    assert (bench.one(tables.notice).state, bench.rows(tables.event)) == ("sent", [])
    bounced.brought(bench.flow, "mail", mail, {"authorization": "Bearer a-secret-of-the-tests"})
    assert bench.one(tables.notice).state == "undelivered"
    bench.use(settings(configuration(), "127.0.0.1:1", "", "mail"))
    with pytest.raises(Permanent):
        bounced.brought(bench.flow, "mail", dsn("x@example.org", number=4), {"authorization": "Bearer "})


def test_over_http_it_is_answered_after_the_commit_and_a_stranger_is_refused(bench: Workbench) -> None:
    notice = mailed(bench)
    mail = dsn(f"bounce+{notice.public_id}@lakeside.example.org")
    client = TestClient(web_app(bench.flow, public_url="https://pay.example.org", card_page_origins=[]))
    known = {"Authorization": "Bearer a-secret-of-the-tests"}
    assert client.post("/hooks/mail/bounce", content=mail).status_code == 400
    assert client.post("/hooks/nobody/bounce", content=mail, headers=known).status_code == 404
    assert client.post("/hooks/mail/bounce", content=b"x" * 1_000_001, headers=known).status_code == 413
    assert bench.one(tables.notice).state == "sent"
    assert client.post("/hooks/mail/bounce", content=mail, headers=known).status_code == 204
    assert client.post("/hooks/mail/bounce", content=mail, headers=known).status_code == 204
    assert bench.one(tables.notice).state == "undelivered"


def test_a_fact_counts_for_half_a_year_and_a_message_that_arrives_ends_it(bench: Workbench) -> None:
    key = "0" * 32
    with bench.store.write() as tx:
        contact_facts.learn(tx, key, dead="5.1.1")
        contact_facts.learn(tx, key, line="mobile")
    with bench.store.read() as connection:
        assert contact_facts.of(connection, key, bench.clock()) == contact_facts.Fact("mobile", "5.1.1")
    with bench.store.write() as tx:
        contact_facts.revive(tx, key)
        assert contact_facts.of(tx.connection, key, tx.now) == contact_facts.Fact("mobile", "")
        contact_facts.learn(tx, key, dead="5.1.1")
    bench.clock.advance(days=181)
    with bench.store.write() as tx:
        assert contact_facts.of(tx.connection, key, tx.now) == contact_facts.Fact()
        contact_facts.learn(tx, key, line="landline")
        assert contact_facts.of(tx.connection, key, tx.now) == contact_facts.Fact("landline", "")
