"""Addresses in the form in which mail servers understand them, and nothing that could mean somebody else."""

from __future__ import annotations

from email.headerregistry import Address
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.mail_address import wire


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("billing@lakeside.example.org", "billing@lakeside.example.org"),
        ("o'neil+bills@Example.org", "o'neil+bills@Example.org"),
        ("kasse@bücher.example.org", "kasse@xn--bcher-kva.example.org"),
        ("kasse@xn--bcher-kva.example.org", "kasse@xn--bcher-kva.example.org"),
        ("jürgen@example.org", "jürgen@example.org"),
    ],
)
def test_an_address_is_put_into_its_wire_form(written: str, sent: str) -> None:
    assert str(wire(written)) == sent


@pytest.mark.parametrize(
    "written",
    [
        "", "@", "a@", "@example.org", "a@b", "a@1.2", "a@-x.org", "a@x..org", "a@x.org.", "a..b@x.org", ".a@x.org",
        "a b@x.org", "a@x .org", '"a b"@x.org', "a(b)@x.org", "a@x.org,b@x.org", "<a@x.org>", "a@x.org\r\nDATA",
        "a\x00@x.org", "a@[127.0.0.1]", "a" * 65 + "@x.org", "a@" + "x" * 64 + ".org", "a@" + "x." * 130 + "org",
        "kasse@straße.example.org",  # Python would write to strasse.example.org, which may be somebody else
        "\udc80@x.org",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_without_being_repeated(written: str) -> None:
    with pytest.raises(ValueError, match="is no e-mail address") as refused:
        wire(written)
    assert str(refused.value) == "is no e-mail address; write it as in billing@example.org"


@given(st.text(st.sampled_from("ab.@ \"'()<>,;:\\[]é+-_1\r\n\t"), max_size=14).map(lambda text: f"{text}@example.org"))
def test_whatever_is_taken_means_the_same_to_every_parser(written: str) -> None:
    try:
        found = wire(written)
    except ValueError:
        return
    assert parseaddr(str(found)) == ("", str(found))
    assert Address("", *found).addr_spec == str(found)
