"""The configuration: its shape, and a loader that reports every problem at once, with file and line.

Values are checked in `settings.py` one by one; `checks.py` looks at what they mean together.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    PositiveInt,
    SecretStr,
    StringConstraints,
)

from chartpost.adapter import checks, mail_address
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.problems import Problems
from chartpost.adapter.yamlfile import YamlFile
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


def _database(value: str) -> str:
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


Door = Annotated[Address, PlainValidator(_address)]
Token = Annotated[SecretStr, AfterValidator(_token)]
Named = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Part(BaseModel):
    """Base of every part of the configuration: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


def _is_sandbox(part: BaseModel, key: str) -> bool:
    value = getattr(part, key, None)
    return isinstance(value, SecretStr) and value.get_secret_value() == "sandbox"


def _mail_address(value: str) -> str:
    mail_address.wire(value)
    return value


def _one_line(value: str) -> str:
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in value):
        raise ValueError("has a line break or another control character; remove it")
    return value


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class Mail(Part):
    """How a facility signs its e-mail."""

    sender: Annotated[Named, AfterValidator(_one_line)]  #: shown in the list of mails, so as neutral as message_name
    address: MailAddress  #: the From address; what cannot be delivered comes back to it
    reply_to: MailAddress  #: where answers go: the billing office


class Facility(Part):
    """A practice or site."""

    name: Named
    message_name: Annotated[Named, AfterValidator(_one_line)]  #: what an SMS may say: "oncology" is health information
    timezone: Annotated[str, AfterValidator(_timezone)]
    region: Annotated[str, AfterValidator(_region)]  #: ISO 3166: how phone numbers without a country are read
    currency: Annotated[str, AfterValidator(_currency)]  #: ISO 4217
    provider: Named
    notifiers: tuple[Named, ...] = ()  #: in the order in which they are tried
    mail: Mail | None = None  #: needed by notifiers that send e-mail
    contact: str = ""  #: how payers reach the billing office, shown on the pages: "(608) 555-0100"
    request_days: PositiveInt | None = None  #: a request expires after so many days; None: never


class Source(Part):
    """A place that charges come from: what holds for every kind of it."""

    facility: Named
    map: Named
    share: Literal["all", "copay", "self_pay", "net_of_insurance", "balance"]
    self_pay_classes: tuple[Named, ...] = ()  #: PV1-20 codes that mean the patient pays
    destinations: tuple[Named, ...] = ()
    consent: Literal["on_file", "none"] = "none"  #: none: nobody is texted
    max_bytes: PositiveInt = 1_048_576

    def in_sandbox(self, ready: Mapping[str, str]) -> Self:
        """Return this source with every `sandbox` replaced by what the sandbox said in its ready line."""
        changes = {key: ready[place] for key, place in checks.SOURCES_IN_SANDBOX.items() if _is_sandbox(self, key)}
        return self.model_copy(update={key: SecretStr(value) for key, value in changes.items()})


class Hl7Rules(Part):
    """What a source of HL7 v2 messages may say besides."""

    processing_id: Literal["P", "T", "D"] = "P"  #: MSH-11 (HL7 table 0103): anything else is answered AR
    encoding: Annotated[str, AfterValidator(_charset)] = "utf-8"  #: of messages that name none in MSH-18
    dedupe_days: PositiveInt = 7
    max_segments: PositiveInt = 2_000
    acks: Door | None = None  #: where application ACKs of enhanced mode go


class FhirRules(Part):
    """What a source of FHIR resources may say besides."""

    version: Literal["R4", "R4B", "R5"] = "R4"  #: a payload does not tell
    max_depth: PositiveInt = 32  #: levels of nesting
    fetch: Named | None = None  #: a destination of type fhir: what a resource refers to is read from its server


class MllpSource(Hl7Rules, Source):
    """HL7 v2 over MLLP."""

    type: Literal["mllp"]
    listen: Door
    map: Named = "hl7v2-dft"


class FhirSource(FhirRules, Source):
    """FHIR over HTTP, at /fhir/<source>/ of the internal face."""

    type: Literal["fhir"]
    map: Named = "fhir-invoice"
    token: Token  #: the bearer token that every request must bring
    token_previous: Token | None = None  #: taken too, while the sender changes over


class BrokerSource(Hl7Rules, FhirRules, Source):
    """Raw DFTs or Invoices, as the map has it, on the queue charge.<source>."""

    type: Literal["broker"]


AnySource = Annotated[MllpSource | FhirSource | BrokerSource, Field(discriminator="type")]


class Plugin(BaseModel):
    """A destination, provider or notifier: its type, and the options that the plugin of that type understands."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Named

    @property
    def options(self) -> dict[str, Any]:
        """All keys, `type` among them, as the plugin's own model takes them."""
        return self.model_dump()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "type", self.type  # the rest may hold secrets


class Sandbox(Part):
    """The other side for trying things out: `serve` starts it as a second process."""

    http: Door
    mllp: Door
    smtp: Door = Address("127.0.0.1:0")


class Settings(Part):
    """All of it."""

    public_url: Annotated[str, AfterValidator(_public_url)] | None = None  #: None: the web face's own address
    web: Door = Address("127.0.0.1:8080")  #: pages and webhooks
    internal: Door = Address("127.0.0.1:8081")  #: health, API, desk
    database: Annotated[str, AfterValidator(_database)] = Field("sqlite", repr=False)
    broker: Annotated[str, AfterValidator(_broker)] = Field("memory://", repr=False)
    sandbox: Sandbox | None = None
    facilities: dict[str, Facility] = Field(min_length=1)
    sources: dict[str, AnySource] = Field(min_length=1)
    destinations: dict[str, Plugin] = {}
    providers: dict[str, Plugin] = {}
    notifiers: dict[str, Plugin] = {}

    def resolve_sandbox(self, ready: Mapping[str, str]) -> Settings:
        """Return these settings with every `sandbox` replaced by what the sandbox said in its ready line."""
        sections = {
            section: {
                name: Plugin.model_validate(checks.in_sandbox(plugin.options, ready))
                for name, plugin in getattr(self, section).items()
            }
            for section in checks.GROUPS
        }
        sources = {name: source.in_sandbox(ready) for name, source in self.sources.items()}
        return self.model_copy(update={**sections, "sources": sources})

    def mllp(self) -> dict[str, MllpSource]:
        """Return the sources that listen for MLLP."""
        return {name: source for name, source in self.sources.items() if isinstance(source, MllpSource)}

    def fhir(self) -> dict[str, FhirSource]:
        """Return the sources with a FHIR face."""
        return {name: source for name, source in self.sources.items() if isinstance(source, FhirSource)}

    def brokered(self) -> dict[str, BrokerSource]:
        """Return the sources that are read from the broker."""
        return {name: source for name, source in self.sources.items() if isinstance(source, BrokerSource)}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and check the configuration at `path` (None: the embedded one) under the `CHARTPOST_…` variables.

    Raises ConfigurationError with all problems, each "file:line: key.path: what is wrong; what to do".
    """
    file = read_file(path, environ)
    problems = Problems(file)
    checks.read_secrets(file, problems)
    checks.map_paths(file)
    checks.names(file, problems)
    settings = problems.validate(Settings, file.data)
    checks.references(file, problems)
    checks.doors(file, problems)
    checks.sandbox(file, problems)
    checks.plugins(file, problems)
    checks.maps(file, problems)
    if settings is None or problems:
        raise ConfigurationError(problems.sorted())
    return settings


def database(path: Path | None, environ: Mapping[str, str]) -> str:
    """Return only where the ledger is, so that lists work while the rest of the file is being edited."""
    file = read_file(path, environ)
    value = file.data.get("database", "sqlite")
    try:
        return _database(str(value))
    except ValueError as error:
        raise ConfigurationError([f"{file.where(['database'])}: database: {error}"]) from None


def read_file(path: Path | None, environ: Mapping[str, str]) -> YamlFile:
    """Return the configuration as it is written, under the variables. Raises ConfigurationError when it is no YAML."""
    if path is not None:
        file = YamlFile.read(path)
    else:
        text = resources.files("chartpost.adapter").joinpath("embedded.yaml").read_text("utf-8")
        file = YamlFile("embedded.yaml", text)
    file.override(environ, Settings.model_fields)
    return file
