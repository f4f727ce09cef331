"""Flat files: every line has its width, every value its place, and no text becomes a line, a cell or a formula."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import postingmap
from chartpost.mappings.flat.postingmap import FlatMap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import Unwritable, check, write

KINDS = "kinds: {payment: {type: P, sign: positive}, refund: {type: R, sign: negative}}\n"


def posting(**changes: Any) -> Posting:
    """A card payment of 45 dollars at 23:30 in Chicago, which is another day in UTC."""
    return Posting(
        kind="payment",
        posting_id="P7K2M9Q4R8T1",
        control_id="P7K2M9Q4R8T1",
        amount=Money(minor=4500, currency="USD"),
        paid_at=dt.datetime(2026, 3, 15, 4, 30, tzinfo=dt.UTC),
        posted_at=dt.datetime(2026, 3, 15, 4, 31, 7, tzinfo=dt.UTC),
        timezone="America/Chicago",
        medium="card/visa",
        provider_reference="pi_3NkTESTabcdefgh",
        account="ACC77",
        facility="Lakeside Clinic",
        batch="LADE260314",
        chart={"PID-3": "M100^^^LAKE^MR", "PID-5": "MARLOWE^TESSA"},
    ).model_copy(update=changes)


def flat(rows: str, more: str = "", layout: str = "fixed") -> FlatMap:
    made = postingmap.parse(f"writes: flat\nlayout: {layout}\n{KINDS}{more}rows:\n{rows}", "site.yaml")
    assert isinstance(made, FlatMap)
    return made


def line(row: str, **changes: Any) -> str:
    """Return the only line that a map of one row writes."""
    map = flat(f"  - {row}\n")
    return write(posting(**changes), map).decode(map.encoding).removesuffix("\r\n")


@pytest.mark.parametrize(
    ("row", "written"),
    [
        ("{target: 1-7, value: account}", "ACC77  "),
        ("{target: 1-7, value: account, align: right}", "  ACC77"),
        ("{target: 3-9, value: account, pad: _}", "  ACC77__"),
        ("{target: 1-8, value: amount, align: right}", "   45.00"),
        ('{target: 1-8, value: amount_minor, align: right, pad: "0"}', "00004500"),
        ('{target: 1-8, value: amount, align: right, pad: "0"}', "00045.00"),
        ("{target: 1-6, value: paid_date, format: MMDDYY}", "031426"),
        ("{target: 1-8, value: paid_date}", "20260314"),
        ("{target: 1-14, value: paid_at}", "20260314233000"),
        ("{target: 1-16, value: posted_at, format: YYYY-MM-DD hh:mm}", "2026-03-14 23:31"),
        ("{target: 1-6, value: patient_identifier}", "M100  "),
        ("{target: 1-13, value: patient_family}", "MARLOWE      "),
        ("{target: 1-10, value: batch}", "LADE260314"),
        ("{target: 1-3, constant: X}", "X  "),
    ],
)
def test_a_value_stands_at_its_positions_in_the_shape_that_its_row_states(row: str, written: str) -> None:
    assert line(row) == written


def test_a_sign_stands_before_the_zeros() -> None:
    row = '{target: 1-8, value: amount_minor, align: right, pad: "0"}'
    assert line(row, kind="refund") == "-0004500"


@pytest.mark.parametrize(
    ("minor", "currency", "major"), [(5, "USD", "0.05"), (500, "JPY", "500"), (1234, "KWD", "1.234")]
)
def test_an_amount_has_exactly_the_decimals_of_its_currency(minor: int, currency: str, major: str) -> None:
    money = Money(minor=minor, currency=currency)
    assert line("{target: 1-9, value: amount}", amount=money).rstrip() == major
    assert line("{target: 1-9, value: amount_minor}", amount=money).rstrip() == str(minor)


def test_what_does_not_fit_is_held_and_never_cut() -> None:
    with pytest.raises(Unwritable) as caught:
        line("{target: 1-4, value: account}")
    (problem,) = caught.value.problems
    assert (problem.path, problem.cause) == ("1-4", "account is longer than the 4 characters of its positions")
    assert "ACC77" not in str(caught.value)


def test_a_character_that_the_encoding_lacks_is_held() -> None:
    with pytest.raises(Unwritable, match="patient_family holds a character that ascii does not have"):
        line("{target: 1-20, value: patient_family}", chart={"PID-5": "MÜLLER"})
    latin = flat("  - {target: 1-8, value: patient_family}\n", "encoding: latin-1\n")
    assert write(posting(chart={"PID-5": "MÜLLER"}), latin) == b"M\xdcLLER  \r\n"


def test_everything_that_cannot_be_written_is_told_at_once_with_its_place() -> None:
    map = flat(
        "  - {target: 1-2, value: account}\n  - {target: 3-9, value: predecessor, required: true}\n",
        "header:\n  - {target: 1-3, value: facility}\ntrailer:\n  - {target: 1-1, value: total}\n",
    )
    with pytest.raises(Unwritable) as caught:
        write(posting(), map)
    assert [problem.path for problem in caught.value.problems] == ["header 1-3", "1-2", "3-9", "trailer 1-1"]


def test_header_and_trailer_count_and_add_up_what_stands_between_them() -> None:
    more = (
        "ending: lf\nheader:\n  - {target: 1-1, constant: H}\ntrailer:\n  - {target: 1-1, constant: T}\n"
        '  - {target: 2-4, value: records, align: right, pad: "0"}\n  - {target: 5-11, value: total, align: right}\n'
    )
    map = flat("  - {target: 1-1, constant: D}\n  - {target: 2-8, value: amount, align: right}\n", more)
    assert write(posting(kind="refund"), map).decode() == "H          \nD -45.00   \nT001 -45.00\n"


CSV = (
    '  - {target: account, value: account}\n  - {target: "name, of the place", value: facility}\n'
    "  - {target: sum, value: amount}\n"
)


def test_csv_has_its_titles_and_quotes_what_would_break_it() -> None:
    map = flat(CSV, layout="csv")
    body = write(posting(facility='Lakeside "North", Inc'), map)
    assert body.decode() == ('account,"name, of the place",sum\r\nACC77,"Lakeside ""North"", Inc",45.00\r\n')
    assert write(posting(), flat(CSV, "titles: false\nseparator: tab\n", "csv")) == b"ACC77\tLakeside Clinic\t45.00\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "  =1+1", "＝1"])
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    made = write(posting(account=text), flat(CSV, layout="csv")).decode()
    assert next(list(csv.reader(io.StringIO(made)))[1][0] for _ in "1") == f"'{text}"


@pytest.mark.parametrize("text", ["-45.00", "+16085550100", "77"])
def test_a_number_stays_a_number(text: str) -> None:
    made = write(posting(account=text), flat(CSV, layout="csv")).decode()
    assert made.splitlines()[1].startswith(f"{text},")


def test_a_column_that_one_kind_fills_is_empty_for_the_others() -> None:
    map = flat(CSV + "  - {target: takes back, value: predecessor, kinds: [refund]}\n", layout="csv")
    assert write(posting(), map).decode().splitlines()[1].endswith(",45.00,")
    taken = write(posting(kind="refund", predecessor="P1"), map).decode().splitlines()
    assert taken[0].endswith(",takes back")
    assert taken[1].endswith(",-45.00,P1")


def test_what_was_written_is_read_again_before_it_leaves() -> None:
    fixed, cells = flat("  - {target: 1-7, value: account}\n"), flat(CSV, layout="csv")
    assert check(b"ACC77  \r\n", fixed) == []
    assert check(b"ACC77\r\n", fixed) == ["line 1: not 7 characters"]
    assert check(b"ACC77  ", fixed) == ["file: its last line does not end"]
    assert check(b"\xff\xff\xff\xff\xff\xff\xff\r\n", fixed) == ["file: not ascii"]
    assert check(b"ACC77  \r\nACC77  \r\n", fixed) == ["file: has 2 lines, and its map makes 1 at most"]
    assert check(b"account\r\nACC77,x\r\n", cells) == [
        "file: no line has the titles of the columns",
        "file: no line has 3 cells",
    ]
    assert "file: a cell goes on in another line" in check(b'account,"a\r\nb",sum\r\n', cells)


HOSTILE = st.text(st.sampled_from("ab;,\"'=+-@| \t\r\n\x00\x0b\x1c\x85\u2028é\ud800"), max_size=12)


@given(HOSTILE, HOSTILE)
def test_no_value_becomes_another_line_or_cell(account: str, facility: str) -> None:
    map = flat(CSV, layout="csv")
    try:
        body = write(posting(account=account, facility=facility), map)
    except Unwritable:
        assert "\ud800" in account + facility
        return
    assert check(body, map) == []
    titles, cells = csv.reader(io.StringIO(body.decode(), newline=""))
    assert titles == ["account", "name, of the place", "sum"]
    assert (len(cells), cells[2]) == (3, "45.00")
    assert body.count(b"\r\n") == 2


@given(HOSTILE)
def test_no_value_moves_what_stands_beside_it(account: str) -> None:
    map = flat("  - {target: 1-12, value: account}\n  - {target: 13-20, value: paid_date}\n", "encoding: latin-1\n")
    try:
        body = write(posting(account=account), map)
    except Unwritable:
        assert "\ud800" in account
        return
    assert check(body, map) == []
    assert (len(body), body[12:]) == (22, b"20260314\r\n")
