"""The map file for FHIR: every mistake has its line, and is found when the file is loaded, not when money came in."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings import movement, postingmap
from chartpost.mappings.postingmap import FhirMap, Hl7Map, MapError

GOOD = """\
writes: PaymentNotice
version: R4
kinds: {payment: {type: payment, sign: positive}}
rows:
  - {target: status, constant: active}
  - {target: created, value: posted_at}
  - {target: payment.display, constant: paid by card}
  - {target: recipient.display, value: facility}
  - {target: amount.value, value: amount}
  - {target: amount.currency, value: currency}
"""


def problems(text: str) -> list[str]:
    with pytest.raises(MapError) as caught:
        postingmap.parse(text, "site.yaml")
    return [re.sub(r"(:\d+):\d+: ", r"\1: ", problem) for problem in caught.value.problems]


def with_rows(*rows: str) -> str:
    return GOOD + "".join(f"  - {row}\n" for row in rows)


def test_a_file_says_by_itself_what_it_writes() -> None:
    reconciliation, dft = postingmap.load("fhir-payment-reconciliation"), postingmap.load("hl7v2-dft-payment")
    assert isinstance(reconciliation, FhirMap)
    assert isinstance(dft, Hl7Map)
    assert (reconciliation.format, reconciliation.content_type) == ("fhir", "application/fhir+json")
    assert (dft.format, dft.content_type) == ("hl7v2", "application/hl7-v2")
    assert problems("writes: Claim\nversion: '2.5'\nkinds: {}\nmedia: {codes: {}}\nrows: []\n") == [
        "site.yaml:1: 'Claim' is not one of DFT^P03, PaymentReconciliation, PaymentNotice, Basic, flat"
    ]


@pytest.mark.parametrize("version", ["R4", "R4B", "R5"])
def test_a_small_map_is_enough_in_every_version(version: str) -> None:
    assert postingmap.parse(GOOD.replace("R4", version)).version == version


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{target: stutus, value: account}", "stutus: no such element in R4 PaymentNotice; known here: id,"),
        ("{target: request.identifer.value, value: account}", "request.identifer: no such element"),
        ("{target: identifier.value, value: posting_id}", "identifier is a list: say which of it, as in identifier[0]"),
        ('{target: "request[0].reference", value: account}', "request is no list: leave [0] out"),
        ("{target: request, value: account}", "request is a Reference: name one of its elements"),
        ("{target: paymentDate.day, value: account}", "paymentDate.day: what stands before has no elements"),
        ("{target: request.-1, value: account}", "is not a path of elements such as detail[0].amount.value"),
        ("{target: _status, value: account}", "is not a path of elements"),
        ("{target: request.display, value: acount}", "unknown value 'acount'; known: account,"),
        ("{target: request.display, value: chart.PID-3}", "unknown value 'chart.PID-3'"),
        ("{target: request.display}", "a row needs either `value` or `constant`"),
        ("{target: request.display, value: account, constant: x}", "a row needs either `value` or `constant`"),
        ("{target: request.display, value: account, table: x}", "there is no table 'x'; tables: none"),
        ("{target: request.display, constant: y, table: x}", "a constant goes through no table: write what it means"),
        (
            "{target: request.display, value: account, kinds: [gift]}",
            "input should be 'payment', 'refund' or 'dispute'",
        ),
        ("{target: status, constant: active}", "status has a row already"),
        ("{target: paymentDate, constant: soon}", "paymentDate: not a valid date"),
        ("{target: request.type, constant: an account}", "request.type: not a valid uri"),
        ("{target: request.identifier.use, constant: usualy}", "request.identifier.use: not one of usual, official,"),
        ('{target: "extension[0].valueBoolean", constant: yes}', "extension[0].valueBoolean: not a valid boolean"),
        ("{target: request.display, value: account, longest: 3}", "`longest` is not known here"),
    ],
)
def test_each_kind_of_mistake_has_words_and_the_line_of_its_row(row: str, said: str) -> None:
    found = problems(with_rows(row))
    assert any(problem.startswith("site.yaml:11: ") and said in problem for problem in found)


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(with_rows("{target: a, value: b}", "{target: status.x}", "{target: paymentDate, constant: x}"))
    assert [int(problem.split(":")[1]) for problem in found] == [11, 11, 12, 12, 13]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (GOOD.replace("  - {target: created, value: posted_at}\n", ""), "created"),
        (with_rows('{target: "extension[0].valueString", value: account}'), "extension[0].url"),
        (GOOD.replace("  - {target: recipient.display, value: facility}\n", ""), "recipient"),
    ],
)
def test_what_the_version_requires_must_have_a_row(text: str, missing: str) -> None:
    assert problems(text) == [f"site.yaml:4: no row fills {missing} of a payment, and R4 requires it"]


def test_a_row_for_some_kinds_does_not_fill_what_others_need() -> None:
    text = GOOD.replace("sign: positive}", "sign: positive}, refund: {type: x, sign: negative}")
    text = text.replace("created, value: posted_at", "created, value: posted_at, kinds: [payment]")
    assert problems(text) == ["site.yaml:4: no row fills created of a refund, and R4 requires it"]


def test_one_element_may_have_a_row_for_each_kind() -> None:
    text = GOOD.replace("sign: positive}", "sign: positive}, refund: {type: x, sign: negative}")
    rows = ("{target: request.display, value: account, kinds: [payment]}",)
    other = ("{target: request.display, value: predecessor, kinds: [refund]}",)
    made = postingmap.parse(text + "".join(f"  - {row}\n" for row in rows + other))
    assert isinstance(made, FhirMap)
    of_refunds = movement.rows_for(made.rows, "refund")
    assert [row.value for row in of_refunds if row.place == "request.display"] == ["predecessor"]


def test_a_row_that_names_code_needs_words_for_each_way_to_pay() -> None:
    wanted = "site.yaml:1: a row names `code`: say under `media:` what each way to pay is called"
    row = "{target: request.display, value: code}"
    assert problems(with_rows(row)) == [wanted]
    assert postingmap.parse(with_rows(row) + "media: {codes: {card: CCCA}}\n").media.codes == {"card": "CCCA"}


@settings(deadline=None)  # the first of them imports fhir.resources
@given(st.text(max_size=60) | st.lists(st.sampled_from(GOOD.splitlines(True)), max_size=12).map("".join))
def test_any_text_is_a_map_or_a_map_error(text: str) -> None:
    with contextlib.suppress(MapError):
        postingmap.parse(text)
