"""Requests through the API: preview, make and change, in the caller's name."""

from __future__ import annotations

from typing import Any

import pytest
from apis import Api
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.ledger import holds, tables
from chartpost.adapter.policy import Amounts


@pytest.fixture
def api(bench: Workbench) -> Api:
    api = Api(
        bench,
        own={"role": "clinician", "billing": True, "provider_ids": ["1234567893"]},
        hill={"role": "billing", "facilities": ["hill"]},
    )
    bench.take(dft(line("CG", "45.00")), source="no_consent")
    return api


def cancelled(api: Api) -> str:
    """Withdraw the request that the charge has opened; return its id."""
    request = str(api.bench.request().public_id)
    assert api("POST", f"/requests/{request}/cancel", json={"why": "by mistake"}).status_code == 200
    return request


def test_a_preview_shows_what_would_be_sent_and_changes_nothing(api):
    cancelled(api)
    before = [len(api.bench.rows(table)) for table in tables.metadata.sorted_tables]
    answer = api("POST", "/requests/preview", json={"account": "A1", "recipients": "608 555 0142"})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["amount"] == {"minor": 4500, "currency": "USD"}
    assert [one["to"] for one in shown["messages"]] == ["+16085550142"]
    assert [len(api.bench.rows(table)) for table in tables.metadata.sorted_tables] == before


def test_a_request_is_made_in_the_callers_name_and_a_second_one_is_refused(api):
    cancelled(api)
    wanted = {"account": "A1", "amount": "40.00", "note": "Please bring your card.", "language": "es"}
    answer = api("POST", "/requests", json=wanted)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["link"].startswith("http")
    whole = api.get(f"/requests/{made['request']}")
    assert (whole["asked"]["minor"], whole["made_by"], whole["note"]) == (4000, "billing", "Please bring your card.")
    assert whole["acts"][0]["by"] == "billing"
    again = api("POST", "/requests", json=wanted)
    assert again.status_code == 409
    assert made["request"] in again.json()["detail"], "it says which one is open"


@pytest.mark.parametrize(
    ("amount", "status"), [("0", 409), ("-5", 409), ("40.001", 409), ("1e40", 409), ("45.01", 409), ("lots", 422)]
)
def test_an_amount_that_cannot_be_asked_for_is_refused_and_nobody_is_asked(api, amount, status):
    cancelled(api)
    answer = api("POST", "/requests", json={"account": "A1", "amount": amount})
    assert (answer.status_code, answer.json()["detail"] != "") == (status, True)
    assert api.bench.rows(tables.request, state="open") == []


def test_everything_that_can_be_done_with_a_request_can_be_done_here(api):
    request = str(api.bench.request().public_id)

    def do(what: str, **said: Any) -> str:
        answer = api("POST", f"/requests/{request}/{what}", json=said)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["state"])

    assert do("pause") == do("resume") == do("extend", expires="30") == "open"
    answer = api("PATCH", f"/requests/{request}", json={"amount": "30.00", "payer": "Rosa Sample"})
    assert answer.status_code == 200, answer.text
    assert api.get(f"/requests/{request}")["payer"] == "Rosa Sample"
    assert do("settle", method="cheque", reference="4711", amount="10.00") == "open"
    assert api.get(f"/requests/{request}")["asked"]["minor"] == 2000
    assert do("cancel", why="moved away") == "cancelled"
    assert do("reopen") == "open"
    verbs = [one["verb"] for one in api.get(f"/requests/{request}")["acts"]]
    assert verbs == ["pause", "resume", "extend", "edit", "settle", "cancel", "reopen"]
    link = api.get(f"/requests/{request}/link")
    assert link["link"].endswith(api.bench.token())


def test_a_plan_is_agreed_on_exactly_or_not_at_all(api):
    request = str(api.bench.request().public_id)
    parts = [{"due_on": "2026-05-10", "amount": "15.00"}, {"due_on": "2026-06-10", "amount": "30.00"}]
    answer = api("POST", f"/requests/{request}/plan", json={"parts": parts})
    assert answer.status_code == 200, answer.text
    assert [one["amount"]["minor"] for one in api.get(f"/requests/{request}")["plan"]] == [1500, 3000]
    short = [parts[0], {"due_on": "2026-06-10", "amount": "29.99"}]
    assert api("POST", f"/requests/{request}/plan", json={"parts": short}).status_code == 409
    assert api("POST", f"/requests/{request}/plan", json={"parts": parts, "count": 3}).status_code == 422
    odd = [{"due_on": "2026-05-10", "amount": "45.001"}]
    assert api("POST", f"/requests/{request}/plan", json={"parts": odd}).status_code == 422
    assert api("POST", f"/requests/{request}/drop-plan", json={"why": "paid at once"}).json()["parts"] == []


def test_only_the_billing_office_approves_what_is_above_the_limit(api):
    api.bench.use(
        api.bench.flow.settings.model_copy(
            update={
                "facilities": {
                    "lakeside": configuration().facilities["lakeside"].model_copy(
                        update={"amounts": Amounts(review_above="10.00")}
                    )
                }
            }
        )
    )  # fmt: skip
    with api.bench.store.write() as tx:
        tx.run(tables.account.update().values(provider="1234567893"))
    cancelled(api)
    api.again()
    said = {"account": "A1", "approved": True}
    assert api("POST", "/requests", "own", json=said).status_code == 403
    assert api("POST", "/requests", "own", json={"account": "A1"}).status_code == 409, "it waits for a look"
    assert api("POST", "/requests", json=said).status_code == 201


def test_only_the_billing_office_has_a_hold_about_money_tried_again_against_a_rule(api):
    with api.bench.store.write() as tx:
        holds.add(tx, "account:1", "above_review", "it is much", "look at it")
    for name, status in (("integrator", 403), ("billing", 200)):
        assert api("POST", "/holds/H1/retry", name, json={"sure": True}).status_code == status


@pytest.mark.parametrize("name", ["hill", "own"])
def test_nobody_asks_for_an_account_that_they_may_not_know_of(api, name):
    cancelled(api)
    number = api.bench.one(tables.account).number.decode()
    for account in ({"account": "A1"}, {"account": number, "source": "no_consent"}, {"account": "A999"}):
        for path in ("/requests", "/requests/preview"):
            answer = api("POST", path, name, json=account)
            assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such account here")
