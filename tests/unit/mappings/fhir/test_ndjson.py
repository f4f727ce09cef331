"""One resource a line, read as a Bundle."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.ndjson import as_bundle

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(
    st.lists(st.dictionaries(st.text("abc", min_size=1), TEXTS), min_size=2, max_size=5),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
    st.booleans(),
)
def test_each_line_becomes_an_entry_as_it_stands(resources, end, bom):
    body = end.join(json.dumps(one).encode() for one in resources) + end
    found = jsontext.decode(as_bundle(b"\xef\xbb\xbf" + body if bom else body))
    assert (found["resourceType"], found["type"]) == ("Bundle", "collection")
    assert [entry["resource"] for entry in found["entry"]] == resources


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"resourceType": "Invoice"}',
        b'{"resourceType": "Invoice"}\n',
        b'{\n  "resourceType": "Invoice"\n}',
        b'{\r\n"a": {"b": 1}\r\n}\r\n',
        b"MSH|^~\\&|\rPID|1\r",
    ],
)
def test_anything_else_stays_as_it_is(body):
    assert as_bundle(body) == body


def test_a_line_that_was_cut_off_spoils_the_whole_so_that_nothing_is_taken_by_halves():
    whole = as_bundle(b'{"resourceType":"Invoice","id":"1"}\n{"resourceType":"Invo')
    with pytest.raises(jsontext.FhirError):
        jsontext.decode(whole)


@given(st.binary())
def test_any_bytes_are_taken(body):
    as_bundle(body)
