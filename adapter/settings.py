"""The configuration: its shape, and a loader that reports every problem at once, with file and line.

What a single value must be stands in `values.py`; `checks.py` looks at what they mean together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    StringConstraints,
    Tag,
)

from chartpost.adapter import addresses, checks, plugins
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.facility import Facility as Facility
from chartpost.adapter.facility import Mail as Mail
from chartpost.adapter.part import Part
from chartpost.adapter.problems import Problems
from chartpost.adapter.users import User
from chartpost.adapter.values import (
    Address,
    Broker,
    Charset,
    Database,
    Door,
    Limit,
    Named,
    OfLine,
    PublicUrl,
    SearchQuery,
    Token,
    database_url,
)
from chartpost.adapter.yamlfile import YamlFile


def _is_sandbox(part: BaseModel, key: str) -> bool:
    value = getattr(part, key, None)
    return isinstance(value, SecretStr) and value.get_secret_value() == "sandbox"


class Guard(Part):
    """What of a source waits for a person before anybody is asked; `none` switches a limit off."""

    older_than_days: Limit = 365  #: charges of longer ago
    requests_an_hour: Limit = 500  #: so many may be opened within an hour


class Shadow(Part):
    """For so many days it is only seen what would happen; then a person is told. Nothing goes live by itself."""

    days: PositiveInt


class SourceShadow(Shadow):
    """With a map that map reads along, and nothing it says counts; without, nothing of the source does."""

    map: Named | None = None


class ShareRule(Part):
    """The patient's share by the site's own rule, in CEL over a line's values (docs/reference/map.md)."""

    when: OfLine  #: true: the line is the patient's
    amount: OfLine | None = None  #: how much of it, in minor units; None: all of it


#: The tags are what pydantic's problems are told by: the word's explains all words.
Share = Annotated[
    Annotated[Literal["all", "copay", "self_pay", "net_of_insurance", "balance"], Tag("share")]
    | Annotated[ShareRule, Tag("rule")],
    Discriminator(lambda value: "rule" if isinstance(value, (dict, ShareRule)) else "share"),
]


class Source(Part):
    """A place that charges come from: what holds for every kind of it."""

    facility: Named
    map: Named
    share: Share
    self_pay_classes: tuple[Named, ...] = ()  #: PV1-20 codes that mean the patient pays
    destinations: tuple[Named, ...] = ()
    #: on_file: everybody's is, says the site; recorded: of whom it is on record; none: nobody is texted
    consent: Literal["on_file", "recorded", "none"] = "none"
    max_bytes: PositiveInt = 1_048_576
    guard: Guard = Guard()
    lint: bool = False  #: keep with each message what the standard says of it
    shadow: SourceShadow | None = None

    def in_sandbox(self, ready: Mapping[str, str]) -> Self:
        """Return this source with every `sandbox` replaced by what the sandbox said in its ready line."""
        changes = {key: ready[place] for key, place in checks.SOURCES_IN_SANDBOX.items() if _is_sandbox(self, key)}
        return self.model_copy(update={key: SecretStr(value) for key, value in changes.items()})


class Hl7Rules(Part):
    """What a source of HL7 v2 messages may say besides."""

    processing_id: Literal["P", "T", "D"] = "P"  #: MSH-11 (HL7 table 0103): anything else is answered AR
    encoding: Charset = "utf-8"  #: of messages that name none in MSH-18
    dedupe_days: PositiveInt = 7
    max_segments: PositiveInt = 2_000
    acks: Door | None = None  #: where application ACKs of enhanced mode go


class FhirRules(Part):
    """What a source of FHIR resources may say besides."""

    version: Literal["R4", "R4B", "R5"] = "R4"  #: a payload does not tell
    max_depth: PositiveInt = 32  #: levels of nesting
    fetch: Named | None = None  #: a destination of type fhir: what a resource refers to is read from its server
    #: "system|code" of the Consents that are about texts; `urn:chartpost:consent|text-messages` always is
    consent_codes: tuple[Annotated[str, StringConstraints(pattern=r"^\S*\|\S+$")], ...] = ()


class FhirPoll(Part):
    """How a source's server is asked for Invoices that nobody sends. Times are in seconds."""

    server: Named  #: a destination of type fhir
    every: PositiveInt = 60
    overlap: NonNegativeInt = 300  #: how far each look reaches back: servers show a change some time after its time
    since: PositiveInt = 86_400  #: how far the first look reaches back
    query: SearchQuery = "status=issued,balanced,cancelled,entered-in-error"  #: what else Invoices must fit


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
    poll: FhirPoll | None = None


class BrokerSource(Hl7Rules, FhirRules, Source):
    """Raw DFTs or Invoices, as the map has it, on the queue charge.<source>."""

    type: Literal["broker"]


class DirectorySource(Hl7Rules, FhirRules, Source):
    """Files of DFTs or Invoices, as the map has it, that others drop into a folder."""

    type: Literal["directory"]
    path: Named  #: the folder; it must be there
    pattern: Named = "*"  #: which names are picked up, as in *.hl7
    every: PositiveFloat = 5  #: seconds between two looks
    settle: PositiveFloat = 10  #: seconds for which a file must not have changed
    done: Named = "done"  #: where files go, below path or elsewhere on the same disk
    failed: Named = "failed"  #: where those go of which something was not taken
    max_bytes: PositiveInt = 16_777_216  #: the largest file


AnySource = Annotated[MllpSource | FhirSource | BrokerSource | DirectorySource, Field(discriminator="type")]


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


class Destination(Plugin):
    """A place that payments are posted to: what holds for every type of it (plugins.SHARED)."""

    #: FT1-3: none, or one for each day and facility, under which `chartpost totals` adds up
    batch: Literal["none", "day"] = "none"
    shadow: Shadow | None = None  #: postings are written and kept, and not sent
    #: how it is told that somebody takes consent to texts back, or gives it again: ADT^A31 or a FHIR Consent
    consents: Literal["none", "hl7", "fhir"] = "none"

    @property
    def options(self) -> dict[str, Any]:
        """All keys, `type` among them, as the plugin's own model takes them."""
        return plugins.own(plugins.SENDERS, self.model_dump())


class Sandbox(Part):
    """The other side for trying things out: `serve` starts it as a second process."""

    http: Door
    mllp: Door
    smtp: Door = Address("127.0.0.1:0")


class Settings(Part):
    """All of it."""

    public_url: PublicUrl | None = None  #: None: the web face's own address
    web: Door = Address("127.0.0.1:8080")  #: pages and webhooks
    internal: Door = Address("127.0.0.1:8081")  #: health, API, desk
    database: Database = Field("sqlite", repr=False)
    broker: Broker = Field("memory://", repr=False)
    sandbox: Sandbox | None = None
    facilities: dict[str, Facility] = Field(min_length=1)
    sources: dict[str, AnySource] = Field(min_length=1)
    destinations: dict[str, Destination] = Field(default_factory=dict)
    providers: dict[str, Plugin] = Field(default_factory=dict)
    notifiers: dict[str, Plugin] = Field(default_factory=dict)
    users: dict[str, User] = Field(default_factory=dict)  #: people and programs with a token for /api

    def resolve_sandbox(self, ready: Mapping[str, str]) -> Settings:
        """Return these settings with every `sandbox` replaced by what the sandbox said in its ready line."""
        sections = {
            section: {
                name: type(plugin).model_validate(checks.in_sandbox(plugin.model_dump(), ready))
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

    def directories(self) -> dict[str, DirectorySource]:
        """Return the sources that are folders."""
        return {name: source for name, source in self.sources.items() if isinstance(source, DirectorySource)}

    def brokered(self) -> dict[str, BrokerSource]:
        """Return the sources that are read from the broker."""
        return {name: source for name, source in self.sources.items() if isinstance(source, BrokerSource)}


def load(path: Path | None, environ: Mapping[str, str], *, maps: bool = True) -> Settings:
    """Read and check the configuration at `path` (None: the embedded one) under the `CHARTPOST_…` variables.

    Without `maps` maps and templates are not looked at: one that is being edited may be wrong for a while.

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
    addresses.check(file, problems)
    checks.folders(file, problems)
    checks.batches(file, problems)
    checks.sandbox(file, problems)
    checks.plugins(file, problems)
    if maps:
        checks.maps(file, problems)
        checks.templates(file, problems)
    if settings is None or problems:
        raise ConfigurationError(problems.sorted())
    return settings


def database(path: Path | None, environ: Mapping[str, str]) -> str:
    """Return only where the ledger is, so that lists work while the rest of the file is being edited."""
    file = read_file(path, environ)
    value = file.data.get("database", "sqlite")
    try:
        return database_url(str(value))
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
