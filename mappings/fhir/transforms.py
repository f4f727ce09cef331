"""What a map of FHIR can do to an element: the transforms of transforms.py by the same names, and four of FHIR's own.

Lenient in: unknown elements are passed over, and what is absent is nothing. An element of the wrong type is refused,
because what it means is a guess. `cx` and `xpn` write HL7 v2 text, so that a payment can go back to a chart that speaks
HL7 v2. Causes may hold amounts, never what is said of a person.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from chartpost.mappings import contacts, er7, transforms
from chartpost.mappings.fhir.fhirpath import Element, text_of
from chartpost.mappings.fhir.references import fetchable, objects, text
from chartpost.mappings.model import Contact, Money
from chartpost.mappings.transforms import Context, Rejected, Transform

#: Older FHIR (STU3) has money as a Quantity: its currency is a code of this system.
_ISO_4217 = "urn:iso:std:iso:4217"
_LARGEST = 10**15  #: minor units; beyond it somebody's hand slipped
_DIGITS = 28  #: of a number; beyond them decimal arithmetic rounds without a word
#: ContactPoint.system → whether it is a mobile; an unnamed one is tried as both. Nobody reads a text on the others.
_MOBILE = {"phone": None, "sms": True, "": None}
#: HumanName.use → HL7 table 0200, as the v2-to-FHIR guide has them.
_NAME_TYPES = {"official": "L", "usual": "D", "nickname": "N", "maiden": "M", "anonymous": "S", "old": "BAD"}
_TABLE_0203 = re.compile(r"https?://(terminology\.)?hl7\.org/.*v2[-/]0203", re.ASCII)


def _amount(value: Any, what: str) -> Decimal:
    """Return a JSON number. Raises Rejected for anything else, and for what cannot be counted exactly."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise Rejected(f"{what} is no number there", "ask the sender for a JSON number such as 12.50")
    number = Decimal(value) if isinstance(value, Decimal) or abs(value) < 10**_DIGITS else Decimal("Infinity")
    if not number.is_finite() or len(number.as_tuple().digits) > _DIGITS or abs(number.adjusted()) > _DIGITS:
        raise Rejected(f"{what} has more digits than money has", "ask the sender to correct the number")
    return number


def money(value: Element | str, context: Context) -> Money | None:
    """Read a Money, or a bare number in the source's currency. None when there is no value: never 0.

    Real servers leave the currency out; the source's is taken then. Raises Rejected.
    """
    if isinstance(value, str):  # a map's default
        return transforms.money(value, context)
    data = value.data
    currency = ""
    if isinstance(data, dict):
        system, code = data.get("system"), text(data.get("code"))
        named = system == _ISO_4217 or (not system and transforms.is_currency(code))
        currency = text(data.get("currency")) or (code if named else "")
        if currency and not transforms.is_currency(currency):
            raise Rejected(f'"{currency[:12]}" is not an ISO 4217 currency', "ask the sender for a code such as USD")
        data = data.get("value")
        if data is None:
            return None
    try:
        found = Money.of(_amount(data, "the amount"), currency or context.currency)
    except Rejected:
        raise
    except ValueError as error:
        raise Rejected(str(error), "ask the sender to round, or to state the right currency") from None
    if abs(found.minor) >= _LARGEST:
        raise Rejected("the amount is beyond belief", "correct the Invoice")
    return found


def number(value: Element | str, context: Context) -> Decimal | None:
    """Read a decimal or an integer, or the value of a Quantity. Raises Rejected."""
    if isinstance(value, str):
        return transforms.number(value, context)
    data = value.data.get("value") if isinstance(value.data, dict) else value.data
    return None if data is None else _amount(data, "the value")


_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def date(value: Element | str, context: Context) -> dt.date | None:
    """Read the day, in the facility's calendar, of a date, dateTime or instant, or of the start of a Period.

    A month or year alone is its first day. Raises Rejected, without the date: it is a person's.
    """
    if isinstance(value, str):
        return transforms.date(value, context)
    said = text_of(value.data.get("start", "") if isinstance(value.data, dict) else value.data).strip()
    if not said:
        return None
    match = _DATE.fullmatch(said)
    if match is None:
        raise Rejected("not a date", "FHIR dates look like 2025-03-14 or 2025-03-14T09:30:00-05:00")
    *parts, zone = match.groups("")
    # From here on as HL7 v2 has it: the same digits without what separates them.
    same = "".join(parts) + ("+0000" if zone == "Z" else zone.replace(":", ""))
    return transforms.date(same, context)


def contact(value: Element | str, context: Context) -> list[Contact]:
    """Read a ContactPoint: a number, an address, or nothing. An old one counts no more.

    `period` is not looked at: reading knows no clock.
    """
    data = value.data if isinstance(value, Element) else None
    if not isinstance(data, dict) or data.get("use") == "old":
        return []
    system, said = text(data.get("system")), text(data.get("value"))
    found: Contact | None = None
    if system in ("email", ""):
        found = contacts.email(said)
    if found is None and system in _MOBILE:
        found = contacts.phone(said, context.region, True if data.get("use") == "mobile" else _MOBILE[system])
    return [found] if found else []


# ------------------------------------------------------------------------------------------------ kept for the chart


def plain(value: Element | str, context: Context) -> str:
    """Return a primitive value as text. Raises Rejected for an object."""
    return text_of(value.data).strip() if isinstance(value, Element) else value


def token(value: Element | str, context: Context) -> str:
    """Return an Identifier as `system|value`, "" when it has no value."""
    if not isinstance(value, Element) or not isinstance(value.data, dict):
        return plain(value, context)
    said = text(value.data.get("value"))
    return f"{text(value.data.get('system'))}|{said}" if said else ""


def reference(value: Element | str, context: Context) -> str:
    """Return a Reference that another server can follow: `Type/id` or an absolute URL, without a version. Else ""."""
    data = value.data if isinstance(value, Element) else value
    return fetchable(data if isinstance(data, dict) else {"reference": data})


def cx(value: Element | str, context: Context) -> str:
    """Return an Identifier as an HL7 v2 CX: value, its system as assigning authority (HD), its type of table 0203."""
    data = value.data if isinstance(value, Element) else value
    if not isinstance(data, dict):
        return er7.compose({(1, 1): plain(value, context)})
    said, system = text(data.get("value")), text(data.get("system"))
    if not said:
        return ""
    authority, scheme = system, "URI"
    for prefix, name in (("urn:oid:", "ISO"), ("urn:uuid:", "UUID")):
        if system.startswith(prefix):
            authority, scheme = system.removeprefix(prefix), name
    type = data.get("type")
    codings = objects(type.get("coding")) if isinstance(type, dict) else []
    codes = [text(coding.get("code")) for coding in codings if _TABLE_0203.fullmatch(text(coding.get("system")))]
    parts = {(1, 1): said}
    if authority:
        parts |= {(4, 2): authority, (4, 3): scheme}
    return er7.compose({**parts, (5, 1): codes[0] if codes else ""})


def xpn(value: Element | str, context: Context) -> str:
    """Return a HumanName as an HL7 v2 XPN. A name of one piece (`text`, an organization's) is the family's."""
    data = value.data if isinstance(value, Element) else value
    if not isinstance(data, dict):
        return er7.compose({(1, 1): plain(value, context)})
    given = _texts(data.get("given"))
    family = " ".join(_texts(data.get("family")))
    if not family and not given:
        return er7.compose({(1, 1): text(data.get("text"))})
    return er7.compose(
        {
            (1, 1): family,
            (2, 1): given[0] if given else "",
            (3, 1): " ".join(given[1:]),
            (4, 1): " ".join(_texts(data.get("suffix"))),
            (5, 1): " ".join(_texts(data.get("prefix"))),
            (7, 1): _NAME_TYPES.get(text(data.get("use")), ""),
        }
    )


def _texts(value: Any) -> list[str]:
    """Return the texts of a list, or a text that stands alone: before R4 some names did."""
    return [said for item in (value if isinstance(value, list) else [value]) if (said := text(item))]


def _whole(run: Callable[[Any, Context], Any], gives: transforms.Shape) -> Transform:
    return Transform(lambda value, context, _: run(value, context), gives, cell=True)


#: What a map of FHIR may write under `transform:`. Those that take text are the same as for HL7 v2.
TRANSFORMS: dict[str, Transform] = {
    **{name: transform for name, transform in transforms.TRANSFORMS.items() if not transform.cell},
    "money": _whole(money, "money"),
    "number": _whole(number, "number"),
    "date": _whole(date, "date"),
    "contacts": _whole(contact, "contacts"),
    "verbatim": _whole(plain, "verbatim"),
    "token": _whole(token, "verbatim"),
    "reference": _whole(reference, "verbatim"),
    "cx": _whole(cx, "verbatim"),
    "xpn": _whole(xpn, "verbatim"),
}
