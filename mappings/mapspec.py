"""The map file for charges as it is written: its keys, checked one by one. What they mean together: mapfile.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from chartpost.mappings.dialect import DialectName


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Listed = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
#: A cause of a hold: a word that lists and commands take.
Cause = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{1,30}$")]
SameReference = Literal["add", "replace", "void", "hold"]


#: A version of HL7 v2, as MSH-12 has it.
Version = Annotated[str, StringConstraints(pattern=r"^2\.\d(\.\d)?$")]


class Part(BaseModel):
    """Base of all parts of a map file: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Instead(Part):
    """`unknown: {value: X}`: what an unknown code means."""

    value: str


def _unknown(value: object) -> object:
    if value is None or value in ("hold", "ignore", "pass") or isinstance(value, (dict, Instead)):
        return value
    raise ValueError("write hold, ignore, pass, or {value: X} for what it then means")


Unknown = Annotated[Literal["hold", "ignore", "pass"] | Instead | None, BeforeValidator(_unknown)]


class TableSpec(Part):
    """A code table: what the site's code means."""

    codes: dict[str, str] = {}
    file: str | None = None  #: a CSV file beside the map, with the columns code and meaning
    unknown: Unknown = None  #: left out: hold, or as the base has it
    note: str = ""


class RowSpec(Part):
    """One row as it is written."""

    target: str
    path: Listed
    transform: Listed | None = None
    default: str | None = None
    required: bool = False
    since: Version | None = None  #: of HL7 v2: only for messages of this version and newer
    until: Version | None = None  #: only for messages of this version and older
    note: str = ""


class WhenSpec(Part):
    """Conditions without which a message, or a line of one, is nothing for us."""

    message: str | None = None
    charge: str | None = None


class StopSpec(Part):
    """A condition under which nobody may be asked: a person decides."""

    when: str
    cause: Cause
    text: str = ""
    note: str = ""


class CorrectionsSpec(Part):
    """How the sender corrects what it sent before."""

    #: what a line means that has the Transaction ID (FT1-2) of a line counted from an earlier message
    same_reference: SameReference | None = None
    note: str = ""


class MapSpec(Part):
    """One file. Where it extends another, it holds only what differs."""

    note: str = ""
    extends: str | None = None
    without: Listed = []
    dialect: DialectName | None = None
    messages: Listed | None = None
    account: Listed | None = None
    message: list[RowSpec] = []
    charge: list[RowSpec] = []
    tables: dict[str, TableSpec] = {}
    when: WhenSpec = WhenSpec()
    stop: list[StopSpec] = []
    corrections: CorrectionsSpec = CorrectionsSpec()


#: In a JSON Schema: a value that is read as text.
TEXT: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a map file for editors: names of targets and transforms included.

    Every scalar of a map is read as text, so numbers and booleans are as good as strings there.
    """
    from chartpost.mappings.dialect import HL7V2
    from chartpost.mappings.fhir.dialect import FHIR, FHIR_ITEM

    made = loosened(MapSpec.model_json_schema())
    targets = [*HL7V2.message, *FHIR.message, *HL7V2.charge, *FHIR.charge, *FHIR_ITEM.charge]
    row = made["$defs"]["RowSpec"]["properties"]
    row["target"] = {
        "description": "what the row reads; docs/reference/map.md explains each",
        "anyOf": [
            {"enum": sorted(set(targets))},
            {"type": "string", "pattern": r"^(my\.[a-z][a-z0-9_]*|chart\..+)$"},
        ],
    }
    names = sorted({*HL7V2.transforms, *FHIR.transforms})
    one = {"type": "string", "pattern": rf"^({'|'.join(names)})( .*)?$"}
    row["transform"] = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "Chartpost map of charges"}


def loosened(part: Any) -> Any:
    """Return a schema in which every text may be a number or a boolean too, and every list of texts one text."""
    if isinstance(part, list):
        return [loosened(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "string" and "enum" not in part and "pattern" not in part:
        return {**part, **TEXT}
    loose = {key: loosened(value) for key, value in part.items() if key != "title"}
    if part.get("type") == "array" and part.get("items") == {"type": "string"}:
        return {"anyOf": [loose["items"], loose]}
    return loose
