"""What a payer says instead of paying is heard once, by a person, and nobody is reminded meanwhile."""

from __future__ import annotations

import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from workbench import configuration, dft, line

from chartpost.adapter.flow.answering import choices, identify
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.paying import view
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import tables

CHOICES = ("not_me", "already_paid", "question", "cannot_afford")


@pytest.fixture
def token(bench):
    """The link of a request that went to a phone."""
    bench.take(dft(line("CO", "45.00")))
    return bench.token()


def lapsing(bench, **changes):
    """Let requests end after some days, and open one."""
    data = configuration().model_dump(mode="json")["facilities"]["lakeside"] | {"request_days": 3} | changes
    bench.use(configuration(facilities={"lakeside": data}))
    bench.take(dft(line("CO", "45.00"), account="L-1"))
    tell(bench)
    return bench.token()


def tell(bench):
    """As if what is due had gone out some time ago."""
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(state="delivered"))


def acts(bench, by="payer"):
    return [row.verb for row in bench.rows(tables.act, by=by)]


@pytest.mark.parametrize("choice", CHOICES)
def test_each_choice_pauses_reminders_and_reaches_the_work_list(bench, token, choice):
    assert choices.say(bench.flow, token, choice)
    assert bench.request().paused == choice
    assert bench.holds() == [f"payer_{choice}"]
    assert acts(bench) == [choice]


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_said_twice_counts_once(bench, token, choice):
    for _ in range(3):
        assert choices.say(bench.flow, token, choice, "The same words.")
    assert acts(bench) == [choice]
    assert bench.holds() == [f"payer_{choice}"]


def test_two_tabs_at_once_say_it_once(bench, token):
    said = [
        threading.Thread(target=choices.say, args=(bench.flow, token, "already_paid", "By cheque.")) for _ in range(4)
    ]
    for one in said:
        one.start()
    for one in said:
        one.join()
    assert acts(bench) == ["already_paid"]
    assert bench.holds() == ["payer_already_paid"]


def test_once_a_person_has_answered_it_can_be_said_again(bench, token):
    choices.say(bench.flow, token, "question", "How much?")
    release.dismiss(bench.store, bench.one(tables.hold).id, by="ann", why="answered")
    choices.say(bench.flow, token, "question", "How much?")
    assert acts(bench) == ["question", "question"]
    assert bench.holds() == ["payer_question"]


def test_the_payers_words_are_kept_with_the_act_and_nowhere_else(bench, token):
    words = "My knee, Dr. Rook, on the fourth of May"
    choices.say(bench.flow, token, "question", words)
    (said,) = bench.rows(tables.act)
    assert said.note.decode() == words
    elsewhere = [bench.rows(table) for table in tables.metadata.sorted_tables if table is not tables.act]
    assert words not in str(elsewhere)


def test_more_words_make_another_act_and_no_second_hold(bench, token):
    choices.say(bench.flow, token, "question", "How much?")
    choices.say(bench.flow, token, "question", "And until when?")
    assert acts(bench) == ["question", "question"]
    assert bench.holds() == ["payer_question"]


def test_after_some_words_a_day_no_more_are_kept(bench, token):
    heard = [choices.say(bench.flow, token, "question", f"Question {number}") for number in range(7)]
    assert heard == [True] * choices.A_DAY + [False] * 2
    assert len(acts(bench)) == choices.A_DAY
    bench.clock.advance(days=1, seconds=1)
    assert choices.say(bench.flow, token, "question", "Another day")


def test_whoever_says_not_me_is_shown_and_sent_nothing_more(bench, token):
    before = view.look(bench.flow, token)
    choices.say(bench.flow, token, "not_me")
    after = view.look(bench.flow, token)
    assert (before.state, before.owed.minor) == ("open", 4500)
    assert (after.state, after.owed.minor, after.offers, after.waits) == ("not_me", 0, (), ())
    assert may_text(bench) is False
    bench.take(dft(line("CO", "10.00"), account="A-2"))
    assert bench.holds().count("payer_not_me") == 1
    assert not choices.renew(bench.flow, token)


def may_text(bench, to="+16085550101"):
    with bench.store.read() as connection:
        found = consent.why_not(
            connection, bench.flow, source="all", facility="lakeside", notifier="sms", channel="sms", recipient=to
        )
    return found is None


def test_stop_is_for_the_number_that_says_so(bench, token):
    with bench.store.write() as tx:
        (first,) = tx.all(tables.notice.select())
        row = dict(first._mapping) | {"public_id": "N2", "recipient": b"+16085550102"}
        del row["id"]
        tx.run(tables.notice.insert(), [row])
    assert choices.say(bench.flow, token, "stop", to=1)
    assert may_text(bench)
    assert not may_text(bench, "+16085550102")
    assert bench.request().paused == ""
    choices.say(bench.flow, token, "not_me", to=7)
    assert not may_text(bench), "where nobody says which, all of them"


def test_a_choice_on_a_request_that_is_over_adds_nothing(bench, token):
    bench.take(dft(line("PY", "45.00", "CASH")))
    assert choices.say(bench.flow, token, "already_paid")
    assert bench.holds() == []
    assert acts(bench) == []


def test_a_hold_of_the_payer_says_what_helps_and_a_retry_writes_to_nobody(bench, token):
    choices.say(bench.flow, token, "not_me")
    tell(bench)
    before = len(bench.rows(tables.notice))
    done = release.retry(bench.flow, bench.one(tables.hold).id, by="ann", sure=True)
    assert not done.done
    assert len(bench.rows(tables.notice)) == before
    assert bench.holds() == ["payer_not_me"]


def test_the_language_is_remembered_on_the_request_if_the_practice_speaks_it(bench, token):
    assert view.look(bench.flow, token).locale == "en_US"
    choices.speak(bench.flow, token, "es")
    assert view.look(bench.flow, token).locale == "es_US"
    assert bench.request().language == "es"
    choices.speak(bench.flow, token, "xx")
    assert bench.request().language == "es"


# --------------------------------------------------------------------------------------------------------- a new link


def test_a_link_that_is_too_old_is_sent_again_to_where_it_went_and_never_shown(bench):
    token = lapsing(bench)
    bench.clock.advance(days=3)
    assert view.look(bench.flow, token).state == "expired", "before its errand has said so, too"
    bench.work("lapse")
    tell(bench)
    assert choices.renew(bench.flow, token)
    assert view.look(bench.flow, token).state == "open"
    newest = bench.rows(tables.notice)[-1]
    assert (newest.state, newest.recipient) == ("due", b"+16085550101")
    assert bench.holds() == ["payer_wants_link"]
    bench.clock.advance(days=3)
    bench.work("lapse")
    assert view.look(bench.flow, token).state == "expired", "it ends again"


def test_a_new_link_is_made_once_a_day_however_often_somebody_asks(bench):
    token = lapsing(bench)
    bench.clock.advance(days=3)
    bench.work("lapse")
    tell(bench)
    for _ in range(3):
        choices.renew(bench.flow, token)
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(state="expired"))
    assert choices.renew(bench.flow, token)
    assert view.look(bench.flow, token).state == "expired"
    assert acts(bench).count("renew") == 1
    assert len([row for row in bench.rows(tables.notice) if row.state == "due"]) == 1


def test_a_one_time_link_is_good_for_one_day_again(bench):
    token = lapsing(bench)
    row = bench.request()
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(expires_at=row.opened_at.replace(day=5)))
    bench.clock.advance(days=2)
    choices.renew(bench.flow, token)
    assert (bench.request().expires_at - bench.clock()).total_seconds() == 86400


@pytest.mark.parametrize("why", ["nothing is owed", "stopped", "another request is open"])
def test_where_a_new_link_cannot_be_made_a_person_is_told_and_nothing_is_sent(bench, why):
    token = lapsing(bench)
    bench.clock.advance(days=3)
    bench.work("lapse")
    if why == "nothing is owed":
        bench.take(dft(line("PY", "45.00", "CASH"), account="L-1"))
    elif why == "stopped":
        with bench.store.write() as tx:
            tx.run(update(tables.account).values(stopped="deceased"))
    else:
        bench.take(dft(line("CO", "5.00"), account="L-1"))
    tell(bench)
    assert choices.renew(bench.flow, token)
    assert view.look(bench.flow, token).state == "expired"
    assert [row for row in bench.rows(tables.notice) if row.state == "due"] == []
    assert "payer_wants_link" in bench.holds()


def test_a_link_that_is_good_needs_no_new_one(bench, token):
    assert not choices.renew(bench.flow, token)
    assert bench.holds() == []


def test_an_expired_link_shows_nothing_more_after_a_check_than_before_it_ended(bench):
    token = lapsing(bench)
    bench.clock.advance(days=3)
    bench.work("lapse")
    assert identify.ways(bench.flow, token).code == ""


@given(st.text(max_size=900))
def test_what_is_kept_of_words_is_short_printable_and_kept_the_same_when_it_comes_again(words):
    kept = choices.tidy(words)
    assert len(kept) <= choices.LONGEST
    assert not [sign for sign in kept if unicodedata.category(sign) in ("Cc", "Cf", "Cs") and sign != "\n"]
    assert choices.tidy(kept) == kept
