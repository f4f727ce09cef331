"""What the FHIR door makes of a body, before anything is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.door.receive_fhir import FhirReceiver, FhirRules, Judgement, answer
from chartpost.adapter.flow.door.receive_invoice import Asked
from chartpost.adapter.ledger.intake import Fate
from chartpost.adapter.ledger.invoices import Known, Seen
from chartpost.adapter.ledger.sealed import keyring
from chartpost.mappings import mapfile
from chartpost.mappings.fhir import bundle as bundles

NOW = 1_800_000_000_000_000
RULES = FhirRules(source="ehr", facility="lakeside", map=mapfile.load("fhir-invoice"), max_bytes=20_000)
SYSTEM = "urn:example:invoices"


def invoice(number: str = "", **more: Any) -> dict[str, Any]:
    named = {"identifier": [{"system": SYSTEM, "value": number}]} if number else {}
    return {"resourceType": "Invoice", "status": "issued", **named, **more}


def bundle(kind: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}


def post(resource: dict[str, Any], **request: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "POST", "url": resource["resourceType"], **request}}


def put(resource: dict[str, Any], id: str, **request: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PUT", "url": f"Invoice/{id}", **request}}


def judge(resource: Any, asked: Asked | None = None, *, known: Known | None = None) -> Judgement:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    receiver = FhirReceiver(RULES, lambda ids, keys: known or Known({}, {}))
    return receiver.judge(body, NOW, asked)


def lane(account: str) -> str:
    return keyring().search("ehr", "lakeside", account)


def before(id: str, account: str, *, state: str = "translated", booked: bool = True, number: int = 7) -> Known:
    """An Invoice that came before under this id, with this account."""
    seen = Seen(number, id, lane(account), state, booked)
    return Known({id: seen}, {f"Invoice|{account}" if "|" in account else f"Invoice||{account}": seen})


# -------------------------------------------------------------------------------------------------------- one Invoice


def test_an_invoice_is_received_as_it_came_in_the_lane_of_its_business_identifier():
    body = (
        b'{"resourceType": "Invoice", "identifier": [{"system": "urn:example:invoices", "value": "17"}], "id": "x"}\n'
    )
    judged = judge(body)
    [receipt] = judged.receipts
    row = receipt.row
    assert (judged.status, row.state, row.ack_code, row.reason) == (201, "received", "201", "")
    assert (row.source, row.type, row.version, row.control_id) == ("ehr", "Invoice", "R4", "x")
    assert row.control_key == f"Invoice|{SYSTEM}|17"
    assert row.lane == lane(f"{SYSTEM}|17")
    assert row.raw == body
    assert row.since is None, "a state may come back: A, B, A is three statements"
    assert receipt.header is None


def test_without_a_business_identifier_the_id_is_the_account():
    assert judge(invoice(), Asked("update", "17")).receipts[0].row.lane == lane("17")
    assert judge(invoice(id="17"), Asked("create")).receipts[0].row.lane == lane("17")


def test_without_any_name_the_content_is_the_name_so_that_a_repeated_post_bills_once():
    first, again = judge(invoice(date="2026-05-04")), judge(b'{"status":"issued","resourceType":"Invoice"}')
    assert judge(b'{"resourceType": "Invoice", "status": "issued", "date": "2026-05-04"}').done == first.done
    assert first.done[0].id != again.done[0].id
    assert first.receipts[0].row.lane == lane(first.done[0].id)


def test_a_long_identifier_is_shortened_for_the_index():
    row = judge(invoice("9" * 5000)).receipts[0].row
    assert len(row.control_key) <= 200
    assert row.lane == lane(f"{SYSTEM}|{'9' * 5000}")


def test_a_post_with_an_identifier_that_is_known_is_an_update_under_the_id_that_is_known():
    judged = judge(invoice("17"), Asked("create"), known=before("x", f"{SYSTEM}|17"))
    assert (judged.status, judged.done[0].id) == (200, "x")
    assert judged.receipts[0].row.ack_code == "200"


def test_the_id_in_the_address_must_be_the_one_in_the_body_if_that_has_one():
    assert judge(invoice("17"), Asked("update", "x")).done[0].id == "x"
    judged = judge(invoice("17", id="y"), Asked("update", "x"))
    assert (judged.status, judged.receipts[0].row.state) == (400, "ignored")
    assert judged.done[0].issues[0].where == "Invoice.id"


@pytest.mark.parametrize("id", ["a b", "x" * 65, 17, None, ["x"], "é"])
def test_what_cannot_be_an_id_is_refused(id):
    assert judge(invoice("17", id=id), Asked("create")).status == 400


# ------------------------------------------------------------------------------------------- one Invoice, one account


@pytest.mark.parametrize(("first", "then"), [(f"{SYSTEM}|17", ""), ("x", "17"), (f"{SYSTEM}|16", "17")])
def test_an_invoice_that_changes_its_name_is_refused_or_it_would_be_billed_twice(first, then):
    judged = judge(invoice(then), Asked("update", "x"), known=before("x", first))
    assert judged.status == 422
    assert judged.receipts[0].row.lane == "", "what is refused is kept, and in nobody's turn"
    assert "17" not in judged.done[0].issues[0].text


@pytest.mark.parametrize(
    ("first", "then"), [("17", invoice(id="30", identifier=[{"value": "17"}])), ("30", invoice(id="17"))]
)
def test_a_bare_number_that_is_the_id_of_another_invoice_is_refused_or_one_of_the_two_would_be_lost(first, then):
    assert judge(then, known=before(first, "17")).status == 422
    assert judge(invoice(id=first, identifier=[{"value": "17"}]), known=before(first, "17")).status == 200


def test_a_draft_without_an_account_may_get_its_number_when_it_is_issued():
    drafted = before("x", "x", state="ignored", booked=False)
    assert judge(invoice("17"), Asked("update", "x"), known=drafted).status == 200


def test_while_the_last_version_is_being_worked_another_name_has_to_wait():
    for state in ("received", "fetching"):
        working = before("x", "x", state=state, booked=False)
        judged = judge(invoice("17"), Asked("update", "x"), known=working)
        assert (judged.status, judged.receipts) == (503, []), "it will come again"


def test_what_is_held_for_a_person_keeps_its_name():
    held = before("x", "x", state="held", booked=False)
    assert judge(invoice("17"), Asked("update", "x"), known=held).status == 422


# -------------------------------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize("text", ["identifier={}|17", "?identifier={}|17", "Invoice?identifier={}%7C17"])
def test_a_conditional_create_that_matches_stores_nothing(text):
    asked = Asked("create", if_none_exist=text.format(SYSTEM))
    judged = judge(invoice("17", totalNet={"value": 1}), asked, known=before("x", f"{SYSTEM}|17"))
    assert (judged.status, judged.receipts, judged.done[0].id, judged.done[0].message) == (200, [], "x", 7)


def test_a_conditional_create_that_matches_nothing_creates():
    assert judge(invoice("17"), Asked("create", if_none_exist=f"identifier={SYSTEM}|17")).status == 201


@pytest.mark.parametrize(
    "text",
    ["identifier=17", "date=2026", "identifier=a|1&identifier=a|2", "identifier=a|1,a|2", "a", "identifier=a|%00"],
)
def test_other_conditions_are_refused_rather_than_ignored(text):
    assert judge(invoice("17"), Asked("create", if_none_exist=text)).status == 400


@pytest.mark.parametrize(
    ("tag", "status"), [('W/"7"', 200), ('"7"', 200), ("*", 200), ('W/"6"', 412), ("", 200), ("seven", 412)]
)
def test_if_match_is_the_version_that_we_told(tag, status):
    asked = Asked("update", "x", if_match=tag)
    assert judge(invoice("17"), asked, known=before("x", f"{SYSTEM}|17")).status == status


def test_if_match_on_what_is_not_there_fails():
    assert judge(invoice("17"), Asked("update", "x", if_match="*")).status == 412


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[]", b"null", b'{"resourceType": 1}', b'{"a": NaN}', b'{"a": 1, "a": 2}', b"<Invoice/>"],
)
def test_what_is_no_resource_is_kept_as_unreadable(body):
    judged = judge(body)
    assert (judged.status, judged.kind) == (400, "")
    [receipt] = judged.receipts
    assert (receipt.row.state, receipt.row.raw, receipt.row.lane) == ("unreadable", body, "")
    assert receipt.row.reason == judged.done[0].issues[0].text
    assert judged.done[0].issues[0].code == "structure"


def test_what_is_too_deep_or_too_large_is_refused():
    deep = b'{"resourceType": "Invoice", "extension": ' + b"[" * 200 + b"]" * 200 + b"}"
    assert judge(deep).status == 400
    large = judge(invoice("17", note=[{"text": "x" * 20_000}]))
    assert (large.status, len(large.receipts[0].row.raw)) == (413, 4096)


def test_another_resource_is_kept_as_ignored_with_the_reason():
    judged = judge({"resourceType": "ChargeItem", "id": "1"})
    row = judged.receipts[0].row
    assert (judged.status, row.state, row.type) == (404, "ignored", "ChargeItem")
    assert "ChargeItem" in row.reason


def test_an_address_takes_only_its_own_kind_of_resource():
    assert judge(bundle("batch"), Asked("create")).status == 400
    assert judge({"resourceType": "Patient"}, Asked("create")).status == 400
    assert judge(invoice("17"), Asked("other")).status == 404
    assert judge({"resourceType": "Patient"}, Asked("bundle")).status == 400
    assert judge(bundle("batch"), Asked("message")).status == 400


# ------------------------------------------------------------------------------------------------------------- Bundles


def test_a_bundle_is_kept_whole_and_each_invoice_in_it_with_what_it_needs():
    patient = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p"}}
    entries = [{"resource": invoice(n, subject={"reference": "urn:uuid:1"})} for n in ("17", "18")]
    body = json.dumps(bundle("collection", entries[0], patient, entries[1], id="b")).encode()
    judged = judge(body)
    whole, first, second = (receipt.row for receipt in judged.receipts)
    assert (judged.status, whole.state, whole.reason, whole.control_id) == (202, "ignored", "Bundle of 2", "b")
    assert (whole.raw, whole.lane, whole.type) == (body, "", "Bundle")
    assert (first.back, second.back) == (1, 2)
    assert (first.lane, second.lane) == (lane(f"{SYSTEM}|17"), lane(f"{SYSTEM}|18"))
    resource, around = bundles.unpack(second.raw)
    assert resource["identifier"][0]["value"] == "18"
    assert around == [patient]


def test_the_address_in_a_collection_names_an_invoice_without_an_id():
    entries = [{"fullUrl": "https://ehr.example.org/fhir/Invoice/17", "resource": invoice()}]
    assert judge(bundle("collection", *entries)).done[0].id == "17"
    own = [{"fullUrl": "https://ehr.example.org/fhir/Invoice/17", "resource": invoice(id="18")}]
    assert judge(bundle("collection", *own)).done[0].id == "18"


def test_a_transaction_is_taken_whole_or_not_at_all():
    patient = {"resourceType": "Patient"}
    good = [put(invoice("17"), "x"), post(patient), post(invoice("18"))]
    judged = judge(bundle("transaction", *good), Asked("bundle"))
    assert [done.status for done in judged.done] == [201, 202, 201]
    assert [receipt.row.state for receipt in judged.receipts] == ["ignored", "received", "received"]
    deletion = {"request": {"method": "DELETE", "url": "Invoice/x"}}
    judged = judge(bundle("transaction", *good, deletion), Asked("bundle"))
    assert (judged.status, len(judged.receipts)) == (400, 1)
    assert judged.done[0].issues[0].where == "Bundle.entry[3].request.method"


def test_a_batch_takes_what_it_can():
    entries = [
        {"request": {"method": "GET", "url": "PaymentReconciliation"}}, put(invoice("17", id="y"), "x"),
        {"resource": {}},
        post(invoice("18"), ifNoneExist=f"identifier={SYSTEM}|19"), post(invoice("20"), url="Patient"),
        {"request": {"method": "POST", "url": "Invoice"}}, put(invoice("21"), "z", ifMatch='W/"7"'),
    ]  # fmt: skip
    judged = judge(bundle("batch", *entries), known=before("a", f"{SYSTEM}|19"))
    assert [done.status for done in judged.done] == [405, 400, 400, 200, 400, 400, 412]
    assert judged.receipts[0].row.reason == "a Bundle without an Invoice to take: nothing to bill; 6 entries refused"
    assert judged.done[3].message == 7


def test_one_bundle_cannot_put_one_id_on_two_accounts():
    twice = bundle("transaction", put(invoice("17"), "x"), put(invoice("18"), "x"))
    assert judge(twice).status == 422
    assert [done.status for done in judge(twice | {"type": "batch"}).done] == [201, 422]


def test_a_conflict_in_a_collection_refuses_all_of_it_for_nobody_looks_into_a_2xx():
    collected = bundle("collection", {"resource": invoice("18")}, {"resource": invoice("17", id="x")})
    assert judge(collected, known=before("x", "x")).status == 422


@pytest.mark.parametrize("kind", ["history", "subscription-notification", "searchset", "document"])
def test_a_notification_without_an_invoice_is_taken_and_bills_nothing(kind):
    deleted = {"fullUrl": "https://ehr.example.org/Invoice/1", "request": {"method": "DELETE", "url": "Invoice/1"}}
    judged = judge(bundle(kind, {"resource": {"resourceType": "SubscriptionStatus"}}, deleted))
    assert (judged.status, len(judged.receipts)) == (202, 1)


def test_of_a_history_the_first_version_counts_which_is_the_newest():
    """FHIR R4 §3.1.0.12: the oldest versions last."""
    versions = [{"resource": one} for one in (
        invoice("17", id="x", note=[{"text": "v3"}]), invoice("18", id="y"), invoice("17", id="x"),
        invoice(id="x", status="draft"),
    )]  # fmt: skip
    judged = judge(bundle("history", *versions))
    assert [done.id for done in judged.done] == ["x", "y", "", ""]
    assert b"v3" in judged.receipts[1].row.raw
    assert len(judged.receipts) == 3


def test_what_a_history_says_was_deleted_is_not_billed_by_its_older_versions():
    deleted = {"fullUrl": "https://ehr.example.org/Invoice/x", "request": {"method": "DELETE", "url": "Invoice/x"}}
    judged = judge(bundle("history", deleted, {"resource": invoice("17", id="x")}, {"resource": invoice("18", id="y")}))
    assert [done.id for done in judged.done] == ["", "", "y"]


@pytest.mark.parametrize("kind", [None, "", "batch-response", "transaction-response", 7, ["batch"]])
def test_a_bundle_of_no_known_type_is_refused(kind):
    assert judge(bundle(kind)).status == 400


def test_a_small_bundle_cannot_become_a_large_one():
    patient = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "name": [{"text": "x" * 10_000}]}}
    entries = [{"resource": {"resourceType": "Invoice", "subject": {"reference": "urn:uuid:1"}}} for _ in range(80)]
    judged = judge(bundle("collection", patient, *entries))
    assert (judged.status, len(judged.receipts)) == (413, 1)


# ---------------------------------------------------------------------------------------------------------- properties

leaf = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
names = st.sampled_from(
    ["id", "resource", "request", "method", "url", "entry", "identifier", "value", "fullUrl", "type"]
)
values = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))
kinds = st.sampled_from(["transaction", "batch", "collection", "message"])
resources = st.one_of(
    values,
    st.fixed_dictionaries({"resourceType": st.just("Invoice")}, optional={"id": values, "identifier": values}),
    st.fixed_dictionaries({"resourceType": st.just("Bundle"), "type": kinds, "entry": st.lists(values, max_size=4)}),
)


@given(resources, st.sampled_from(["", "create", "update", "bundle", "message", "other"]), st.text(max_size=5))
def test_whatever_comes_is_judged_and_every_judgement_can_be_stored(resource, interaction, text):
    judged = judge(json.dumps(resource).encode(), Asked(interaction, text, text, text))
    assert judged.status in (200, 201, 202, 400, 404, 412, 413, 422)
    assert all(
        len(receipt.row.control_key) <= 200 and len(receipt.row.control_id) <= 200 for receipt in judged.receipts
    )
    assert all(receipt.row.ack_code.isdigit() and receipt.row.state for receipt in judged.receipts)
    assert (judged.kind == "") == (judged.status >= 400)


def test_an_answer_without_a_request_tells_where_each_invoice_is():
    receipts = judge(bundle("collection", {"resource": invoice("17")})).receipts
    fates = [Fate(number, receipt.row.state, receipt.row.ack_code) for number, receipt in enumerate(receipts, 4)]
    told = json.loads(answer(receipts, fates))
    assert [issue["severity"] for issue in told["issue"]] == ["information", "information"]
    assert "M5" in told["issue"][1]["diagnostics"]
    refused = judge(b"{").receipts
    told = json.loads(answer(refused, [Fate(9, "unreadable", "400")]))
    assert told["issue"][0]["severity"] == "error"
