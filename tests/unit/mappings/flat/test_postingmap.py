"""The map file for flat files: what cannot work is a problem of the file, with its place."""

from __future__ import annotations

import pytest

from chartpost.mappings import postingmap
from chartpost.mappings.flat.postingmap import FlatMap
from chartpost.mappings.yamltext import MapError

FIXED = """\
writes: flat
layout: fixed
kinds: {payment: {type: P, sign: positive}}
rows:
  - {target: 1-8, value: account}
"""
CSV = FIXED.replace("fixed", "csv").replace("1-8", "account")


def problems(text: str) -> list[str]:
    with pytest.raises(MapError) as caught:
        postingmap.parse(text, "site.yaml")
    return [problem.partition(": ")[2] for problem in caught.value.problems]


def test_a_file_of_lines_says_what_it_is_where_it_travels() -> None:
    fixed, cells = postingmap.parse(FIXED), postingmap.parse(CSV)
    assert (fixed.format, fixed.content_type, fixed.extension) == ("flat", "text/plain", "txt")
    assert (cells.format, cells.content_type, cells.extension) == ("flat", "text/csv", "csv")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("{target: 8-9, value: batch}", "8-9 is taken already by the row 1-8"),
        ("{target: 0-3, value: batch}", "'0-3' is no positions: write the first and the last"),
        ("{target: 12-9, value: batch}", "'12-9' is no positions"),
        ("{target: account, value: batch}", "'account' is no positions"),
        ("{target: 9-9, constant: AB}", "longer than the 1 characters of its positions"),
        ("{target: 9-9, value: nothing}", "unknown value 'nothing'"),
        ("{target: 9-9, value: batch, constant: x}", "a row needs either `value` or `constant`"),
        ("{target: 9-9, value: batch, align: middle}", "input should be 'left' or 'right'"),
        ("{target: 9-9, value: batch, pad: ab}", "at most 1 character"),
        ('{target: 9-19, value: amount_minor, pad: "0"}', "0 behind an amount makes it another: say `align: right`"),
        ('{target: 9-19, value: amount, align: right, pad: "1"}', "a digit other than 0 makes a number another one"),
        ('{target: 9-9, constant: "\\n"}', "`constant` holds a line break"),
        ("{target: 9-9, value: batch, format: YYYY}", "`format` is for times"),
        ("{target: 9-19, value: paid_at, format: DD.Mon}", "a format is made of YYYY or YY, MM, DD, hh, mm and ss"),
        ("{target: 9-9, value: medium}", "say under `media:` what each way to pay is called"),
        ("{target: 9-9, value: batch, longest: 4}", "`longest` is not known here"),
    ],
)
def test_a_row_that_cannot_work_is_told(row: str, problem: str) -> None:
    assert any(problem in one for one in problems(f"{FIXED}  - {row}\n"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("width: 7", "a row ends at position 8, behind the end of the line"),
        ("width: wide", "'wide' is no number of characters"),
        ("separator: ;", "`separator` belongs to `layout: csv`"),
        ('titles: "true"', "`titles` belongs to `layout: csv`"),
        ("encoding: utf-8", "a line of fixed width needs characters of one byte"),
        ("encoding: ebcdic", "'ascii', 'latin-1' or 'utf-8'"),
        ("version: 2.5.1", "`version` is not known here"),
    ],
)
def test_an_option_that_does_not_go_with_the_layout_is_told(line: str, problem: str) -> None:
    assert any(problem in one for one in problems(f"{line}\n{FIXED}"))


def test_columns_have_titles_and_neither_width_nor_pad() -> None:
    assert problems(CSV + "width: 80\n") == ["`width` belongs to `layout: fixed`"]
    assert problems(CSV + "  - {target: a, value: batch, align: left}\n") == ["`align` belongs to `layout: fixed`"]
    assert problems(CSV + "  - {target: account, value: batch}\n") == ["account is taken already by the row account"]


def test_a_file_needs_a_row_that_tells_of_the_movement() -> None:
    text = FIXED.replace("rows:\n  - {target: 1-8, value: account}\n", "rows: []\n")
    assert problems(text) == ["a file tells of a movement in at least one row"]


def test_a_line_is_as_long_as_the_widest_of_the_three_or_as_the_map_says() -> None:
    wider = postingmap.parse(FIXED + "trailer:\n  - {target: 20-22, value: records}\n")
    assert isinstance(wider, FlatMap)
    assert wider.width == 22
    stated = postingmap.parse(FIXED + "width: 80\n")
    assert isinstance(stated, FlatMap)
    assert stated.width == 80


def test_the_same_positions_may_have_a_row_for_each_kind() -> None:
    text = FIXED.replace("sign: positive}", "sign: positive}, refund: {type: R, sign: negative}")
    made = postingmap.parse(
        text + "  - {target: 9-9, constant: P, kinds: [payment]}\n  - {target: 9-9, constant: R, kinds: [refund]}\n"
    )
    assert isinstance(made, FlatMap)
    assert len(made.rows) == 3
