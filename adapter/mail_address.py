"""E-mail addresses as they go over the wire. Pure: the settings check with it, the mail notifier sends with it.

Only the plain form is taken (RFC 5321 §4.1.2 Dot-string). A quoted or commented address is legal, but parsers disagree
about whom it means, and a bill must not go to somebody else.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LOCAL = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE)


class Wire(NamedTuple):
    """An address in two parts, the domain in ASCII. The local part may need SMTPUTF8 (RFC 6531)."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def wire(address: str) -> Wire:
    """Return an address in its wire form; a domain such as bücher.example.org becomes xn--….

    Raises ValueError, without the address, for what is none.
    """
    local, _, domain = address.rpartition("@")
    ascii_domain = domain if domain.isascii() else _ascii(domain)
    labels = ascii_domain.split(".")
    good = len(labels) > 1 and len(ascii_domain) <= 253 and not labels[-1].isdigit()
    good = good and all(len(label) <= 63 and _LABEL.fullmatch(label) for label in labels)
    if not good or not _LOCAL.fullmatch(local) or len(local.encode()) > 64:
        raise ValueError("is no e-mail address; write it as in billing@example.org")
    return Wire(local, ascii_domain)


def _ascii(domain: str) -> str:
    """Return a domain in ASCII, "" where Python's codec would name another one: it turns ß into ss, DNS does not."""
    try:
        encoded = domain.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna").lower() == domain.lower() else ""
    except UnicodeError:
        return ""
