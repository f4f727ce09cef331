"""The API: who may do what, what they are shown, what happens when they do it. The flow behind it is the real one."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from apis import ROLES, Api
from pydantic import ValidationError
from sqlalchemy import exc
from starlette.testclient import TestClient
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.answering import choices
from chartpost.adapter.ledger import holds, tables
from chartpost.adapter.users import Scope, User
from chartpost.adapter.web.api import describe
from chartpost.adapter.web.api.face import ApiFace
from chartpost.adapter.web.api.operations import OPERATIONS
from chartpost.adapter.web.app import internal_app
from chartpost.adapter.web.openapi import document


@pytest.fixture
def api(bench: Workbench) -> Api:
    api = Api(bench, own={"role": "clinician", "billing": True, "provider_ids": ["1234567893"]})
    bench.take(dft(line("CG", "45.00")))
    return api


# ------------------------------------------------------------------------------------------------- who may do what


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Bearer nobody's-token-at-all", "Basic YTpi"])
def test_without_a_token_of_a_user_nothing_is_told(api, given):
    headers = {} if given is None else {"authorization": given}
    answer = api.client.get("/api/requests", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_while_a_token_is_exchanged_both_are_taken(bench):
    api = Api(bench, ana={"role": "billing", "token_previous": "the-token-of-before-it"})
    for token in ("token-of-ana-here", "the-token-of-before-it"):
        answer = api.client.get("/api/me", headers={"authorization": f"bearer {token}"})
        assert answer.json()["name"] == "ana"


def test_many_wrong_tokens_from_one_address_are_slowed_down(api):
    answers = [api.client.get("/api/me", headers={"authorization": "Bearer wrong"}).status_code for _ in range(25)]
    assert answers[0] == 401
    assert answers[-1] == 429
    assert api("GET", "/me").status_code == 200, "a right one always works"


@pytest.mark.parametrize("name", [*ROLES, "own"])
def test_every_role_may_do_what_its_scopes_say_and_nothing_else(api, name):
    """What is allowed may be refused for other reasons; what is not, is refused before anything is looked at."""
    user = api.bench.flow.settings.users[name]
    for one in OPERATIONS:
        path = one.path.format(request="R00000000000", account="A1", hold="H999")
        answer = api(one.method, path, name, **({"json": {}} if one.body else {}))
        allowed = one.scope is None or one.scope in user.allowed
        assert (answer.status_code != 403) == allowed, f"{name}: {one.method} {one.path}: {answer.text}"


def test_a_token_may_be_given_less_than_its_role_and_never_more(bench):
    api = Api(bench, desk={"role": "billing", "scopes": ["requests:read"]})
    assert api.get("/me", "desk")["scopes"] == ["requests:read"]
    assert api("GET", "/payments", "desk").status_code == 403
    with pytest.raises(ValidationError, match="the role billing may not audit:read"):
        Api(bench, desk={"role": "billing", "scopes": ["requests:read", "audit:read"]})


def test_every_scope_belongs_to_a_role_and_to_an_address():
    every = set(get_args(Scope))
    assert every == {scope for role in ROLES for scope in User(role=role, billing=True).allowed}
    assert every == {one.scope for one in OPERATIONS if one.scope}


# ----------------------------------------------------------------------------------------------- what they are shown


def test_a_request_is_shown_with_its_account_its_messages_and_its_payments(api):
    api.bench.pay(1500)
    [one] = api.get("/requests", state="open")["items"]
    assert one["asked"] == one["balance"] == {"minor": 3000, "currency": "USD"}
    assert (one["account"], one["facility"], one["source"]) == ("A1", "lakeside", "all")
    whole = api.get(f"/requests/{one['id']}")
    assert [(paid["amount"]["minor"], paid["request"]) for paid in whole["payments"]] == [(1500, one["id"])]
    assert all("@" not in told["to"] and len(told["to"]) <= 5 for told in whole["notices"]), "numbers are masked"


def test_an_account_is_found_by_its_number_at_its_source_and_shows_its_lines(api):
    number = api.bench.one(tables.account).number.decode()
    whole = api("POST", "/accounts/search", json={"source": "all", "number": number}).json()
    for source in ("copay", "nowhere"):
        assert api("POST", "/accounts/search", json={"source": source, "number": number}).status_code == 404
    assert api("GET", "/accounts", params={"number": number}).status_code == 422, "an address would keep it"
    assert whole == api.get(f"/accounts/{whole['id']}")
    assert [(entry["kind"], entry["amount"]["minor"]) for entry in whole["entries"]] == [("charge", 4500)]


def test_lists_come_in_pages_newest_first_and_each_row_once(api):
    for number in range(5):
        api.bench.take(dft(line("CG", "5.00"), account=f"P-{number}"))
    seen: list[str] = []
    before: dict[str, Any] = {}
    while True:
        page = api.get("/requests", limit=2, **before)
        seen += [one["account"] for one in page["items"]]
        if not page["next"]:
            break
        before = {"before": page["next"]}
    assert seen == ["A6", "A5", "A4", "A3", "A2", "A1"]


def test_who_works_for_some_facilities_knows_of_no_other(bench):
    clinic = configuration().facilities["lakeside"]
    api = Api(bench, hill={"role": "billing", "facilities": ["hill"]})
    settings = bench.flow.settings
    bench.use(settings.model_copy(update={"facilities": {"lakeside": clinic, "hill": clinic}}))
    api.again()
    bench.take(dft(line("CG", "45.00")))
    request = bench.request().public_id
    for path in ("/requests", "/accounts", "/payments", "/holds"):
        assert api.get(path, "hill")["items"] == [], path
        assert path == "/payments" or api.get(path, "billing")["items"] or path == "/holds"
    for method, path in (
        ("GET", f"/requests/{request}"), ("GET", "/accounts/A1"), ("POST", f"/requests/{request}/cancel"),
        ("GET", f"/requests/{request}/link"),
    ):  # fmt: skip
        assert api(method, path, "hill", **({"json": {}} if method == "POST" else {})).status_code == 404, path


def test_whoever_works_for_some_facilities_has_the_work_list_of_these_and_of_no_other(bench):
    clinic = configuration().facilities["lakeside"]
    places = {name: {"role": "billing", "facilities": [name]} for name in ("hill", "lakeside")}
    api = Api(bench, **places)
    bench.use(bench.flow.settings.model_copy(update={"facilities": {"lakeside": clinic, "hill": clinic}}))
    api.again()
    held = bench.take(dft(line("ZZ", "1.00"), account="Z-1"))
    bench.take(dft(line("CG", "45.00")))
    bench.pay(1500)
    about = [f"message:{held.id}", f"request:{bench.request().public_id}", "account:1", "event:of-nobody"]
    made = (tables.notice, tables.card_session, tables.payment)
    about += [f"{table.name}:{bench.rows(table)[0].public_id}" for table in made]
    with bench.store.write() as tx:
        row = {"payment_id": 1, "destination": "chart", "kind": "payment", "state": "held", "control_id": "1"}
        times = {"created_at": tx.now, "changed_at": tx.now}
        tx.run(tables.posting.insert(), [row | times | {"public_id": "P1"}])
        for obj in [*about[1:], "posting:P1"]:
            holds.add(tx, obj, "a_cause", "something waits", "do something")
    everything = {one["object"]: one["id"] for one in api.get("/holds")["items"]}
    mine = {one["object"] for one in api.get("/holds", "lakeside")["items"]}
    assert mine == everything.keys() - {"event:of-nobody"}
    assert mine > {"posting:P1", f"message:{held.id}"}
    assert api.get("/holds", "hill")["items"] == []
    for obj, id in everything.items():
        assert api("POST", f"/holds/{id}/dismiss", "hill", json={"why": "not mine"}).status_code == 404, obj
    done = api("POST", f"/holds/{everything['posting:P1']}/dismiss", "lakeside", json={"why": "done"})
    assert done.status_code == 200


def test_how_it_goes_says_sums_of_money_only_to_whoever_may_know_of_all_facilities(bench):
    api = Api(bench, hill={"role": "auditor", "facilities": ["lakeside"]})
    bench.take(dft(line("CG", "45.00")))
    bench.pay(1500)
    whole, mine = api.get("/status", "auditor"), api.get("/status", "hill")
    assert (len(whole["payments"]), whole["requests"][0]["asked_minor"]) == (2, 3000)
    assert (mine["payments"], mine["requests"]) == ([], [])


def test_a_ledger_that_does_not_answer_is_told_as_a_problem_too(api, monkeypatch):
    def away():
        raise exc.OperationalError("SELECT", {}, Exception("down"))

    client = TestClient(internal_app(lambda: None, ApiFace(api.bench.flow).routes()))
    with monkeypatch.context() as broken:
        broken.setattr(api.bench.store, "read", away)
        answer = client.get("/api/requests", headers={"authorization": "Bearer token-of-billing-here"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["detail"].startswith("failed, see the log: ")


def test_a_payers_own_words_are_shown_beside_the_request_to_whoever_may_answer_and_in_no_list(api):
    choices.say(api.bench.flow, api.bench.token(), "question", "Why does the knee cost so much?")
    path = f"/requests/{api.bench.request().public_id}"
    for name, words in (("billing", "Why does the knee cost so much?"), ("auditor", "")):
        [asked] = api.get(path, name)["acts"]
        assert (asked["by"], asked["verb"], asked["note"]) == ("payer", "question", words)
    for name in ("administrator", "auditor"):
        assert "knee" not in api("GET", "/acts", name).text
        assert [one["verb"] for one in api.get("/acts", name)["items"]] == ["question"]


def test_a_clinician_with_billing_permission_sees_their_own_patients_only(api):
    assert api.get("/requests", "own")["items"] == []
    with api.bench.store.write() as tx:
        tx.run(tables.account.update().values(provider="1234567893"))
    assert [one["account"] for one in api.get("/requests", "own")["items"]] == ["A1"]


# --------------------------------------------------------------------------------------------------- what is brought


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 422),
        (b'{"why": "a\\u0000b"}', "application/json", 422),
        (b'{"why": "x", "more": 1}', "application/json", 422),
        (b'{"why": "' + b"x" * 300_000 + b'"}', "application/json", 413),
    ],
)
def test_a_body_that_cannot_be_taken_is_refused_with_its_reason_and_changes_nothing(api, body, kind, status):
    headers = {"authorization": "Bearer token-of-billing-here", "content-type": kind}
    answer = api.client.post("/api/holds/H1/dismiss", content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


def test_what_is_not_there_and_what_is_not_done_there_are_told_apart(api):
    assert api("GET", "/nothing").status_code == 404
    answer = api("DELETE", "/requests")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


def test_what_no_database_can_keep_is_refused_in_an_address_too(api):
    for path in ("/requests/R%00", "/accounts/A1%00", "/requests/%00/link"):
        assert api("GET", path, "administrator").status_code == 404, path
    for path, name in (("/requests", "state"), ("/payments", "facility"), ("/messages", "source"), ("/acts", "by")):
        assert api("GET", path, "administrator", params={name: "a\x00b"}).status_code == 422, path


def test_a_refusal_never_repeats_what_was_sent(api):
    answer = api("POST", "/requests", json={"account": "A1", "amount": "Zebulon Quaggmire", "secret": "Zebulon"})
    assert answer.status_code == 422
    assert "Zebulon" not in answer.text
    assert "Quaggmire" not in answer.text


# --------------------------------------------------------------------------------------------------- the work list


def test_a_hold_is_dismissed_in_the_callers_name(api):
    api.bench.take(dft(line("ZZ", "1.00"), account="Z-1"))
    [one] = api.get("/holds")["items"]
    answer = api("POST", f"/holds/{one['id']}/dismiss", json={"why": "a test of the sender"})
    assert answer.status_code == 200
    assert (row := api.bench.one(tables.hold)).closed_by == "billing"
    assert row.note == "a test of the sender"
    assert api("POST", f"/holds/{one['id']}/dismiss", json={"why": "again"}).status_code == 409


# ---------------------------------------------------------------------------------------------------- the document


def test_the_document_names_every_address_with_its_models_and_nothing_that_is_not_there():
    whole = document("http://127.0.0.1")
    named = whole["components"]["schemas"]
    for one in OPERATIONS:
        said = whole["paths"][f"/api{one.path}"][one.method.lower()]
        assert said["summary"] == one.does
        assert str(one.status) in said["responses"]
    text = repr(whole)
    for reference in {part.split("'")[0] for part in text.split("#/components/schemas/")[1:]}:
        assert reference in named
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS)
    assert describe.paths().keys() <= whole["paths"].keys()
