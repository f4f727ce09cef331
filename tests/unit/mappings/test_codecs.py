"""What a Kombu program gets that accepts our content types: the bytes unharmed, and a way to look into them."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import ContentDisallowed, DecodeError, EncodeError
from kombu.serialization import dumps, loads, prepare_accept_content

from chartpost.mappings import er7
from chartpost.mappings.codecs import FHIR_TYPE, HL7_TYPE, Hl7View, decode_fhir, decode_hl7, encode_fhir, encode_hl7

DFT = (
    b"MSH|^~\\&|HIS|LC|CP||20260504||DFT^P03|77|P|2.5.1\r"
    b'PID|1||M-1^^^LC^MR||Sample^Silvia\\T\\Co||""\r'
    b"FT1|1|||20260504||CO|COPAY|||1|45.00&USD\rFT1|2|||20260504||CG|VISIT|||1|79.00\rZCP|whatever\r"
)
PARSED_BY = {"hl7v2": HL7_TYPE, "fhir": FHIR_TYPE}


def test_kombu_knows_both_serializers_by_name_and_by_content_type():
    assert prepare_accept_content(PARSED_BY) == set(PARSED_BY.values())


def test_importing_kombu_imports_neither_a_parser_nor_kombu_again_from_within():
    code = (
        "import sys; from kombu.serialization import registry; assert 'application/hl7-v2' in registry._decoders;"
        "ours = sorted(name for name in sys.modules if name.startswith('chartpost')); print(*ours)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["chartpost", "chartpost.mappings", "chartpost.mappings.codecs"]


@pytest.mark.parametrize(("name", "value"), [("hl7v2", DFT), ("fhir", {"amount": Decimal("10.00"), "n": 1})])
def test_what_kombu_dumps_it_loads_and_nobody_gets_it_who_does_not_accept_it(name, value):
    content_type, encoding, payload = dumps(value, serializer=name)
    assert content_type == PARSED_BY[name]
    loaded = loads(payload, content_type, encoding, accept={content_type})
    assert dumps(loaded, serializer=name)[2] == payload
    with pytest.raises(ContentDisallowed):
        loads(payload, content_type, encoding, accept={"application/json"})


def test_a_view_shows_values_by_path_and_the_segments_in_order():
    view = Hl7View(DFT)
    assert (view["PID-3.1"], view["FT1-11.1.1"], view["FT1[2]-7"], view["MSH-9.2"]) == ("M-1", "45.00", "VISIT", "P03")
    assert view.text("MSH", 10) == "77"
    assert view["PID-5.2"] == "Silvia&Co"
    assert (view["PID-7"], view["PID-30"], view["GT1-3"]) == ("", "", "")
    assert [segment.name for segment in view] == ["MSH", "PID", "FT1", "FT1", "ZCP"]
    assert view.segments[4].field(1) == "whatever"


def test_a_path_that_is_none_is_said_to_be_none():
    with pytest.raises(ValueError, match="is not a path"):
        Hl7View(DFT)["PID 3"]


def test_nothing_of_a_patient_is_in_the_repr():
    assert repr(Hl7View(DFT)) == f"<Hl7View of {len(DFT)} bytes, 5 segments>"


segment = st.binary(max_size=40).filter(lambda raw: not raw.startswith((b"\xff\xfe", b"\xfe\xff")))


@given(st.lists(segment, max_size=6), st.sampled_from([b"\r", b"\n", b"\r\n"]))
def test_whatever_the_bytes_are_a_view_gives_them_back(segments, end):
    raw = end.join([b"MSH|^~\\&|A", *segments])
    view = decode_hl7(raw)
    assert bytes(view) == encode_hl7(view) == encode_hl7(view.message) == encode_hl7(memoryview(raw)) == raw


def test_latin_1_without_a_word_in_msh_18_is_read_all_the_same():
    assert decode_hl7("MSH|^~\\&|A\rPID|||1||Müller\r".encode("latin-1"))["PID-5"] == "Müller"


def test_a_body_that_the_transport_decoded_is_read_as_the_text_that_it_is():
    text = "MSH|^~\\&|A|||||||||||||||8859/1\rPID|||1||Müller\r"
    view = decode_hl7(text)
    assert (view["PID-5"], bytes(view)) == ("Müller", text.encode())


@pytest.mark.parametrize(("charset", "codec"), [("", "utf-8"), ("8859/1", "latin-1"), ("UNICODE UTF-8", "utf-8")])
def test_a_text_is_encoded_as_its_msh_18_says(charset, codec):
    text = f"MSH|^~\\&|A|||||||||||||||{charset}\rPID|||1||Müller\r"
    assert encode_hl7(text) == text.encode(codec)


def test_a_text_that_its_charset_cannot_say_is_refused_without_showing_it():
    with pytest.raises(EncodeError) as refused:
        dumps("MSH|^~\\&|A|||||||||||||||8859/1\rPID|||1||Łukasz\r", serializer="hl7v2")
    assert "ukasz" not in str(refused.value)


@pytest.mark.parametrize("body", [b"hello", b"PID|1||Sample", b"MSH|", b"{}"])
def test_what_is_no_message_raises_kombus_decode_error_and_shows_nothing(body):
    with pytest.raises(DecodeError) as refused:
        loads(body, HL7_TYPE, "binary", accept={HL7_TYPE})
    assert "Sample" not in str(refused.value)


@pytest.mark.parametrize("value", [None, {"a": 1}, 7])
def test_what_is_no_message_is_not_encoded(value):
    with pytest.raises(EncodeError):
        dumps(value, serializer="hl7v2")


def test_an_er7_message_built_elsewhere_can_be_published():
    assert encode_hl7(er7.parse(DFT)) == DFT


def test_amounts_keep_their_digits_through_fhir():
    body = b'{"amount":{"value":10.00,"currency":"USD"},"rate":1.50e-3}'
    resource = decode_fhir(body)
    assert str(resource["amount"]["value"]) == "10.00"
    assert b"10.00" in encode_fhir(resource)
    assert decode_fhir(encode_fhir(resource)) == resource


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 200 + b"]" * 200, b'{"a": NaN}', '{"a": "\ud800"}'])
def test_what_is_no_fhir_raises_kombus_decode_error(body):
    with pytest.raises(DecodeError):
        loads(body, FHIR_TYPE, "utf-8", accept={FHIR_TYPE})


@given(st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.decimals(-(10**9), 10**9, places=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
))  # fmt: skip
def test_any_resource_comes_back_digit_for_digit(value):
    assert repr(decode_fhir(encode_fhir(value))) == repr(value)


def test_views_of_the_same_bytes_are_equal():
    assert Hl7View(DFT) == Hl7View(bytes(DFT))
    assert Hl7View(DFT) != DFT
    assert len({Hl7View(DFT), Hl7View(DFT)}) == 1
