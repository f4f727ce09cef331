"""What a single value of the configuration must be: addresses, zones, currencies, secrets. Pure types for settings.py.

Each refuses with a sentence that says what to write instead; what values mean together is checked in checks.py.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainValidator, PositiveInt, SecretStr, StringConstraints

from chartpost.adapter import mail_address
from chartpost.mappings.conditions import CHARGE, compile_condition
from chartpost.mappings.model import exponent


class Address(str):
    """A "host:port" (or "[v6]:port"); port 0 means any free one."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Say whether a host name or address means this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(value: Any) -> Address:
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:\s/]+):(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or int(match[2]) > 65535:
        raise ValueError("is no address; write host:port, as in 127.0.0.1:2575")
    return Address(value)


def _public_url(value: str) -> str:
    url = urlsplit(value.rstrip("/"))
    if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
        raise ValueError("is no web address; write it as in https://pay.example.org")
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise ValueError("patients open this address: it must start with https://")
    return value.rstrip("/")


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except Exception:  # ZoneInfo raises KeyError, ValueError, OSError and IsADirectoryError for what is no zone
        raise ValueError("is no IANA time zone; write it as in America/Chicago") from None
    return value


def _region(value: str) -> str:
    from phonenumbers import SUPPORTED_REGIONS

    if value not in SUPPORTED_REGIONS:
        raise ValueError("is no ISO 3166 country code of two capital letters, as in US")
    return value


def _currency(value: str) -> str:
    exponent(value)
    return value


def _charset(value: str) -> str:
    try:
        b"".decode(value)
    except LookupError:
        raise ValueError("is no character set; write utf-8, latin-1, cp1252 …") from None
    return value


def database_url(value: str) -> str:
    """Return the value if it names a ledger. Raises ValueError."""
    if value != "sqlite" and not value.startswith("postgresql://"):
        raise ValueError("must be sqlite (a file in the data directory) or postgresql://…")
    return value


def _broker(value: str) -> str:
    if not value.startswith(("memory://", "amqp://", "amqps://")):
        raise ValueError("must be memory:// (inside this process) or amqp://… (RabbitMQ)")
    return value


def _token(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16 and value.get_secret_value() != "sandbox":
        raise ValueError("is too short to be a secret; `openssl rand -hex 32` makes one")
    return value


def _mail_address(value: str) -> str:
    mail_address.wire(value)
    return value


def _search_query(value: str) -> str:
    if not re.fullmatch(r"[\x21\x22\x24\x25\x27-\x7e]+=[\x21\x22\x24-\x7e]*", value):
        raise ValueError("is no search; write it as in status=issued,balanced, with & between its parts")
    asked = {part.partition("=")[0].partition(":")[0] for part in value.split("&")}
    if taken := asked & {"_lastUpdated", "_sort", "_count"}:
        raise ValueError(f"names {', '.join(sorted(taken))}, which is asked for anyway; leave it out")
    return value


def _one_line(value: str) -> str:
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        raise ValueError("has a line break or another control character; remove it")
    return value


def _of_line(value: str) -> str:
    compile_condition(value, CHARGE)
    return value


Door = Annotated[Address, PlainValidator(_address)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Named = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
OneLine = Annotated[Named, AfterValidator(_one_line)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
SearchQuery = Annotated[Named, AfterValidator(_search_query)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Region = Annotated[str, AfterValidator(_region)]
Currency = Annotated[str, AfterValidator(_currency)]
OfLine = Annotated[str, AfterValidator(_of_line)]
Charset = Annotated[str, AfterValidator(_charset)]
Limit = Annotated[PositiveInt | None, BeforeValidator(lambda value: None if value == "none" else value)]
Database = Annotated[str, AfterValidator(database_url)]
Broker = Annotated[str, AfterValidator(_broker)]
