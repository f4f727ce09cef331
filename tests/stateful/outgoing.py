"""All that left for the outside, as the other side has recorded it; and what may be in it. Nothing of the product.

A field that is not on these lists, or has another form, is a leak: lists are what they are because somebody looked.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: What no message, and no call to a provider, may hold: words of the people, accounts and services of this world.
CANARIES = (
    "quaggmire", "zebulon", "thessaly", "ottoline", "vandersloot", "kanari", "oncocanary", "notecanary", "wordcanary",
    "1979-02-13", "19790213", "02/13/1979", "13/02/1979", "2011-08-30", "20110830", "itemcanary", "elsecanary",
)  # fmt: skip

_URL = r"http://127\.0\.0\.1:\d+"
_TOKEN = r"[A-Za-z0-9_-]{22}"
_ID = r"[0-9A-Z]{11}"
#: One field of a create of a Checkout Session → what it must look like.
_STRIPE = {
    "mode": "payment",
    "client_reference_id": f"C{_ID}",
    "expires_at": r"\d{10}",
    "success_url": rf"{_URL}/p/{_TOKEN}/return\?s=C{_ID}",
    "cancel_url": rf"{_URL}/p/{_TOKEN}/back",
    "line_items[0][quantity]": "1",
    "line_items[0][price_data][currency]": "usd",
    "line_items[0][price_data][unit_amount]": r"[1-9]\d{0,8}",
    "line_items[0][price_data][product_data][name]": "Lakeside(: account payment)?",
    "payment_intent_data[description]": "Lakeside: account payment",
    "payment_intent_data[statement_descriptor_suffix]": "Lakeside",
    "payment_intent_data[metadata][chartpost]": f"C{_ID}",
    "metadata[chartpost]": f"C{_ID}",
}
_STATUS = rf"{_URL}/hooks/sms/status\?notice=N{_ID}"
_TWILIO = {
    "To": r"\+1608555\d{4}",
    "From": r"\+16085550100",
    "StatusCallback": _STATUS,
    "Body": rf"[^0-9$€]*(?:(?:{_URL}/p/{_TOKEN})|(?:\d{{4}}[ -]?\d{{4}}))?[^$€]*",
}
#: Headers of a mail besides those that say what kind of text it is.
_HEADERS = {
    "from", "to", "reply-to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type",
    "content-transfer-encoding", "content-language", "received", "x-peer", "x-mailfrom", "x-rcptto",
}  # fmt: skip
#: The other digits that a text may have: how to reach the practice.
_CONTACT = "(608) 555-0100"


def leaks(text: str) -> list[str]:
    """Return the words of this world's people that a text gives away."""
    lowered = text.casefold()
    return [word for word in CANARIES if word in lowered]


def wrong_create(params: dict[str, Any]) -> list[str]:
    """Return what is wrong with a create of a Checkout Session."""
    return [*_wrong(_STRIPE, params), *leaks(str(params))]


def wrong_text(params: dict[str, Any]) -> list[str]:
    """Return what is wrong with a create of an SMS."""
    said = {name: value.replace(_CONTACT, "") for name, value in params.items()}
    return [*_wrong(_TWILIO, said), *leaks(params.get("Body", ""))]


def wrong_mail(mail: dict[str, Any]) -> list[str]:
    """Return what is wrong with a mail."""
    found = [f"header {name}" for name in mail["headers"] if name.casefold() not in _HEADERS]
    if mail["subject"] != "Lakeside":
        found.append("its subject is not the organisation")
    if not mail["from"].endswith("@lakeside.example.org"):
        found.append("it does not come from the practice's domain")
    digits = re.sub(rf"{_URL}/p/{_TOKEN}\S*", "", mail["text"].replace(_CONTACT, ""))
    if re.search(r"[$€]|\d{3}", re.sub(r"\b\d{4}[ -]?\d{4}\b|M[0-9A-Z]{11}|127\.0\.0\.1:\d+", "", digits)):
        found.append("it has a number that nobody allowed")
    return [*found, *leaks(mail["text"]), *leaks(mail["html"])]


def notice_of(params: dict[str, Any]) -> str:
    """Return our id of the SMS that was asked for."""
    return parse_qs(urlsplit(params["StatusCallback"]).query)["notice"][0]


def notice_of_mail(mail: dict[str, Any]) -> str:
    """Return our id of a mail."""
    headers = {name.casefold(): value for name, value in mail["headers"].items()}
    return str(headers["message-id"]).strip("<>").partition("@")[0]


def _wrong(allowed: dict[str, str], params: dict[str, Any]) -> list[str]:
    unknown = [f"field {name}" for name in params if name not in allowed]
    odd = [
        f"{name} has another form: {value!r}"
        for name, value in params.items()
        if name in allowed and not re.fullmatch(allowed[name], str(value), re.DOTALL)
    ]
    return unknown + odd
