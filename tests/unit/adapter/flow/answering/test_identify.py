"""Who opens a link shows who they are; who does not know, learns nothing, however often they try."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from workbench import LINK_KEY, configuration, dft, line

from chartpost.adapter.flow.answering import codes, identify, known
from chartpost.adapter.flow.asking import ask as asking
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.paying import view
from chartpost.adapter.ledger import books, tables

BORN, OTHER = dt.date(1980, 1, 31), dt.date(1980, 1, 30)
CHILD = dt.date(2015, 6, 1)
PHONE = {"kind": "phone", "value": "+16085550101", "mobile": True}
SECOND = {"kind": "phone", "value": "+16085550102", "mobile": True}
MAIL = {"kind": "email", "value": "silvia@home.example.org", "mobile": None}
OFFICE = {"sender": "Lakeside", "address": "pay@lakeside.example.org", "reply_to": "pay@lakeside.example.org"}


def party(*contacts, born=None, role="patient", given="Silvia"):
    return {
        "role": role, "family": "Sample", "given": given, "contacts": list(contacts),
        "birth_date": born.isoformat() if born else None, "language": "",
    }  # fmt: skip


def facility(bench, **changes):
    """Let the facility write by text and mail, and be as the test wants it."""
    data = configuration().model_dump(mode="json")["facilities"]["lakeside"]
    data |= {"notifiers": ["sms", "mail"], "mail": OFFICE, "quiet": "none"} | changes
    bench.use(configuration(facilities={"lakeside": data}))
    both = {"sms": SimpleNamespace(channel="sms"), "mail": SimpleNamespace(channel="email")}
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=both))


@pytest.fixture
def token(bench):
    """The link of a request that went to the patient's phone."""
    facility(bench)
    bench.take(dft(line("CO", "45.00")))
    people(bench, patient=party(PHONE, MAIL, born=BORN))
    return bench.token()


def people(bench, **columns):
    with bench.store.write() as tx:
        tx.run(update(tables.account).values(**columns))


def code(bench, number=-1):
    """What the newest code says, as the message would."""
    return codes.shown(codes.code(LINK_KEY, bench.rows(tables.identity_try, kind="code")[number].public_id))


def notices(bench):
    return [(row.channel, row.recipient.decode()) for row in bench.rows(tables.notice, purpose="code")]


# ------------------------------------------------------------------------------------------------------ date of birth


def test_the_right_date_of_birth_opens_the_page_for_half_an_hour_and_this_link_only(bench, token):
    answered = identify.by_birth_date(bench.flow, token, BORN)
    assert answered.outcome == "good"
    assert identify.verified(bench.flow, token, answered.cookie) == "payer"
    bench.take(dft(line("CO", "10.00"), account="A-2"))
    assert identify.verified(bench.flow, bench.token(), answered.cookie) == ""
    bench.clock.advance(minutes=30)
    assert identify.verified(bench.flow, token, answered.cookie) == ""


def test_the_cookie_is_not_in_the_ledger_and_another_one_opens_nothing(bench, token):
    cookie = identify.by_birth_date(bench.flow, token, BORN).cookie
    row = bench.one(tables.visit)
    assert len(cookie) >= 22
    assert cookie not in str(row)
    for wrong in ("", cookie[:-1], cookie + "A", row.token_hash, "\ud800"):
        assert identify.verified(bench.flow, token, wrong) == ""


def test_the_cookie_does_not_show_when_an_answer_is_printed(bench, token):
    answered = identify.by_birth_date(bench.flow, token, BORN)
    assert answered.cookie not in repr(answered)


def test_after_five_wrong_dates_the_right_one_opens_nothing_until_a_day_is_over_and_a_person_is_told(bench, token):
    outcomes = [identify.by_birth_date(bench.flow, token, OTHER).outcome for _ in range(6)]
    assert outcomes == ["wrong"] * 4 + ["locked"] * 2
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "locked"
    assert identify.ways(bench.flow, token).birth_locked
    assert bench.holds().count("identity_locked") == 1
    assert bench.rows(tables.visit) == []
    bench.clock.advance(hours=24, seconds=1)
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "good"


def test_four_guesses_a_day_come_to_an_end_too_until_a_person_has_looked(bench, token):
    for _ in range(5):
        outcomes = [identify.by_birth_date(bench.flow, token, OTHER).outcome for _ in range(4)]
        bench.clock.advance(days=2)
    assert outcomes == ["wrong"] * 3 + ["locked"]
    assert bench.holds() == ["identity_locked"]
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "locked"
    release.dismiss(bench.store, bench.one(tables.hold).id, by="ana", why="talked to the payer")
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "good"
    assert identify.by_birth_date(bench.flow, token, OTHER).outcome == "wrong", "and counted anew"


def test_all_links_of_an_account_count_together(bench, token):
    for _ in range(3):
        identify.by_birth_date(bench.flow, token, OTHER)
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(state="cancelled"))
        book = books.load(tx, [bench.one(tables.account).key])
        asking.follow(next(iter(book.values())), LINK_KEY, tx.now, bench.flow.facility("lakeside"))
        books.flush(tx, book.values())
    assert bench.token() != token
    outcomes = [identify.by_birth_date(bench.flow, one, OTHER).outcome for one in (bench.token(), token)]
    assert outcomes == ["wrong", "locked"]
    assert identify.by_birth_date(bench.flow, bench.token(), BORN).outcome == "locked"


def test_nobody_gets_more_than_ten_codes_a_day_whichever_links_ask_for_them(bench, token):
    bench.take(dft(line("CO", "10.00"), account="A-2"))
    people(bench, patient=party(PHONE, MAIL, born=BORN))
    sent = []
    for _ in range(4):
        sent += [identify.send_code(bench.flow, one) for one in (token, bench.token()) for _ in range(3)]
        bench.clock.advance(hours=1)
    assert sent == ["sent"] * 10 + ["often"] * 14
    assert "identity_locked" in bench.holds(), "and a person hears of it"
    bench.clock.advance(hours=24)
    assert identify.send_code(bench.flow, token) == "sent"


def test_right_answers_do_not_lock_anybody_out(bench, token):
    assert {identify.by_birth_date(bench.flow, token, BORN).outcome for _ in range(8)} == {"good"}


def test_a_date_is_not_asked_for_where_none_is_known_or_the_practice_does_not_want_it(bench, token):
    people(bench, patient={"role": "patient", "family": "Sample", "given": "Silvia", "contacts": [PHONE]})
    assert not identify.ways(bench.flow, token)  # a row of before has no birth date at all
    people(bench, patient=party(PHONE, born=BORN))
    facility(bench, identity=["code"])
    assert not identify.ways(bench.flow, token)
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "locked"
    assert bench.rows(tables.visit) == []


def test_a_childs_date_opens_the_payers_page_only_where_the_link_went_to_the_payer(bench, token):
    people(bench, patient=party(SECOND, born=CHILD), guarantor=party(PHONE, role="guarantor", given="Ada"))
    cookie = identify.by_birth_date(bench.flow, token, CHILD).cookie
    assert identify.verified(bench.flow, token, cookie) == "payer"
    people(bench, patient=party(PHONE, born=CHILD), guarantor=party(SECOND, role="guarantor", given="Ada"))
    cookie = identify.by_birth_date(bench.flow, token, CHILD).cookie
    assert identify.verified(bench.flow, token, cookie) == "patient"


def test_of_a_confidential_visit_the_guarantors_date_opens_nothing(bench, token):
    people(bench, patient=party(PHONE, born=CHILD), guarantor=party(SECOND, born=BORN), patient_only=True)
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "wrong"
    assert identify.by_birth_date(bench.flow, token, CHILD).outcome == "good"


def test_a_link_that_the_guarantor_has_opens_nothing_once_the_visit_is_confidential_whatever_they_know(bench, token):
    family = {"patient": party(SECOND, born=CHILD), "guarantor": party(PHONE, born=BORN, role="guarantor", given="Ada")}
    people(bench, **family)
    cookie = identify.by_birth_date(bench.flow, token, CHILD).cookie
    assert identify.verified(bench.flow, token, cookie) == "payer"
    people(bench, **family, patient_only=True)
    assert identify.verified(bench.flow, token, cookie) == "", "who was let in before is out"
    assert not identify.ways(bench.flow, token)
    assert not view.look(bench.flow, token).details
    assert identify.by_birth_date(bench.flow, token, CHILD).outcome == "locked"
    assert identify.send_code(bench.flow, token) == "nowhere"


def test_of_a_confidential_visit_no_code_goes_to_a_number_that_somebody_else_has_too(bench, token):
    mother = party(MAIL, role="household", given="Ada")
    people(bench, patient=party(PHONE, MAIL, born=CHILD), others={"household": mother})
    assert identify.ways(bench.flow, token).code == "s•••@h•••"
    people(bench, patient_only=True)
    assert identify.ways(bench.flow, token).code == ""
    assert identify.send_code(bench.flow, token) == "nowhere"


# --------------------------------------------------------------------------------------------------------------- codes


def test_a_code_goes_out_by_another_channel_than_the_link_and_opens_the_page_once(bench, token):
    assert identify.ways(bench.flow, token).code == "s•••@h•••"
    assert identify.send_code(bench.flow, token) == "sent"
    assert notices(bench) == [("email", MAIL["value"])]
    assert identify.ways(bench.flow, token).sent
    first = identify.by_code(bench.flow, token, code(bench))
    assert identify.verified(bench.flow, token, first.cookie) == "payer"
    assert identify.by_code(bench.flow, token, code(bench)).outcome == "late"


def test_a_code_never_goes_where_the_link_went(bench, token):
    people(bench, patient=party(PHONE, born=BORN))
    assert identify.ways(bench.flow, token).code == ""
    assert identify.send_code(bench.flow, token) == "nowhere"
    people(bench, patient=party(PHONE, SECOND, born=BORN))
    assert identify.ways(bench.flow, token).code == "•••• 0102"
    identify.send_code(bench.flow, token)
    assert notices(bench) == [("sms", SECOND["value"])]


def test_a_code_lives_ten_minutes(bench, token):
    identify.send_code(bench.flow, token)
    bench.clock.advance(minutes=10)
    assert identify.by_code(bench.flow, token, code(bench)).outcome == "late"
    assert not identify.ways(bench.flow, token).sent


def test_the_sixth_answer_to_a_code_is_not_looked_at(bench, token):
    identify.send_code(bench.flow, token)
    wrong = f"{(int(code(bench).replace('-', '')) + 1) % 10**8:08d}"
    assert [identify.by_code(bench.flow, token, wrong).outcome for _ in range(5)] == ["wrong"] * 4 + ["locked"]
    assert identify.by_code(bench.flow, token, code(bench)).outcome == "late"
    assert "identity_locked" not in bench.holds(), "a new code may be sent"


def test_three_codes_an_hour_are_sent_and_no_fourth_and_then_a_person_is_told(bench, token):
    assert [identify.send_code(bench.flow, token) for _ in range(4)] == ["sent"] * 3 + ["often"]
    wrong = f"{(int(code(bench).replace('-', '')) + 1) % 10**8:08d}"
    for _ in range(5):
        identify.by_code(bench.flow, token, wrong)
    assert bench.holds() == ["identity_locked"]
    bench.clock.advance(hours=1)
    assert identify.send_code(bench.flow, token) == "sent"


def test_the_code_before_the_newest_is_good_too_for_messages_overtake_each_other(bench, token):
    identify.send_code(bench.flow, token)
    identify.send_code(bench.flow, token)
    assert identify.by_code(bench.flow, token, code(bench, 0)).outcome == "good"


def test_the_code_of_another_link_opens_nothing(bench, token):
    identify.send_code(bench.flow, token)
    mine = code(bench)
    bench.take(dft(line("CO", "10.00"), account="A-2"))
    people(bench, patient=party(PHONE, MAIL, born=BORN))
    identify.send_code(bench.flow, bench.token())
    assert identify.by_code(bench.flow, bench.token(), mine).outcome == "wrong"


def test_whoever_said_not_me_is_asked_nothing_more_and_their_cookie_ends(bench, token):
    cookie = identify.by_birth_date(bench.flow, token, BORN).cookie
    identify.send_code(bench.flow, token)
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(paused="not_me"))
    assert identify.verified(bench.flow, token, cookie) == ""
    assert not identify.ways(bench.flow, token)
    assert identify.by_birth_date(bench.flow, token, BORN).outcome == "locked"
    assert identify.by_code(bench.flow, token, code(bench)).outcome == "late"
    assert identify.send_code(bench.flow, token) == "nowhere"


def test_nobody_is_sent_a_code_about_an_account_that_is_stopped(bench, token):
    people(bench, stopped="deceased")
    assert identify.send_code(bench.flow, token) == "nowhere"


def test_a_link_that_we_never_made_is_not_asked_anything(bench, token):
    for ask in (
        lambda: identify.ways(bench.flow, "nobody"),
        lambda: identify.by_birth_date(bench.flow, "nobody", BORN),
        lambda: identify.by_code(bench.flow, "nobody", "12345678"),
        lambda: identify.send_code(bench.flow, "nobody"),
    ):
        with pytest.raises(LookupError):
            ask()
    assert identify.verified(bench.flow, "nobody", "x") == ""


def test_a_hold_and_the_tries_name_nobody(bench, token):
    for _ in range(5):
        identify.by_birth_date(bench.flow, token, OTHER)
    identify.send_code(bench.flow, token)
    told = str(bench.rows(tables.hold)) + str(bench.rows(tables.identity_try)) + str(bench.rows(tables.visit))
    assert not [word for word in ("Silvia", "Sample", "1980", "0101", "home.example") if word in told]
    assert code(bench).replace("-", "") not in told


# ---------------------------------------------------------------------------------------------------------------- pure


@given(st.text(max_size=30))
def test_what_is_typed_is_eight_digits_or_nothing(text):
    found = codes.typed(text)
    assert found == "" or (len(found) == 8 and found.isascii() and found.isdigit())


@given(st.binary(min_size=16, max_size=32), st.text(min_size=1, max_size=12))
def test_a_code_is_read_again_as_it_is_shown(key, try_id):
    made = codes.code(key, try_id)
    assert len(made) == 8
    assert codes.typed(codes.shown(made)) == made
    assert codes.typed(f" {made[:2]} {made[2:]}\n") == made


def test_a_destination_is_masked():
    assert known.masked("sms", "+16085550142") == "•••• 0142"
    assert known.masked("email", "silvia@home.example.org") == "s•••@h•••"
