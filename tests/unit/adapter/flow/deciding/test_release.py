"""release: a person retries or dismisses what waits; nothing counts twice, and who decided is on record."""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select, update
from workbench import MAY, Clock, Workbench, configuration, dft, line, unique

from chartpost.adapter.flow import ERRANDS
from chartpost.adapter.flow.charges import translate
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.posting import resend
from chartpost.adapter.ledger import errands, holds, states, tables
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.settings import Destination
from chartpost.adapter.story import story
from chartpost.adapter.values import Address
from chartpost.mappings import mapfile


def mended(settings_, tmp_path, **changes):
    """Return the settings with maps that know the code ZB, as an administrator would have changed them."""
    path = Path(tmp_path) / "site.yaml"
    shipped = mapfile.read_file("hl7v2-dft")[0]
    path.write_text(shipped.replace("CO: copay", "CO: copay\n      ZB: charge"), "utf-8")
    changed = {
        name: source.model_copy(update={"map": str(path), **changes.get(name, {})})
        for name, source in settings_.sources.items()
    }
    return settings_.model_copy(update={"sources": changed})


def number_of(bench, cause):
    """Return the number of the newest open hold of this cause."""
    return bench.rows(tables.hold, cause=cause, state="open")[-1].id


def retry(bench, cause, **more):
    return release.retry(bench.flow, number_of(bench, cause), by="anna", **more)


def dismiss(bench, cause, why="told by the desk"):
    return release.dismiss(bench.store, number_of(bench, cause), by="anna", why=why)


def balances(bench):
    return {row.number: row.balance for row in bench.rows(tables.account)}


# ------------------------------------------------------------------------------------------------------- messages


def test_a_message_is_read_again_with_the_mended_map_and_its_story_says_who_released_it(bench, tmp_path):
    row = bench.take(dft(line("ZB", "40.00")))
    assert row.state == "held"
    bench.use(mended(bench.flow.settings, tmp_path))
    said = retry(bench, "unreadable_line")
    assert (said.done, said.object, said.text) == (True, f"message:{row.id}", "the message is read again")
    bench.translate()
    assert (bench.one(tables.message).state, balances(bench)) == ("translated", {b"A-1": 4000})
    hold = bench.one(tables.hold)
    assert (hold.state, hold.closed_by, hold.note, hold.closed_at) == ("done", "anna", "", bench.clock())
    with bench.store.read() as connection:
        told = [moment.text for moment in story(connection, f"M{row.id}") if moment.noun == "hold"]
    assert told[-1] == "retried by anna"


def test_what_is_still_wrong_waits_again_under_a_new_hold(bench):
    bench.take(dft(line("ZB", "40.00")))
    assert retry(bench, "unreadable_line").done
    bench.translate()
    assert (bench.one(tables.message).state, bench.holds(), bench.holds("done")) == (
        "held", ["unreadable_line"], ["unreadable_line"],
    )  # fmt: skip


def test_a_second_retry_of_one_hold_does_nothing_and_says_so(bench, tmp_path):
    bench.take(dft(line("ZB", "40.00")))
    number = number_of(bench, "unreadable_line")
    bench.use(mended(bench.flow.settings, tmp_path))
    assert release.retry(bench.flow, number, by="anna").done
    bench.translate()
    again = release.retry(bench.flow, number, by="ben")
    assert (again.done, again.text) == (False, "it is done already")
    bench.translate()
    assert (balances(bench), bench.one(tables.hold).closed_by) == ({b"A-1": 4000}, "anna")


def test_two_people_at_once_release_it_once(bench, tmp_path):
    bench.take(dft(line("ZB", "40.00")))
    number = number_of(bench, "unreadable_line")
    bench.use(mended(bench.flow.settings, tmp_path))
    said = []
    people = [
        threading.Thread(target=lambda: said.append(release.retry(bench.flow, number, by="anna"))) for _ in range(4)
    ]
    people.append(threading.Thread(target=lambda: [translate.batch(bench.flow) for _ in range(20)]))
    for person in people:
        person.start()
    for person in people:
        person.join()
    bench.translate()
    assert sorted(one.done for one in said) == [False, False, False, True]
    assert balances(bench) == {b"A-1": 4000}


def test_a_control_id_that_came_again_with_other_content_is_translated_once_released(bench):
    bench.take(dft(line("CG", "40.00", "A"), control_id="SAME"), dft(line("CG", "7.00", "B"), control_id="SAME"))
    assert bench.holds() == ["changed_duplicate"]
    assert retry(bench, "changed_duplicate").done
    bench.translate()
    assert balances(bench) == {b"A-1": 4700}


def test_a_dismissed_message_never_counts_and_says_why(bench):
    row = bench.take(dft(line("ZB", "40.00")))
    said = dismiss(bench, "unreadable_line", "billed by\nhand")
    assert said.done
    assert "nothing of it counts" in said.text
    bench.translate()
    now = bench.one(tables.message)
    assert (now.state, now.reason, now.done_at) == ("ignored", "dismissed: billed by hand", bench.clock())
    assert bench.rows(tables.account) == []
    with bench.store.read() as connection:
        told = [moment.text for moment in story(connection, f"M{row.id}") if moment.noun == "hold"]
    assert told[-1] == "dismissed by anna: billed by hand"
    assert not release.retry(bench.flow, 1, by="anna").done, "dismissed is for good"


def test_what_waited_behind_a_held_message_counts_once_that_one_is_dismissed(bench):
    bench.take(dft(line("CG", "40.00", "A")), dft(line("ZB", "9.00", "A")), dft(line("CD", "15.00", "B")))
    assert sorted(bench.holds()) == ["behind_held", "unreadable_line"]
    assert dismiss(bench, "unreadable_line").done
    assert retry(bench, "behind_held").done
    bench.translate()
    assert (balances(bench), bench.holds()) == ({b"A-1": 2500}, [])


STATED = "PV1|1|O" + "|" * 44 + "{}"


def unread(bench, tmp_path, *bodies):
    """Take messages while their source, which states balances (PV1-46) and sends ADT too, is not configured."""
    path = tmp_path / "balance.yaml"
    row = "message:\n  - {target: balance, path: PV1-46, transform: money}\n"
    path.write_text(f"extends: hl7v2-dft-adt\n{row}", "utf-8")
    kept = bench.flow.settings
    source = kept.sources["all"].model_copy(update={"share": "balance", "map": str(path)})
    with_it = kept.model_copy(update={"sources": kept.sources | {"all": source}})
    bench.use(with_it)
    bench.receive(*bodies)
    bench.use(kept.model_copy(update={"sources": {"copay": kept.sources["copay"]}}))
    bench.translate()
    bench.use(with_it)


def test_an_old_statement_of_a_balance_does_not_come_back_over_a_newer_one(bench, tmp_path):
    unread(bench, tmp_path, dft(pv1=STATED.format("50.00")))
    bench.take(dft(pv1=STATED.format("20.00")))
    said = retry(bench, "unknown_source")
    assert (said.done, balances(bench)) == (False, {b"A-1": 2000})
    assert "newer message" in said.text


def test_an_old_balance_does_not_come_back_over_a_newer_one_that_changed_nothing(bench, tmp_path):
    bench.take(dft(line("CG", "20.00")))
    unread(bench, tmp_path, dft(pv1=STATED.format("50.00")))
    assert bench.take(dft(pv1=STATED.format("20.00"))).reason == "it states the balance that stands here"
    assert (retry(bench, "unknown_source").done, balances(bench)) == (False, {b"A-1": 2000})


def test_news_of_the_patient_make_no_balance_old_and_no_balance_makes_them_old(bench, tmp_path):
    def adt(name):
        return dft(name=f"Sample^{name}").replace(b"DFT^P03^DFT_P03", b"ADT^A08")

    unread(bench, tmp_path, adt("Anna"), dft(pv1=STATED.format("20.00")))
    assert retry(bench, "unknown_source").done
    bench.translate()
    assert bench.take(adt("Berta")).state == "translated"
    assert retry(bench, "unknown_source").done, "what an ADT says is judged by itself"
    bench.translate()
    assert (bench.one(tables.account).patient["given"], bench.holds()) == ("Berta", [])
    unread(bench, tmp_path, dft(pv1=STATED.format("30.00")))
    bench.take(adt("Clara"))
    assert retry(bench, "unknown_source").done
    bench.translate()
    assert balances(bench) == {b"A-1": 3000}


def test_a_released_message_is_not_acknowledged_a_second_time(bench, tmp_path):
    bench.use(mended(bench.flow.settings, tmp_path, all={"acks": Address("127.0.0.1:1"), "map": "hl7v2-dft"}))
    sent = []
    bench.flow.world.acks["all"] = sent.append
    bench.take(dft(line("ZB", "40.00")).replace(b"|2.5.1\r", b"|2.5.1|||AL|AL\r"))
    assert bench.work("ack") == ["ack"]
    bench.use(mended(bench.flow.settings, tmp_path))
    bench.flow.world.acks["all"] = sent.append
    assert retry(bench, "unreadable_line").done
    bench.translate()
    assert (bench.work("ack"), len(sent), balances(bench)) == ([], 1, {b"A-1": 4000})


def test_an_acknowledgement_that_could_not_be_delivered_is_sent_again_and_the_message_stays_as_it_is(bench):
    row = bench.take(dft(line("ZB", "40.00")))
    with bench.store.write() as tx:
        holds.add(tx, f"message:{row.id}", "no_application_ack", "could not be delivered", "check the address")
    assert retry(bench, "no_application_ack").text == "its acknowledgement is sent again"
    assert [(wanted.kind, wanted.subject) for wanted in bench.rows(tables.errand)] == [("ack", str(row.id))]
    assert (bench.one(tables.message).state, bench.holds()) == ("held", ["unreadable_line"])
    with bench.store.write() as tx:
        holds.add(tx, f"message:{row.id}", "no_application_ack", "could not be delivered", "check the address")
    assert dismiss(bench, "no_application_ack").text == "dismissed"
    assert bench.one(tables.message).state == "held"


# ------------------------------------------------------------------------------------------------------- postings


@pytest.fixture
def posted(live, other):
    """Make an account here and, if it is to be, at the clinic, pay 40.00 on it, and try to post that."""

    def make(body=None, known=True, answer=""):
        body = body or dft(line("CG", "40.00", unique()), account=unique("R"))
        if known:
            other.knows(body)
        assert live.take(body).state == "translated"
        live.pay(4000)
        if answer:
            other.call(f"/_control/clinic/next?answer={answer}")
        live.work("post", "deliver")
        return live.rows(tables.posting)[-1], body

    return make


def numbers(other, posting):
    """Return the control ids under which the clinic got this posting."""
    came = [one["control_id"] for one in other.get("/_control/clinic/received")]
    return [number for number in came if number.startswith(posting.public_id)]


def test_a_posting_that_the_chart_refused_is_sent_again_under_a_new_number(live, other, posted):
    posting, body = posted(known=False)
    assert (posting.state, live.holds()) == ("refused", ["refused"])
    assert retry(live, "refused").text == "it is written anew and sent again"
    live.work("post", "deliver")
    assert live.one(tables.posting).state == "refused"
    other.knows(body)
    assert resend.resend(live.flow, posting.public_id, by="ben").done
    live.work("post", "deliver")
    now = live.one(tables.posting)
    assert (now.state, now.answer_code, now.control_id) == ("accepted", "AA", f"{posting.public_id}-3")
    assert numbers(other, posting) == [posting.public_id, f"{posting.public_id}-2", f"{posting.public_id}-3"]
    assert (live.holds(), [row.closed_by for row in live.rows(tables.hold)]) == ([], ["anna", "ben"])
    assert resend.resend(live.flow, posting.public_id, by="ben").text.startswith("it is accepted")


def test_what_our_own_rules_refused_is_rendered_anew_with_the_mended_configuration(live, other, posted):
    account = unique("R")
    body = dft(line("CG", "40.00", "A"), account=account).replace(f"M-{account}^^^LAKESIDE^MR".encode(), b"")
    posting, _ = posted(body=body)
    assert live.holds() == ["not_sent"]
    live.take(dft(line("CG", "1.00", "B"), account=account))  # now the source sends what was missing
    assert retry(live, "not_sent").done
    live.work("post", "deliver")
    now = live.one(tables.posting)
    assert (now.state, now.control_id, live.holds()) == ("accepted", posting.public_id, [])


def test_nobody_knows_wants_a_person_who_has_looked_and_then_the_same_number_so_that_the_chart_counts_once(
    live, other, posted
):
    kept = configuration(other.ready)
    options = kept.destinations["chart"].options | {"timeout_seconds": 0.4}
    live.use(kept.model_copy(update={"destinations": {"chart": Destination.model_validate(options)}}))
    posting, _ = posted(answer="silence")
    assert live.holds() == ["unknown"]
    for said in (retry(live, "unknown"), resend.resend(live.flow, posting.public_id, by="anna")):
        assert not said.done
        assert "look at the account in the chart" in said.text
    assert (live.one(tables.posting).state, live.holds()) == ("unknown", ["unknown"])
    assert retry(live, "unknown", sure=True).done
    live.work("post", "deliver")
    assert (live.one(tables.posting).state, live.holds()) == ("accepted", [])
    assert numbers(other, posting) == [posting.public_id] * 2
    account = live.one(tables.account).number.decode()
    assert other.chart(account)["paid"] == "40.00", "it was there already, and was counted once"


def test_a_dismissed_posting_is_left_as_it_is(live, posted):
    posted(known=False)
    assert dismiss(live, "refused", "posted by hand").done
    live.work()
    assert (live.one(tables.posting).state, live.one(tables.hold).note) == ("refused", "posted by hand")


def test_a_posting_on_its_way_or_unknown_to_us_is_not_sent_again(bench):
    said = resend.resend(bench.flow, "PNOTHERE0000", by="anna")
    assert (said.done, said.text) == (False, "there is no such posting; `chartpost postings` lists them")


def test_a_posting_of_which_no_engine_says_a_word_is_sent_again_by_a_person_who_has_looked(live, posted):
    posting, _ = posted(known=False)
    with live.store.write() as tx:  # as with a destination of type broker, an hour later
        tx.run(update(tables.hold).values(state="done"))
        tx.run(update(tables.posting).values(state="published", answer_code=""))
    assert resend.resend(live.flow, posting.public_id, by="anna", sure=True).text.startswith("it is published")
    with live.store.write() as tx:
        holds.add(tx, f"posting:{posting.public_id}", "no_receipt", "nothing was heard", "look at the engine")
    assert "--yes" in retry(live, "no_receipt").text
    assert retry(live, "no_receipt", sure=True).done
    now = live.one(tables.posting)
    assert (now.state, now.control_id, live.holds()) == ("due", posting.control_id, [])


def test_an_invoice_that_could_not_be_balanced_is_tried_again_and_the_posting_stays_accepted(live, posted):
    posting, _ = posted()
    with live.store.write() as tx:
        holds.add(tx, f"posting:{posting.public_id}", "invoice_not_settled", "refused", "set it by hand")
    assert retry(live, "invoice_not_settled").done
    assert live.rows(tables.errand)[-1].kind == "settle"
    assert (live.one(tables.posting).state, live.holds()) == ("accepted", [])


# ------------------------------------------------------------------------------- requests, events, errands, the rest


def test_a_payer_without_a_number_is_told_once_the_chart_has_one(bench):
    bench.take(dft(line("CG", "40.00", "A"), phone=""))
    assert bench.holds() == ["no_phone"]
    said = retry(bench, "no_phone")
    assert said.done
    assert "it waits again, no_phone" in said.text, "nothing has changed yet"
    bench.take(dft(line("CG", "1.00", "B")))  # it brings the number, and nobody has to retry
    assert [row.state for row in bench.rows(tables.notice)] == ["blocked", "blocked", "due"]
    assert [row.kind for row in bench.rows(tables.errand)] == ["notify"]
    assert bench.holds() == []


def test_a_text_in_doubt_goes_out_again_only_for_a_person_who_has_looked(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    obj = f"request:{bench.request().public_id}"
    with bench.store.write() as tx:
        holds.add(tx, obj, "notice_unknown", "nobody knows", "look it up")
        holds.add(tx, obj, "notice_undelivered", "not delivered", "correct the number")
    assert "already" in retry(bench, "notice_unknown", sure=True).text, "one is due"
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(state="unknown"))
        tx.run(update(tables.errand).values(state="done"))
    assert "--yes" in retry(bench, "notice_unknown").text
    assert retry(bench, "notice_unknown", sure=True).done
    assert (len(bench.rows(tables.notice)), bench.holds()) == (2, []), "told once, for both"


def test_what_waits_on_a_request_waits_no_longer_once_nothing_is_owed_but_for_what_nobody_knows(bench):
    bench.take(dft(line("CG", "40.00", "A"), phone=""), dft(line("CG", "5.00", "A"), account="A-2", phone=""))
    paid, _ = bench.rows(tables.request)
    with bench.store.write() as tx:
        holds.add(tx, f"request:{paid.public_id}", "notice_unknown", "nobody knows", "look")
    assert sorted(bench.holds()) == ["no_phone", "no_phone", "notice_unknown"]
    bench.take(dft(line("CD", "40.00", "A"), phone=""))
    assert sorted(bench.holds()) == ["no_phone", "notice_unknown"]
    bench.pay(500, request=bench.request())
    assert bench.holds() == ["notice_unknown"]


def test_nobody_is_told_of_a_request_that_is_closed(bench):
    bench.take(dft(line("CG", "40.00", "A"), phone=""))
    with bench.store.write() as tx:
        holds.add(tx, f"request:{bench.request().public_id}", "notice_unknown", "nobody knows", "look")
    bench.take(dft(line("CD", "40.00", "A"), phone=""))
    said = retry(bench, "notice_unknown", sure=True)
    assert (said.done, len(bench.rows(tables.notice))) == (False, 1)
    assert dismiss(bench, "notice_unknown").done


def test_an_event_that_could_not_be_applied_is_tried_now(bench):
    with bench.store.write() as tx:
        row = {"provider": "card", "event_id": "evt_1", "type": "paid", "reference": "", "state": "received"}
        tx.run(tables.event.insert(), [row | {"raw": b"{}", "at": tx.now}])
        errands.add(tx, "apply", "card/evt_1", "apply:evt_1", tx.now.replace(year=2030))
        holds.add(tx, "event:evt_1", "not_applied", "cannot be applied", "compare")
    assert bench.due("apply") == []
    assert retry(bench, "not_applied").done
    assert (len(bench.due("apply")), bench.holds()) == (1, [])


def test_an_errand_that_was_given_up_is_asked_for_anew(bench):
    with bench.store.write() as tx:
        errands.add(tx, "lapse", "R1", "lapse:R1")
        tx.run(update(tables.errand).values(state="dead"))
        holds.add(tx, "errand:1", "gave_up", "failed", "report it")
    assert retry(bench, "gave_up").text == "lapse is tried again"
    assert [(row.kind, row.subject, row.lane, row.state) for row in bench.rows(tables.errand)] == [
        ("lapse", "R1", "lapse:R1", "dead"), ("lapse", "R1", "lapse:R1", "due"),
    ]  # fmt: skip


def test_a_card_page_that_stayed_open_is_closed_now(bench):
    with bench.store.write() as tx:
        holds.add(tx, "card_session:C1", "not_closed", "refused", "close it")
        holds.add(tx, "card_session:C1", "provider_refused", "refused", "check the keys")
    assert retry(bench, "not_closed").done
    assert [(row.kind, row.subject) for row in bench.rows(tables.errand)] == [("expire", "C1")]
    assert not retry(bench, "provider_refused").done


def test_what_cannot_be_tried_again_can_be_dismissed(bench):
    bench.take(dft(line("CG", "40.00", "A")))
    bench.pay(5000)
    said = retry(bench, "credit_balance")
    assert (said.done, said.text) == (
        False, "there is nothing to try again; once the matter is settled, dismiss it",
    )  # fmt: skip
    assert dismiss(bench, "credit_balance", "refunded").done
    assert bench.holds() == []


def test_a_hold_that_is_not_there_is_said_plainly(bench):
    said = release.retry(bench.flow, 99, by="anna")
    assert (said.id, said.done) == ("H99", False)
    assert "no such hold" in said.text


def test_the_open_holds_come_oldest_first_and_by_cause(bench):
    bench.take(dft(line("ZB", "1.00")), dft(line("ZB", "1.00")), dft(line("CG", "1.00"), account="A-2", phone=""))
    assert len(release.open_holds(bench.store)) == 3
    first, second = release.open_holds(bench.store, "unreadable_line")
    assert first < second


# -------------------------------------------------------------------------------------------------- what always holds

MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["A-1", "A-2"]),
        st.sampled_from(["CG", "CD", "ZB", "CO"]),
        st.sampled_from(["10.00", "25.00"]),
        st.sampled_from(["X", "Y"]),
        st.sampled_from(["", "T1", "T2"]),
    ),
    max_size=7,
)


@given(messages=MESSAGES, twice=st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_released_message_counts_exactly_as_if_it_had_come_then(migrated, messages, twice):
    bodies = [
        (kind == "ZB", dft(line(kind, amount, code, ref=ref), account=account))
        for account, kind, amount, code, ref in messages
    ]

    def play(steps):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "chartpost.db"
            shutil.copy(migrated, path)
            store = Store.open(f"sqlite:///{path}", clock=Clock(MAY), migrate=False)

            @event.listens_for(store.engine, "connect")
            def _fast(connection, _):
                connection.execute("PRAGMA synchronous=OFF")

            bench = Workbench(store, store.clock, configuration())  # type: ignore[arg-type]
            try:
                steps(bench, folder)
                bench.translate()
                bench.check()
                entries = select(tables.account.c.number, tables.entry.c.kind, tables.entry.c.amount).join(
                    tables.account, tables.account.c.id == tables.entry.c.account_id
                )
                with store.read() as connection:
                    lines = connection.execute(entries.order_by(tables.entry.c.id)).all()
                return [tuple(row) for row in lines], balances(bench), sorted(bench.holds())
            finally:
                bench.close()
                store.close()

    def released(bench, folder):
        for _, body in bodies:
            bench.take(body)
        bench.use(mended(bench.flow.settings, folder))
        for number in release.open_holds(store=bench.store):
            release.retry(bench.flow, number, by="anna")
            if twice:
                release.retry(bench.flow, number, by="ben")
        bench.translate()

    def come_later(bench, folder):
        held = []
        for _, body in bodies:
            if bench.take(body).state == "held":
                held.append(body)
        with bench.store.write() as tx:  # as if they had never come
            tx.run(tables.hold.delete().where(tables.hold.c.object.like("message:%")))
            tx.run(tables.message.delete().where(tables.message.c.state == states.Message.HELD))
        bench.use(mended(bench.flow.settings, folder))
        bench.receive(*held)
        bench.translate()

    assert play(released) == play(come_later)


def test_every_kind_of_object_that_a_hold_is_on_can_be_retried_or_says_why_not(bench):
    for noun in (
        "message",
        "posting",
        "request",
        "event",
        "card_session",
        "errand",
        "account",
        "payment",
        "destination",
    ):
        with bench.store.write() as tx:
            holds.add(tx, f"{noun}:0", "internal", "a test", "none")
        said = retry(bench, "internal")
        assert (said.done, bool(said.text)) == (False, True), noun
        assert dismiss(bench, "internal").done or noun == "message"
    assert set(ERRANDS) >= {"apply", "expire", "post", "ack"}


# ------------------------------------------------------------------------------------------------ rules that are waived


def waive(bench, cause):
    """Retry the newest hold of this cause with a yes, and translate."""
    said = retry(bench, cause, sure=True)
    bench.translate()
    return said.text


def test_a_second_service_that_looks_like_the_first_counts_once_a_person_says_so(bench):
    bench.take(dft(line("CG", "40.00", "A")), dft(line("CG", "40.00", "A")))
    assert bench.holds() == ["same_line"]
    retry(bench, "same_line")
    bench.translate()
    assert bench.holds() == ["same_line"], "a retry alone tells nobody apart"
    assert waive(bench, "same_line").endswith("same_line waived")
    assert (balances(bench), bench.holds()) == ({b"A-1": 8000}, [])
    assert bench.rows(tables.message)[-1].waived == "same_line"


def test_a_payment_at_the_desk_that_looks_like_our_echo_counts_once_a_person_says_so(bench):
    bench.take(dft(line("CG", "40.00", "A"), line("CG", "25.00", "B")))
    bench.pay(2500)
    bench.take(dft(line("PY", "25.00", "")))
    assert bench.holds() == ["maybe_echo"]
    waive(bench, "maybe_echo")
    assert balances(bench) == {b"A-1": 1500}


def test_a_stop_of_the_map_is_lifted_by_a_person_and_by_nobody_else(bench, tmp_path):
    path = tmp_path / "stops.yaml"
    rule = "{when: 'account.startsWith(\"C-\")', cause: collections, text: in collections}"
    path.write_text(f"extends: hl7v2-dft\nstop:\n  - {rule}\n", "utf-8")
    kept = bench.flow.settings
    source = kept.sources["all"].model_copy(update={"map": str(path)})
    bench.use(kept.model_copy(update={"sources": kept.sources | {"all": source}}))
    bench.take(dft(line("CG", "40.00", "A"), account="C-1"))
    assert bench.holds() == ["collections"]
    assert retry(bench, "collections").text == "the message is read again"
    bench.translate()
    assert (bench.holds(), bench.rows(tables.request)) == (["collections"], [])
    assert waive(bench, "collections").endswith("collections waived")
    assert (bench.one(tables.message).state, bench.holds()) == ("translated", [])


def test_what_no_person_may_waive_waits_again_whatever_they_say(bench):
    bench.take(dft(line("CG", "40.00&EUR", "A")))
    assert waive(bench, "currency") == "the message is read again"
    assert (bench.holds(), bench.one(tables.message).waived) == (["currency"], "")


def test_the_story_says_who_waived_a_rule(bench):
    bench.take(dft(line("CG", "40.00", "A")), dft(line("CG", "40.00", "A")))
    waive(bench, "same_line")
    with bench.store.read() as connection:
        told = [moment.text for moment in story(connection, "M2") if moment.noun == "hold"]
    assert told[-1] == "waived by anna"


def test_every_rule_that_may_be_waived_stands_in_the_documents():
    page = (Path(__file__).parents[5] / "docs" / "admin" / "holds.md").read_text("utf-8")
    table = page.split("## Waive a rule")[1].split("\n## ")[0]
    assert all(f"| `{cause}` |" in table for cause in release.WAIVABLE)
