"""Which language somebody speaks, in all the ways that are on the wire (HL7 table 0296 is a site's own)."""

from __future__ import annotations

import re
from functools import lru_cache

from babel import Locale
from babel.core import get_global

#: Names of languages are read in these: what systems in the United States write is one of them.
_NAMES_IN = ("en", "es")
#: CLDR calls Tagalog Filipino, which has no two letters.
_OURS = {"tgl": "tl", "fil": "tl", "filipino": "tl", "castellano": "es"}


@lru_cache(maxsize=512)
def language(text: str) -> str:
    """Return a language as ISO 639-1, in lower case; "" for what is none, or has no two letters.

    Reads ISO 639-1, -2 and -3 (`es`, `SPA`), BCP 47 (`es-MX`, `es_MX`), and names in English and Spanish.
    """
    tidy = " ".join(text.casefold().split())
    name = re.split(r"\s*[;,(/]", tidy)[0]
    code = re.split(r"[-_]", name)[0]
    if len(code) == 3 and code.isalpha():
        code = _OURS.get(code) or str(get_global("language_aliases").get(code, ""))
    return code if code in _names().values() else _names().get(name, "")


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Return the codes of two letters by the names of their languages."""
    found = dict(_OURS)
    for locale in _NAMES_IN:
        found |= {name.casefold(): code for code, name in Locale(locale).languages.items() if len(code) == 2}
    return found
