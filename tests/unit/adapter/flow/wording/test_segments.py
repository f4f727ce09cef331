"""Segments cost money: they are counted as networks count them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.adapter.flow.wording.segments import beyond_gsm, measure

BASIC = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCZÄÖÑÜ§¿abczäöñüà"
EXTENSION = "^{}\\[~]|€\f"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("GSM-7", 0, 1)),
        ("a" * 160, ("GSM-7", 160, 1)),
        ("a" * 161, ("GSM-7", 161, 2)),
        ("a" * 306, ("GSM-7", 306, 2)),
        ("a" * 307, ("GSM-7", 307, 3)),
        ("a" * 459, ("GSM-7", 459, 3)),
        ("a" * 460, ("GSM-7", 460, 4)),
        ("€" * 80, ("GSM-7", 160, 1)),
        ("€" * 81, ("GSM-7", 162, 2)),
        ("a" * 152 + "€" + "a" * 153, ("GSM-7", 307, 3)),  # the escape does not part from its character
        ("a" * 151 + "€" + "a" * 153, ("GSM-7", 306, 2)),
        ("á" * 70, ("UCS-2", 70, 1)),
        ("á" * 71, ("UCS-2", 71, 2)),
        ("á" * 134, ("UCS-2", 134, 2)),
        ("á" * 135, ("UCS-2", 135, 3)),
        ("😀" * 35, ("UCS-2", 70, 1)),
        ("😀" * 36, ("UCS-2", 72, 2)),
        ("a" * 66 + "😀" + "a" * 66, ("UCS-2", 134, 3)),  # nor do the halves of a surrogate pair
        ("a" * 159 + "`", ("UCS-2", 160, 3)),
    ],
)
def test_a_text_has_the_segments_that_the_standard_gives_it(text: str, expected: tuple[str, int, int]) -> None:
    assert measure(text) == expected


def test_every_character_of_the_alphabet_and_its_extension_is_known() -> None:
    assert measure(BASIC).length == len(BASIC)
    assert measure(EXTENSION) == ("GSM-7", 2 * len(EXTENSION), 1)
    assert beyond_gsm(f"{BASIC}{EXTENSION}áíóúá") == "áíóú"


@given(st.text(max_size=700))
def test_segments_are_never_fewer_than_their_room_allows_nor_many_more(text: str) -> None:
    size = measure(text)
    together = 153 if size.encoding == "GSM-7" else 67
    alone = 160 if size.encoding == "GSM-7" else 70
    assert size.segments == 1 if size.length <= alone else size.segments >= -(-size.length // together)
    assert size.segments == 1 or size.length > (size.segments - 1) * (together - 1)
