"""What a person says of a request: made exact, or refused with a sentence that repeats nothing of it. Pure."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import configuration

from chartpost.adapter import mail_address
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests import wish
from chartpost.adapter.flow.requests.wish import Item
from chartpost.mappings.contacts import e164
from chartpost.mappings.model import exponent

CLINIC = configuration().facilities["lakeside"]
amounts = st.decimals(allow_nan=True, allow_infinity=True) | st.decimals(-10, 10**13, places=3)
lines = st.builds(
    Item, st.text(min_size=1, max_size=20), st.decimals(0, 10_000, places=2), st.decimals(0, 99, places=1),
    st.decimals(0, 100, places=2), st.decimals(0, 100, places=2),
)  # fmt: skip


@given(amounts, st.sampled_from(("USD", "JPY", "KWD")))
def test_an_amount_is_exact_and_above_zero_or_refused(amount, currency):
    try:
        minor = wish.minor(amount, currency)
    except No:
        return
    assert 0 < minor < 10**15
    assert Decimal(minor).scaleb(-exponent(currency)) == amount


@pytest.mark.parametrize("amount", ["1." + "0" * 40 + "1", "1." + "0" * 9 + "1", "999999999999.001"])
def test_a_decimal_too_many_is_refused_however_far_behind_it_stands(amount):
    with pytest.raises(No, match="more decimals"):
        wish.minor(Decimal(amount), "USD")
    with pytest.raises(No, match="item 1"):
        wish.itemised([Item("x", Decimal(amount))], "USD")


def test_what_an_item_comes_to_is_not_rounded():
    tiny = Item("x", Decimal("0.000000000001"), Decimal("0.000000000001"), tax=Decimal("100000000000.00"))
    with pytest.raises(No, match="whole minor units"):
        wish.itemised([tiny], "USD")


@given(st.lists(lines, max_size=6))
def test_items_come_to_exactly_the_sum_of_what_is_kept_of_them(items):
    try:
        kept, total = wish.itemised(items, "USD")
    except No as no:
        assert str(no).startswith("item ")  # noqa: PT017
        return
    assert total == sum(Decimal(one["total"]) for one in kept)
    for one in kept:
        amount = Decimal(one["quantity"]) * Decimal(one["unit_amount"]) - Decimal(one["discount"]) + Decimal(one["tax"])
        assert amount == Decimal(one["total"]) >= 0
        assert one["description"].isprintable()


@given(
    st.lists(st.emails() | st.from_regex(r"\+1[2-9]\d{2}[2-9]\d{6}", fullmatch=True) | st.text(max_size=20), max_size=6)
)
def test_every_recipient_can_be_written_to_each_once_or_all_are_refused_and_none_is_repeated(said):
    text = ";".join(said)
    try:
        found = wish.recipients(text, CLINIC)
    except No as no:
        told = str(no).removesuffix("Write them as in anna@example.org; +1 608 555 0142")
        assert not any(len(part) > 12 and part in told for part in said)
        return
    keys = [one["to"].casefold() for one in found]
    assert len(set(keys)) == len(keys)
    for one in found:
        if one["channel"] == "email":
            mail_address.wire(one["to"])
        else:
            assert e164(one["to"], "US") == one["to"]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("Crown\r\nleft", "Crown left"), ("  a \x00 b\t", "a b"), ("\u202egnp", "gnp"), ("Zoë Ñandú", "Zoë Ñandú")],
)
def test_a_name_has_one_line_and_nothing_that_cannot_be_seen(typed, kept):
    assert wish.one_line(typed, "a name") == kept


def test_a_note_keeps_its_lines_and_loses_what_cannot_be_seen():
    assert wish.note(" Bring:\r\n- the form\x07\n- the card ") == "Bring:\n- the form\n- the card"
