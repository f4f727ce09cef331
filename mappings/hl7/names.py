"""Names of fields as people know them, from hl7apy's: TRANSACTION_AMOUNT_EXTENDED → Transaction Amount - Extended."""

from __future__ import annotations

import re
from functools import lru_cache

_SMALL = frozenset(
    ["a", "and", "any", "as", "at", "by", "for", "from", "in", "of", "on", "or", "per", "than", "the", "to", "with"]
)
#: Words that stay capitals.
_CAPITALS = frozenset(
    [
        "ABN",
        "CMS",
        "DRG",
        "HCFA",
        "HMO",
        "ID",
        "II",
        "III",
        "IV",
        "LOA",
        "MD",
        "NDC",
        "OID",
        "POA",
        "SSN",
        "UPIN",
        "VIP",
        "ZIP",
    ]
)
#: What the standard sets off with a dash at the end of a name: the segment's own code, and the kinds of an amount.
_LAST = re.compile(r"_(EXTENDED|UNIT|ALTERNATE|[A-Z]{2}[0-9]|PID|MSH|EVN|DRG|ABS|OBR|OBX|ORC|PCR|RXA|SFT)$")
#: What hl7apy has misspelt, and the number pattern that older versions have for a name.
_MENDED = {"FAMILIY_NAME": "FAMILY_NAME", "999_999_9999_X99999_C_ANY_TEXT": "TELEPHONE_NUMBER"}


@lru_cache(maxsize=8192)
def in_words(name: str) -> str:
    """Return a name of hl7apy, in capitals with underscores, as the standard prints it, or nearly so."""
    last = ""
    name = _MENDED.get(name, name)
    found = _LAST.search(name)
    if found and (len(found[1]) == 3 or name.startswith("TRANSACTION_")):
        name, last = name[: found.start()], found[1]
    text = name.replace("DATE_TIME", "DATE/TIME").replace("_E_G_", "_(E.G._").replace("_S_", "'S_")
    text = re.sub(r"_S$", "'S", text)
    words = [_word(word, first=index == 0) for index, word in enumerate(text.split("_")) if word]
    text = " ".join(words) + (")" if "(e.g." in words else "")
    return f"{text} - {last if len(last) == 3 else last.capitalize()}" if last else text


def _word(word: str, *, first: bool) -> str:
    if word == "(E.G.":
        return "(e.g."
    if word in _CAPITALS or any(char.isdigit() for char in word):
        return word
    if word.lower() in _SMALL and not first:
        return word.lower()
    return "/".join(part[:1] + part[1:].lower() for part in word.split("/"))
