"""Plans, languages, choices and new links on the page, over the real flow; and two tabs at once."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient
from workbench import MAY, Clock, configuration, dft, line, unique

from chartpost.adapter.flow.asking import accounts
from chartpost.adapter.flow.paying import pay
from chartpost.adapter.flow.requests import change
from chartpost.adapter.ledger import books, tables
from chartpost.adapter.web.app import web_app


@pytest.fixture
def clock():
    """The ledger's clock, not that of the pages in memory."""
    return Clock(MAY)


def configured(bench, **changes):
    facility = configuration().model_dump(mode="json")["facilities"]["lakeside"] | changes
    bench.use(configuration(facilities={"lakeside": facility}), "https://pay.example.org")


def browser(bench, **more):
    """A browser that follows no redirect by itself."""
    app = web_app(bench.flow, public_url="https://pay.example.org", card_page_origins=[])
    return TestClient(app, base_url="https://pay.example.org", follow_redirects=False, **more)


@pytest.fixture
def link(bench):
    configured(bench, plans={"most": 4, "least": "5.00"}, amounts={"part_minimum": "10.00"}, request_days=3)
    bench.take(dft(line("CO", "45.00")))
    return f"/p/{bench.token()}"


@pytest.fixture
def client(bench, link):
    return browser(bench)


def words_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<(style|title)>.*?</\1>", "", page.text, flags=re.S)).split())


# --------------------------------------------------------------------------------------------------- plans and parts


def test_a_plan_is_chosen_and_the_page_says_what_is_due_and_until_when_the_rest_waits(bench, client, link):
    assert "4 payments of up to $11.25" not in client.get(link).text
    assert "4 payments of $11.25" in client.get(link).text
    answer = client.post(f"{link}/plan", data={"count": "4", "shown": "4500"})
    assert (answer.status_code, answer.headers["location"]) == (303, link)
    told = words_of(client.get(link))
    for part in ("Due now $11.25", "$11.25 by June 4, 2026", "$11.25 by August 4, 2026", "Pay all $45.00"):
        assert part in told
    assert "How many payments?" not in told
    assert [row.amount for row in bench.rows(tables.instalment)] == [1125] * 4


def test_a_plan_that_does_not_split_evenly_says_the_largest_part(bench, client, link):
    bench.take(dft(line("CO", "0.01", "X", date="20260505")))
    assert "4 payments of up to $11.26" in client.get(link).text


@pytest.mark.parametrize("count", ["1", "5", "99", "-2", "x", ""])
def test_a_plan_that_is_not_offered_is_not_made(bench, client, link, count):
    answer = client.post(f"{link}/plan", data={"count": count, "shown": "4500"})
    assert (answer.status_code, "not offered any more" in answer.text) == (409, True)
    assert bench.rows(tables.instalment) == []


def test_a_plan_chosen_in_another_tab_is_shown_and_not_exchanged(bench, client, link):
    client.post(f"{link}/plan", data={"count": "2", "shown": "4500"})
    answer = client.post(f"{link}/plan", data={"count": "3", "shown": "4500"})
    assert answer.status_code == 409
    assert "Due now $22.50" in words_of(answer)
    assert len(bench.rows(tables.instalment)) == 2


def test_a_plan_for_another_amount_than_the_page_showed_is_not_made(bench, client, link):
    bench.take(dft(line("CO", "5.00", "X", date="20260505")))
    answer = client.post(f"{link}/plan", data={"count": "2", "shown": "4500"})
    assert (answer.status_code, "You now owe $50.00" in answer.text) == (409, True)
    assert bench.rows(tables.instalment) == []


def test_less_than_the_smallest_part_is_explained_and_all_that_is_left_may_be_less(bench, client, link):
    answer = client.post(link, data={"pay": "part", "amount": "9.99", "shown": "4500"})
    assert (answer.status_code, "The smallest part is $10.00" in answer.text) == (422, True)
    bench.pay(4000)
    assert "Any amount from $5.00 to $5.00" in client.get(link).text


def test_where_parts_are_not_allowed_none_is_offered_and_none_is_taken(bench, client, link):
    configured(bench, amounts={"parts": False})
    client = browser(bench)
    assert "Or pay a part now" not in client.get(link).text
    answer = client.post(link, data={"pay": "part", "amount": "10", "shown": "4400"})
    assert answer.status_code == 409
    assert bench.rows(tables.card_session) == []


# ---------------------------------------------------------------------------------------------------------- language


def test_a_language_is_chosen_once_and_remembered_on_the_request(bench, client, link):
    page = client.get(f"{link}/help")
    assert 'lang="es">Español</button>' in page.text
    answer = client.post(f"{link}/language", data={"language": "es", "below": "/help"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{link}/help")
    for path in ("", "/help", "/details", "/back", "/return?s=C1"):
        page = client.get(f"{link}{path}")
        assert '<html lang="es-US">' in page.text
    assert "Pagar $45.00 ahora" in client.get(link).text
    assert bench.request().language == "es"


def test_a_language_in_the_address_counts_for_this_visit_and_its_forms(bench, client, link):
    page = client.get(f"{link}?lang=es")
    assert "Usted debe ahora" in page.text
    assert f'action="{link}?lang=es"' in page.text
    assert (
        "Escriba una cantidad mayor que cero."
        in client.post(f"{link}?lang=es", data={"pay": "part", "amount": "0", "shown": "4500"}).text
    )
    assert bench.request().language == ""
    assert "You owe now" in client.get(f"{link}?lang=xx").text


def test_a_language_leads_back_to_our_own_pages_only(client, link):
    for below in ("//evil.example.org", "/../..", "https://evil.example.org", "/return"):
        answer = client.post(f"{link}/language", data={"language": "es", "below": below})
        assert answer.headers["location"] == link


def test_a_practice_that_speaks_one_language_offers_no_other(bench, client, link):
    configured(bench, languages=["en"])
    page = browser(bench).get(f"{link}?lang=es")
    assert "Español" not in page.text
    assert "You owe now" in page.text


def test_a_practice_with_an_address_of_its_own_has_forms_that_stay_below_it(bench, link):
    configured(bench, pay_url="https://pay.lakeside.example.org/bill", plans={"most": 4})
    own = browser(bench)
    own.base_url = "https://pay.lakeside.example.org"
    page = own.get(link)
    assert f'action="/bill{link}"' in page.text
    assert f'href="/bill{link}/help"' in page.text
    sent = {"origin": "https://pay.lakeside.example.org"}
    answer = own.post(f"{link}/plan", data={"count": "2", "shown": "4500"}, headers=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/bill{link}")
    assert f'action="{link}"' in browser(bench).get(link).text, "the public address goes on working"
    evil = {"origin": "https://evil.example.org"}
    assert own.post(f"{link}/plan", data={"count": "2", "shown": "4500"}, headers=evil).status_code == 403


# ----------------------------------------------------------------------------------------------------------- choices


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("already_paid", "Lakeside Clinic looks for your payment."),
        ("cannot_afford", "You can also pay in parts over time."),
        ("not_me", "We show and send nothing more here."),
        ("stop", "What you owe stays the same."),
    ],
)
def test_a_choice_is_sent_and_thanked_for(bench, client, link, choice, told):
    page = client.post(f"{link}/help", data={"choice": choice})
    assert (page.status_code, told in page.text) == (200, True)
    assert [row.verb for row in bench.rows(tables.act)] == [choice]


def test_a_question_without_words_is_asked_for_them_and_nothing_is_lost(bench, client, link):
    page = client.post(f"{link}/help", data={"choice": "question", "words": " "})
    assert (page.status_code, "Write your question." in page.text) == (422, True)
    assert 'value="question" checked' in page.text
    page = client.post(f"{link}/help", data={"words": 'Why <b>"?'})
    assert "Choose what fits." in page.text
    assert "Why &lt;b&gt;" in page.text
    assert bench.rows(tables.act) == []
    assert "will answer you" in client.post(f"{link}/help", data={"choice": "question", "words": "Why?"}).text


def test_a_choice_that_is_none_of_ours_does_nothing(bench, client, link):
    for data in ({"choice": "refund"}, {"choice": ""}, {}, {"choice": "stop' OR 1"}):
        assert client.post(f"{link}/help", data=data).status_code == 422
    assert bench.rows(tables.act) == []


def test_after_not_me_the_page_shows_no_amount_and_takes_no_money(bench, client, link):
    client.post(f"{link}/help", data={"choice": "not_me"})
    for page in (client.get(link), client.post(link, data={"pay": "all"}), client.get(f"{link}/details")):
        assert "45.00" not in page.text
        assert "nothing more here" in page.text
    assert bench.rows(tables.card_session) == []


def test_too_many_words_a_day_are_answered_with_the_number_to_call(client, link):
    for number in range(5):
        assert client.post(f"{link}/help", data={"choice": "question", "words": str(number)}).status_code == 200
    page = client.post(f"{link}/help", data={"choice": "question", "words": "more"})
    assert (page.status_code, "Please call Lakeside Clinic" in page.text) == (429, True)


def test_an_old_link_asks_for_a_new_one_with_a_button_and_never_shows_it(bench, client, link):
    with bench.store.write() as tx:
        tx.run(update(tables.notice).values(state="delivered"))
    bench.clock.advance(days=3)
    bench.work("lapse")
    page = client.get(link)
    assert (page.status_code, f'action="{link}/renew"' in page.text) == (410, True)
    page = client.post(f"{link}/renew")
    assert (page.status_code, "knows that you need a new link" in page.text) == (200, True)
    assert "/p/" not in re.sub(r'action="[^"]+"', "", page.text)
    assert client.post(f"{link}/renew").status_code == 303, "it is good again"
    assert bench.holds() == ["payer_wants_link"]


# ---------------------------------------------------------------------------------------------------------- two tabs


def test_what_was_cancelled_in_another_tab_is_not_paid(bench, client, link):
    client.get(link)
    change.cancel(bench.flow, bench.request().public_id, by="ann")
    for answer in (
        client.post(link, data={"pay": "all", "shown": "4500"}),
        client.post(link, data={"pay": "part", "amount": "20", "shown": "4500"}),
    ):
        assert (answer.status_code, "You do not need to pay this" in answer.text) == (410, True)
    assert client.post(f"{link}/plan", data={"count": "2", "shown": "4500"}).status_code == 303
    assert bench.rows(tables.card_session) == []
    assert bench.rows(tables.instalment) == []


def test_a_plan_chosen_in_another_tab_changes_what_the_due_button_may_take(bench, client, link):
    client.post(f"{link}/plan", data={"count": "2", "shown": "4500"})
    change.settle(bench.flow, bench.request().public_id, method="cash", by="ann", amount=None)
    answer = client.post(link, data={"pay": "due", "shown": "2250"})
    assert "Nothing left to pay" in answer.text
    assert bench.rows(tables.card_session) == []


def test_a_button_for_what_is_due_never_takes_all(bench, client, link):
    client.post(f"{link}/plan", data={"count": "2", "shown": "4500"})
    for shown in ({}, {"shown": ""}, {"shown": "4500"}):
        assert client.post(link, data={"pay": "due"} | shown).status_code == 409
    assert bench.rows(tables.card_session) == []


def test_an_amount_that_changed_is_said_before_anybody_pays_it(bench, client, link):
    client.post(f"{link}/plan", data={"count": "2", "shown": "4500"})
    bench.take(dft(line("CO", "5.00", "X", date="20260505")))
    answer = client.post(link, data={"pay": "due", "shown": "2250"})
    assert (answer.status_code, "The amount has changed" in answer.text) == (409, True)
    assert "Pay $27.50 now" in answer.text
    assert bench.rows(tables.card_session) == []


# ------------------------------------------------------------------------------- with the card provider and the phone


def payer(live, account, *phones, born="1980-01-31"):
    contacts = [{"kind": "phone", "value": phone, "mobile": True} for phone in phones]
    ada = {"role": "guarantor", "family": unique("F"), "given": "Ada", "contacts": contacts, "birth_date": born}
    return ada | {"language": ""}


def test_a_family_is_paid_with_one_card_payment_exact_to_the_cent(live, other):
    one, two = unique("F"), unique("F")
    live.take(dft(line("CG", "40.00", "A"), account=one))
    live.take(dft(line("CG", "30.01", "B"), account=two))
    ada = payer(live, one, "+16085550101")
    with live.store.write() as tx:
        tx.run(update(tables.account).values(guarantor=ada))
    with live.store.write() as tx:
        accounts.write(live.flow, tx, books.load(tx, [row.key for row in live.rows(tables.account)]).values())
    requests = live.rows(tables.request)
    link = f"/p/{live.token(requests[0])}"
    client = browser(live)
    client.post(f"{link}/details", data={"by": "birth_date", "year": "1980", "month": "1", "day": "31"})
    ids = [row.public_id for row in requests]
    form = {"account": ids, f"amount-{ids[0]}": "40", f"amount-{ids[1]}": "10,01"}
    form |= {f"shown-{ids[0]}": "4000", f"shown-{ids[1]}": "3001"}
    answer = client.post(f"{link}/family", data=form)
    assert answer.status_code == 303
    assert client.post(f"{link}/family", data=form).headers["location"] == answer.headers["location"], "twice is once"
    assert other.pay(answer.headers["location"])[0] in (200, 302, 303)
    other.hooks.until(lambda: live.rows(tables.payment))
    assert sorted(row.amount for row in live.rows(tables.payment)) == [1001, 4000]
    assert [row.asked for row in live.rows(tables.request)] == [0, 2000]
    answer = client.post(f"{link}/family", data=form)
    assert answer.status_code != 303, "what is paid is not paid again"


def test_the_code_of_a_text_opens_the_page(live, other):
    account = unique("C")
    phone = f"+1608555{int(account[1:5], 16) % 100 + 100:04d}"
    live.take(dft(line("CG", "40.00", "A"), account=account))
    with live.store.write() as tx:
        tx.run(update(tables.account).values(guarantor=payer(live, account, "+16085550101", phone)))
    link, client = f"/p/{live.token()}", browser(live)
    before = len(other.texts(phone))
    page = client.post(f"{link}/details", data={"by": "send"})
    assert f"•••• {phone[-4:]}" in page.text
    live.work("notify")
    (text,) = other.texts(phone)[before:]
    code = re.search(r"\d{4}-?\d{4}", text["body"])
    assert code is not None
    assert client.post(f"{link}/details", data={"by": "code", "code": code[0]}).status_code == 303
    assert client.get(f"{link}/details").status_code == 200


def test_what_a_plan_makes_due_is_paid_even_where_parts_are_not_allowed_and_the_rest_waits(live, other):
    facility = configuration().model_dump(mode="json")["facilities"]["lakeside"]
    facility |= {"plans": {"most": 4}, "amounts": {"parts": False}}
    live.use(configuration(other.ready, facilities={"lakeside": facility}))
    other.hooks.flow = live.flow
    live.take(dft(line("CG", "40.00", "A"), account=unique("T")))
    link, client = f"/p/{live.token()}", browser(live)
    assert client.post(f"{link}/plan", data={"count": "2", "shown": "4000"}).status_code == 303
    page = client.post(link, data={"pay": "due", "shown": "2000"})
    assert page.status_code == 303
    other.pay(page.headers["location"])
    other.hooks.until(lambda: live.rows(tables.payment))
    told = words_of(client.get(link))
    assert "Still to pay $20.00" in told
    assert "Your plan: the rest can wait. $20.00 by" in told
    assert "Pay $20.00 now" in told
    assert client.post(link, data={"pay": "due", "shown": "2000"}).status_code == 409, "nothing is due now"


def test_two_tabs_that_pay_at_once_get_one_page_and_one_charge(live, other):
    live.take(dft(line("CG", "40.00", "A"), account=unique("T")))
    link, client = f"/p/{live.token()}", browser(live)
    pages = [client.post(link, data={"pay": "all", "shown": "4000"}).headers["location"] for _ in range(2)]
    assert pages[0] == pages[1]
    part = client.post(link, data={"pay": "part", "amount": "10", "shown": "4000"}).headers["location"]
    assert other.pay(pages[0])[0] == 200, "the first page says that it is over"
    other.pay(part)
    other.hooks.until(lambda: live.rows(tables.payment))
    assert [row.amount for row in live.rows(tables.payment)] == [1000]
    assert pay.look(live.flow, live.token()).owed.minor == 3000
