"""Phone numbers and e-mail addresses out of XTN fields, in all the spellings that are on the wire.

The number stands in .1 (to 2.6), .12 (from 2.3 on, unformatted), or is put together from .5 country, .6 area, .7 local.
The address stands in .4, or in .1 (equipment `Internet`). Equipment `CP` is a mobile (HL7 table 0202).
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

from chartpost.mappings import er7
from chartpost.mappings.model import Contact

#: Fax, modem, pager and addresses of machines: nobody reads a text there (table 0202).
_UNREADABLE = frozenset({"FX", "MD", "BP", "X.400", "SAT"})
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")


@lru_cache(maxsize=4096)
def e164(text: str, region: str) -> str:
    """Return a number as +16085550148, "" for what cannot be one. A number without country code is read in `region`."""
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return ""
    # Seven digits of a US number are "possible locally": nothing that can be called from here.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return ""
    if len(set(str(number.national_number))) == 1:
        return ""  # 999-999-9999: a form that had to be filled in
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def phone(text: str, region: str, mobile: bool | None = None) -> Contact | None:
    """Return a number as a contact, None for what cannot be one."""
    value = e164(text.strip(), region)
    return Contact(kind="phone", value=value, mobile=mobile) if value else None


def email(text: str) -> Contact | None:
    """Return an address as a contact, None for what cannot be one. `mailto:` is cut off."""
    if "@" not in text:
        return None
    value = text.strip().removeprefix("mailto:")
    return Contact(kind="email", value=value) if len(value) <= 254 and _ADDRESS.fullmatch(value) else None


def from_xtn(text: str, region: str, delimiters: er7.Delimiters, codec: str) -> list[Contact]:
    """Return what one XTN repetition says: a number, an address, both, or nothing."""

    if not text or text == er7.NULL_TEXT:
        return []
    parts = text.split(delimiters.component) if delimiters.component else [text]

    def component(number: int) -> str:
        if number > len(parts) or not parts[number - 1]:
            return ""
        return er7.unescape(er7.part(parts[number - 1], delimiters, 1, 1), delimiters, codec).strip()

    first, equipment = component(1), component(3)
    found = [address for address in (email(component(4)), email(first)) if address][:1]
    if equipment == "Internet" or equipment in _UNREADABLE:
        return found if equipment == "Internet" else []
    mobile = True if equipment == "CP" else False if equipment in ("TDD", "TTY") else None
    for spelled in (first if "@" not in first else "", component(12)):
        if spelled and (number := phone(spelled, region, mobile)):
            return [number, *found]
    spelled, where = _assembled(component(5), component(6), component(7), region)
    number = phone(spelled, where, mobile) if spelled else None
    return [number, *found] if number else found


def _assembled(country: str, area: str, local: str, region: str) -> tuple[str, str]:
    """Return a number and the region to read it in: Germany writes area codes with the 0 that +49 must not have."""
    if not local:
        return "", region
    if country.lstrip("+").isdecimal():
        code = int(country.lstrip("+")[:4])
        there = phonenumbers.region_code_for_country_code(code)
        # +1 is a dozen countries; the source's own counts if it is one of them.
        same = region in phonenumbers.region_codes_for_country_code(code)
        return f"{area}{local}", region if same else there
    return f"{area}{local}", region
