"""When a message says that it was made. Pure."""

from __future__ import annotations

import contextlib
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.moment import of_message, of_ts

CHICAGO = ZoneInfo("America/Chicago")


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "first", "seconds"),
    [
        ("20260504100000", utc(2026, 5, 4, 15), 1),
        ("20260504100000.1234", utc(2026, 5, 4, 15), 1),
        ("20260504100000+0200", utc(2026, 5, 4, 8), 1),
        ("20260504100000.5-0330", utc(2026, 5, 4, 13, 30), 1),
        ("202605041000", utc(2026, 5, 4, 15), 60),
        ("2026050410", utc(2026, 5, 4, 15), 3600),
        ("20260504", utc(2026, 5, 4, 5), 86_400),
    ],
)
def test_a_time_of_hl7_is_read_to_the_precision_that_it_has(text, first, seconds):
    assert of_ts(text, CHICAGO) == (first, first + dt.timedelta(seconds=seconds))


def test_the_hour_that_comes_twice_in_autumn_may_be_either():
    assert of_ts("20261101013000", CHICAGO) == (utc(2026, 11, 1, 6, 30), utc(2026, 11, 1, 7, 30, 1))


@pytest.mark.parametrize(
    "text",
    ["", "2026", "202605", "20261345", "2026050425", "yesterday", "2026-05-04", "99991231", "20260504100000+9900"],
)
def test_what_names_no_day_says_nothing(text):
    assert of_ts(text, CHICAGO) is None


def test_hl7_says_it_in_msh_7_and_fhir_in_its_meta():
    hl7 = b"MSH|^~\\&|HIS|L|C|D|20260504100000-0500||DFT^P03|1|P|2.5.1\rEVN|P03\r"
    assert of_message(hl7, CHICAGO)[0] == utc(2026, 5, 4, 15)
    fhir = b'{"resourceType": "Invoice", "status": "issued", "meta": {"lastUpdated": "2026-05-04T15:00:00.25Z"}}'
    assert of_message(fhir, CHICAGO)[0] == utc(2026, 5, 4, 15, 0, 0, 250_000)
    assert of_message(b'{"resourceType": "Invoice", "status": "issued"}', CHICAGO) is None


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda rest: b'{"meta": {"lastUpdated": ' + rest)))
def test_whatever_is_no_message_is_a_value_error_and_nothing_else(raw):
    with contextlib.suppress(ValueError):
        of_message(raw, CHICAGO)


@given(st.text(alphabet="0123456789+-. ", max_size=24))
def test_no_text_makes_it_raise(text):
    found = of_ts(text, CHICAGO)
    assert found is None or found[0] < found[1]
