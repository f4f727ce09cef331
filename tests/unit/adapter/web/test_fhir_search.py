"""From the words of a search to what is looked for, and from a page to a Bundle."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.door.receive_invoice import Refused
from chartpost.adapter.flow.posting.reconciliations import Found, Page, Reference, Search
from chartpost.adapter.web.fhir_search import Query, searchset, understood

UTC = dt.UTC


def search(*pairs: tuple[str, str], strict: bool = False) -> Search:
    return understood(pairs, strict=strict).search


def test_every_parameter_narrows_the_search() -> None:
    found = search(
        ("_id", "P1,P2"), ("identifier", "urn:chartpost:posting|P1,P3,urn:other|P4"), ("invoice", "Invoice/12,13"),
        ("invoice", "https://ehr.example.org/fhir/Invoice/12"), ("invoice:identifier", r"urn:a|1\,2,|3,4"),
        ("_count", "7"), ("_cursor", "P0"),
    )  # fmt: skip
    assert found.ids == [frozenset({"P1", "P2"}), frozenset({"P1", "P3", ""})]
    assert found.invoices == [
        frozenset({Reference("12"), Reference("13")}),
        frozenset({Reference("12")}),
        frozenset({Reference(identifier="urn:a|1,2"), Reference(identifier="3"), Reference(identifier="4")}),
    ]
    assert (found.count, found.after) == (7, "P0")
    assert search() == Search([], [], [], [])


@pytest.mark.parametrize(
    ("text", "since", "before"),
    [
        ("2026", (2026, 1, 1), (2027, 1, 1)),
        ("2026-12", (2026, 12, 1), (2027, 1, 1)),
        ("eq2026-05-04", (2026, 5, 4), (2026, 5, 5)),
        ("ge2026-05-04T10:00:00+02:00", (2026, 5, 4, 8), None),
        ("ge2026-05-04T10:00:00 02:00", (2026, 5, 4, 8), None),
        ("gt2026-05-04T10:00Z", (2026, 5, 4, 10, 1), None),
        ("gt2026-05-04T10:00:00.000001Z", (2026, 5, 4, 10, 0, 0, 2), None),
        ("sa2026-05-04T10:00:00.5Z", (2026, 5, 4, 10, 0, 0, 600_000), None),
        ("lt2026-05-04T10:00:00", None, (2026, 5, 4, 10)),
        ("eb2026-05", None, (2026, 5, 1)),
        ("le2026-05-04T10:00:00.123456789Z", None, (2026, 5, 4, 10, 0, 0, 123_457)),
    ],
)
def test_a_date_stands_for_all_of_it(text: str, since: tuple[int, ...] | None, before: tuple[int, ...] | None) -> None:
    found = search(("_lastUpdated", text))
    assert found.since == ([dt.datetime(*since, tzinfo=UTC)] if since else [])  # type: ignore[misc, arg-type]
    assert found.before == ([dt.datetime(*before, tzinfo=UTC)] if before else [])  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_lastUpdated", "yesterday"), ("_lastUpdated", "2026-13"), ("_lastUpdated", "2026-02-30"),
        ("_lastUpdated", "ap2026"), ("_lastUpdated", "ne2026"), ("_lastUpdated", "9999"), ("_lastUpdated", "0000"),
        ("_lastUpdated", "2026-05-04T25:00Z"), ("_lastUpdated", "2026-05-04T10:00+99:00"), ("_count", "-1"),
        ("_count", "many"), ("_count", "٣"), ("_id", "a,"), ("invoice", "Patient/1"), ("invoice", "x y"),
        ("_id", "a\0"), ("_id:not", "P1"), ("identifier:of-type", "a|b|c"), ("invoice:missing", "true"),
        ("_id", ",".join("ab" * 300)), ("_cursor", "a,"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_and_not_repeated(name: str, value: str) -> None:
    with pytest.raises(Refused) as refused:
        search((name, value))
    assert refused.value.status == 400
    assert value not in refused.value.issues[0].text


def test_what_nobody_knows_is_left_out_unless_the_client_is_strict() -> None:
    query = understood([("status", "active"), ("_id", "P1"), ("_format", "json")], strict=False)
    assert query.used == [("_id", "P1")]
    with pytest.raises(Refused):
        search(("status", "active"), strict=True)
    search(("_format", "json"), ("status", ""), ("_id", ""), strict=True)


def test_too_many_parameters_are_too_costly() -> None:
    with pytest.raises(Refused):
        search(*[("_id", "P1")] * 51)
    assert search(("_count", "9" * 5000)).count == 200


def test_a_page_links_to_itself_and_to_the_next() -> None:
    now = dt.datetime(2026, 5, 4, 15, tzinfo=UTC)
    query = Query(Search(), [("_lastUpdated", "ge2026-05-04T10:00:00+02:00"), ("_cursor", "P1")])
    one = Found("P2", "v", now, {"resourceType": "PaymentReconciliation", "id": "P2"})
    bundle = searchset(Page(9, [one], "P2"), query, "http://h/fhir/ehr", now)
    start = "http://h/fhir/ehr/PaymentReconciliation?_lastUpdated=ge2026-05-04T10%3A00%3A00%2B02%3A00"
    assert [link["url"] for link in bundle["link"]] == [f"{start}&_cursor=P1", f"{start}&_cursor=P2"]
    assert (bundle["total"], bundle["entry"][0]["search"]) == (9, {"mode": "match"})
    assert bundle["entry"][0]["fullUrl"] == "http://h/fhir/ehr/PaymentReconciliation/P2"
    empty = searchset(Page(0, [], ""), Query(Search(), []), "http://h/fhir/ehr", now)
    assert "entry" not in empty, "FHIR has no empty lists"
    assert [link["relation"] for link in empty["link"]] == ["self"]


names = st.sampled_from(
    ["_id", "identifier", "invoice", "invoice:identifier", "_lastUpdated", "_count", "_cursor", "x"]
)
dates = st.from_regex(r"\A(ge|lt|)\d{4}(-\d\d){0,2}(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?Z?)?\Z")


@given(st.lists(st.tuples(names, st.text(max_size=20) | dates), max_size=5), st.booleans())
def test_any_query_is_understood_or_refused(pairs: list[tuple[str, str]], strict: bool) -> None:
    try:
        found = understood(pairs, strict=strict).search
    except Refused:
        return
    assert 0 <= found.count <= 200
    assert all(when.tzinfo for when in (*found.since, *found.before))
