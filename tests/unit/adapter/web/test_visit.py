"""The patient's pages over the real flow: who shows who they are sees more, and nobody else does."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update
from starlette.testclient import TestClient
from workbench import LINK_KEY, MAY, Clock, configuration, dft, line

from chartpost.adapter.flow.answering import codes
from chartpost.adapter.flow.asking import accounts
from chartpost.adapter.flow.paying import details
from chartpost.adapter.ledger import books, tables
from chartpost.adapter.web import visit, visit_pages
from chartpost.adapter.web.app import web_app

BORN = {"by": "birth_date", "year": "1980", "month": "1", "day": "31"}
PHONE, MAIL = "+16085550101", "ada@home.example.org"
OFFICE = {"sender": "Lakeside", "address": "pay@lakeside.example.org", "reply_to": "pay@lakeside.example.org"}
CARD = "https://cards.example.org"


def party(given, *contacts, role="patient", born=None):
    kinds = [{"kind": "email" if "@" in one else "phone", "value": one, "mobile": True} for one in contacts]
    return {"role": role, "family": "Sample", "given": given, "contacts": kinds, "birth_date": born, "language": ""}


ADA = party("Ada", PHONE, MAIL, role="guarantor", born="1980-01-31")


def configured(bench, **changes):
    facility = configuration().model_dump(mode="json")["facilities"]["lakeside"]
    facility |= {"notifiers": ["sms", "mail"], "mail": OFFICE, "quiet": "none", "contact": "(608) 555-0100"} | changes
    bench.use(configuration(facilities={"lakeside": facility}), "https://pay.example.org")
    both = {"sms": SimpleNamespace(channel="sms"), "mail": SimpleNamespace(channel="email")}
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=both))


def browser(bench):
    """A browser that follows no redirect by itself."""
    app = web_app(bench.flow, public_url="https://pay.example.org", card_page_origins=[CARD])
    return TestClient(app, base_url="https://pay.example.org", follow_redirects=False)


def charged(bench, account="A-1", patient="Silvia", amount="45.00", **columns):
    """Charge an account that Ada pays for; return the link of its request."""
    bench.take(dft(line("CO", amount, text="Knee X-ray"), account=account))
    row = bench.rows(tables.account)[-1]
    columns = {"patient": party(patient, born="2015-06-01"), "guarantor": ADA} | columns
    with bench.store.write() as tx:
        tx.run(update(tables.account).where(tables.account.c.id == row.id).values(columns))
    with bench.store.write() as tx:
        accounts.write(bench.flow, tx, books.load(tx, [row.key]).values())
    return f"/p/{bench.token()}"


@pytest.fixture
def clock():
    """The ledger's clock, not that of the pages in memory."""
    return Clock(MAY)


@pytest.fixture
def link(bench):
    configured(bench)
    return charged(bench)


@pytest.fixture
def client(bench, link):
    return browser(bench)


def words_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|title)>.*?</\1>", "", page.text, flags=re.S)).split())


def enter(client, link):
    answer = client.post(f"{link}/details", data=BORN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{link}/details")
    return answer


PERSONAL = ("Silvia", "Sample", "Ada", "Knee", "1980", "2015", "0101", "ada@", "home.example")


# ------------------------------------------------------------------------------------------------------- who is it


@pytest.mark.parametrize("typed", ["9" * 20, "-" + "9" * 20, "9" * 5000, "1e9", "\x00", "٢٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠"])
@pytest.mark.parametrize("name", ["year", "month", "day"])
def test_a_number_that_no_calendar_has_is_no_date(name, typed):
    assert visit_pages.read_date({"year": "1980", "month": "1", "day": "31", name: typed}) is None


def test_before_the_check_no_page_says_anything_of_anybody(bench, client, link):
    bench.pay(2000)
    pages = [
        client.get(link), client.get(f"{link}/details"), client.get(f"{link}/help"), client.get(f"{link}/back"),
        client.get(f"{link}/receipt/{bench.one(tables.payment).public_id}"),
        client.post(f"{link}/details", data=BORN | {"day": "30"}), client.post(f"{link}/details", data={"by": "send"}),
        client.post(f"{link}/family", data={"account": "R1"}),
    ]  # fmt: skip
    for page in pages:
        text = page.text.replace("•••• 0101", "")  # where the link went, masked, beside the choice to stop it
        assert not [word for word in PERSONAL if word in text]
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"


def test_a_date_of_birth_leads_to_the_details_with_a_cookie_that_stays_with_the_link(client, link):
    cookie = enter(client, link).headers["set-cookie"]
    assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
        "httponly", "max-age=1800", f"path={link.lower()}", "samesite=lax", "secure",
    }  # fmt: skip
    told = words_of(client.get(f"{link}/details"))
    assert "For Silvia Sample" in told
    assert "Knee X-ray" in told
    assert "$45.00" in told


def test_a_wrong_date_and_one_that_is_none_are_told_apart_only_by_the_field(client, link):
    wrong = client.post(f"{link}/details", data=BORN | {"day": "30"})
    none = client.post(f"{link}/details", data=BORN | {"day": "32"})
    assert (wrong.status_code, none.status_code) == (422, 422)
    assert "does not match the records of Lakeside Clinic" in wrong.text
    assert "Enter a day, a month, and a year with 4 digits." in none.text
    assert 'value="1980"' in none.text, "what was typed is kept"
    assert 'value="1980"' not in wrong.text, "and a wrong date is not"
    assert "set-cookie" not in wrong.headers


def test_after_five_wrong_dates_the_code_is_left(bench, client, link):
    for _ in range(5):
        page = client.post(f"{link}/details", data=BORN | {"day": "30"})
    assert "Please use a code" in page.text
    assert 'name="year"' not in page.text
    assert client.post(f"{link}/details", data=BORN).status_code == 422
    client.post(f"{link}/details", data={"by": "send"})
    code = codes.shown(codes.code(LINK_KEY, bench.one(tables.identity_try, kind="code").public_id))
    assert client.post(f"{link}/details", data={"by": "code", "code": code}).status_code == 303
    assert client.get(f"{link}/details").status_code == 200


def test_a_code_is_asked_for_typed_and_wrong_once(bench, client, link):
    assert 'name="code"' not in client.get(f"{link}/details").text
    sent = client.post(f"{link}/details", data={"by": "send"})
    assert "We are sending a code to a•••@h•••." in words_of(sent)
    assert 'autocomplete="one-time-code"' in sent.text
    code = codes.code(LINK_KEY, bench.one(tables.identity_try, kind="code").public_id)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    assert "This is not the code" in client.post(f"{link}/details", data={"by": "code", "code": wrong}).text
    bench.clock.advance(minutes=11)
    assert "no longer good" in client.post(f"{link}/details", data={"by": "code", "code": code}).text
    for _ in range(2):
        assert client.post(f"{link}/details", data={"by": "send"}).status_code == 200
    assert client.post(f"{link}/details", data={"by": "send"}).status_code == 429


def test_where_nothing_is_known_the_page_says_so_and_offers_no_details(bench, client, link):
    with bench.store.write() as tx:
        tx.run(update(tables.account).values(patient=party("Silvia", PHONE), guarantor=None))
    assert "See what this is for" not in client.get(link).text
    assert "Please call Lakeside Clinic" in client.get(f"{link}/details").text


def test_the_cookie_of_one_link_opens_no_other(bench, client, link):
    cookie = enter(client, link).cookies["visit"]
    other = charged(bench, "B-1", "Otto", guarantor=None)
    page = browser(bench).get(f"{other}/details", headers={"cookie": f"visit={cookie}"})
    assert "First, show that it is you" in page.text
    assert "Otto" not in page.text


def test_another_sites_form_enters_nowhere(client, link):
    for path in ("details", "family", "help", "plan", "language", "renew"):
        answer = client.post(f"{link}/{path}", headers={"sec-fetch-site": "cross-site"}, data=BORN)
        assert answer.status_code == 403


def test_no_get_changes_anything(bench, client, link):
    before = [bench.rows(table) for table in tables.metadata.sorted_tables]
    for path in ("", "/details", "/help", "/back", "/receipt/M1", "/family", "/renew", "/plan", "/language"):
        for more in ("", "?lang=es", "?choice=stop&by=send&language=es&count=2"):
            client.get(f"{link}{path}{more}")
    assert [bench.rows(table) for table in tables.metadata.sorted_tables] == before


# ------------------------------------------------------------------------------------------------------------ details


def test_the_note_the_payer_and_a_persons_items_are_shown_instead_of_the_charts_lines(bench, client, link):
    item = {
        "description": "Visit of May <4>",
        "quantity": "2",
        "unit_amount": "25.125",
        "discount": "10.00",
        "tax": "4.75",
    }
    said = {"items": [item | {"total": "45.00"}], "payer": "Uncle Bob"}
    with bench.store.write() as tx:
        tx.run(update(tables.request).values(note=b"Please call us\nabout the rest.", said=said))
    enter(client, link)
    page = client.get(f"{link}/details")
    assert "Visit of May &lt;4&gt;" in page.text
    assert "2 at $25.125, $10.00 off, $4.75 tax" in page.text
    assert "To be paid by Uncle Bob" in page.text
    assert "Please call us" in page.text
    assert "Knee" not in page.text


def test_payments_are_listed_and_each_has_a_receipt_to_print(bench, client, link):
    bench.pay(2000)
    enter(client, link)
    paid = bench.one(tables.payment)
    page = client.get(f"{link}/details")
    assert f'href="{link}/receipt/{paid.public_id}"' in page.text
    told = words_of(client.get(f"{link}/receipt/{paid.public_id}"))
    for part in ("Receipt", "Lakeside Clinic", "Silvia Sample", "May 4, 2026", "$20.00", "Card (Visa)", paid.public_id):
        assert part in told
    assert client.get(f"{link}/receipt/M00000000000").status_code == 404


def test_a_receipt_of_another_account_is_not_found(bench, client, link):
    other = charged(bench, "B-1", "Otto", guarantor=None)
    bench.pay(4500)
    enter(client, link)
    assert client.get(f"{link}/receipt/{bench.one(tables.payment).public_id}").status_code == 404
    assert "$45.00" in browser(bench).get(other).text


def test_after_all_is_paid_the_details_and_receipts_can_still_be_seen(bench, client, link):
    bench.pay(4500)
    assert "See what this is for" in client.get(link).text
    enter(client, link)
    assert "Receipt for $45.00 of May 4, 2026" in client.get(f"{link}/details").text


# ------------------------------------------------------------------------------------------------- several accounts


@pytest.fixture
def family(bench, link):
    """A second account of the same payer; returns the public ids of both requests."""
    charged(bench, "A-2", "Otto", "30.00")
    return [row.public_id for row in bench.rows(tables.request)]


def form(ids, *amounts, **shown):
    data = {"account": ids}
    for id, amount, owed in zip(ids, amounts, ("4500", "3000"), strict=False):
        data |= {f"amount-{id}": amount, f"shown-{id}": shown.get(id, owed)}
    return data


def test_a_payer_sees_all_accounts_they_pay_for(client, link, family):
    enter(client, link)
    told = words_of(client.get(f"{link}/details"))
    assert "Silvia Sample, May 4, 2026" in told
    assert "Otto Sample, May 4, 2026" in told
    assert "Owed now: $30.00" in told


def test_whoever_only_showed_to_be_the_patient_sees_their_own_account(bench, client, link, family):
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(recipient=b"+16085550109"))  # the link went to somebody else's phone
    answer = client.post(f"{link}/details", data=BORN | {"year": "2015", "month": "6", "day": "1"})
    assert answer.status_code == 303
    told = words_of(client.get(f"{link}/details"))
    assert "Silvia" in told
    assert "Otto" not in told


@pytest.mark.parametrize(
    ("amounts", "status", "told"),
    [
        (("", "30"), 422, "Enter the amount that you want to pay."),
        (("46", "30"), 422, "more than you owe"),
        (("45", "-3"), 422, "Enter an amount in numbers"),
    ],
)
def test_a_wrong_amount_of_one_account_is_told_beside_it(client, link, family, amounts, status, told):
    enter(client, link)
    page = client.post(f"{link}/family", data=form(family, *amounts))
    assert (page.status_code, told in page.text) == (status, True)


def test_nothing_chosen_and_what_changed_meanwhile_are_told(client, link, family):
    enter(client, link)
    assert "Choose at least one account." in client.post(f"{link}/family", data={}).text
    changed = client.post(f"{link}/family", data=form(family, "45", "30", **{family[1]: "2900"}))
    assert (changed.status_code, "has changed since" in changed.text) == (409, True)
    foreign = client.post(f"{link}/family", data={"account": ["R00000000000"], "amount-R00000000000": "1"})
    assert foreign.status_code == 409


@pytest.mark.parametrize(
    ("total", "status", "told"),
    [
        ("75.01", 422, "That is more than you owe. Enter $75.00 or less."),
        ("4.99", 422, "The smallest part is $5.00."),
        ("", 422, "Enter the amount that you want to pay."),
    ],
)
def test_a_wrong_amount_for_all_accounts_is_told_beside_it(bench, client, link, family, total, status, told):
    configured(bench, amounts={"part_minimum": "5.00"})
    client = browser(bench)
    enter(client, link)
    page = client.post(f"{link}/family", data=form(family) | shown_of(family) | {"pay": "total", "total": total})
    assert (page.status_code, told in page.text) == (status, True)
    assert f'name="total" value="{total}"' in page.text
    assert bench.rows(tables.card_session) == []


def shown_of(ids, *owed):
    return {f"shown-{id}": one for id, one in zip(ids, owed or ("4500", "3000"), strict=True)}


def test_one_amount_for_all_accounts_goes_to_the_oldest_first(bench, client, link, family):
    enter(client, link)
    assert "It goes to the oldest account first." in client.get(f"{link}/details").text
    found = details.details(bench.flow, bench.token(bench.rows(tables.request)[0]), client.cookies[visit.COOKIE])

    def parts(total, *owed):
        sent = {"pay": ["total"], "total": [total]}
        return visit_pages.read_family(found, sent | {key: [one] for key, one in shown_of(family, *owed).items()})

    assert parts("45.01").parts == {family[0]: 4500, family[1]: 1}
    assert parts("20").parts == {family[0]: 2000}
    assert parts("75").parts == {family[0]: 4500, family[1]: 3000}
    assert parts("20", "4500", "2900").error == "family.changed"


def test_without_the_check_nobody_pays_for_others(bench, client, link, family):
    page = client.post(f"{link}/family", data=form(family, "45", "30"))
    assert "First, show that it is you" in page.text
    assert bench.rows(tables.card_session) == []


# --------------------------------------------------------------------------------------------------------------- pure


@given(st.dates(min_value=dt.date(1880, 1, 1)))
def test_a_date_is_read_as_it_is_typed(date):
    typed = {"year": f"{date.year:04d}", "month": str(date.month), "day": f"{date.day:02d}"}
    assert visit_pages.read_date(typed) == date


@pytest.mark.parametrize(
    "typed", [("80", "1", "31"), ("1980", "", "31"), ("1980", "2", "30"), ("1980", "1", "x"), ("99999", "1", "1")]
)
def test_what_is_no_date_of_birth_is_not_guessed(typed):
    assert visit_pages.read_date(dict(zip(("year", "month", "day"), typed, strict=True))) is None
