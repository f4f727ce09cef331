"""XTN in all its spellings."""

from __future__ import annotations

import pytest

from chartpost.mappings.contacts import e164, email, from_xtn
from chartpost.mappings.er7 import STANDARD
from chartpost.mappings.model import Contact


def phone(value: str, mobile: bool | None = None) -> Contact:
    return Contact(kind="phone", value=value, mobile=mobile)


MAIL = Contact(kind="email", value="tessa@example.org")


@pytest.mark.parametrize(
    ("xtn", "found"),
    [
        ("(608)555-0142", [phone("+16085550142")]),
        ("(608)555-0142^PRN^PH", [phone("+16085550142")]),
        ("6085550142^PRN^CP", [phone("+16085550142", True)]),
        ("^PRN^PH^^1^608^5550142", [phone("+16085550142")]),
        ("^PRN^CP^^^608^5550142", [phone("+16085550142", True)]),
        ("^PRN^PH^^49^030^23125014", [phone("+493023125014")]),
        ("^PRN^CP^^^^^^^^^+1 608 555 0142", [phone("+16085550142", True)]),
        ("^NET^Internet^tessa@example.org", [MAIL]),
        ("tessa@example.org^NET^Internet", [MAIL]),
        ("tessa@example.org", [MAIL]),
        ("(608)555-0142^PRN^PH^tessa@example.org", [phone("+16085550142"), MAIL]),
        ("6085550142^PRN^FX", []),
        ("6082517777^^Internet^8484", []),
        ("5550142^PRN^PH", []),
        ("999-999-9999", []),
        ("none", []),
        ('""', []),
        ("", []),
    ],
)
def test_numbers_and_addresses_are_found_wherever_they_stand(xtn: str, found: list[Contact]) -> None:
    assert from_xtn(xtn, "US", STANDARD, "utf-8") == found


def test_a_number_without_country_code_is_read_in_the_sources_region() -> None:
    assert e164("030 23125014", "DE") == "+493023125014"
    assert e164("608 555 0142", "DE") != "+16085550142"


@pytest.mark.parametrize(
    "text", ["", "a@b", "a b@example.org", "@example.org", "a@example.org,b@example.org", "a@x.y" * 60]
)
def test_what_is_no_address_is_left_out(text: str) -> None:
    assert email(text) is None
