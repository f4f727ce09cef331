"""Goldens: what a map is known to make of messages, beside each of them, read and approved by a person.

A golden states the terms of its source too, so that it holds whatever the configuration says. A map's own goldens lie
in a folder of its name beside it: `site.yaml`, and `site/first.hl7` with `site/first.expected.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chartpost.adapter import settings as configuration
from chartpost.adapter.settings import Facility, FhirSource, MllpSource, Settings, ShareRule, Source
from chartpost.adapter.trial import Outcome, files_of, take, throwaway
from chartpost.mappings.mapfile import Map

#: How the source of a trial is called.
SOURCE = "trial"
ENDING = ".expected.json"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a map does not say and its source does."""

    settings: Settings
    source: str = SOURCE

    def stated(self) -> dict[str, Any]:
        """Return them as a golden states them."""
        source = self.settings.sources[self.source]
        facility = self.settings.facilities[source.facility]
        share = source.share.model_dump(exclude_none=True) if isinstance(source.share, ShareRule) else source.share
        said: dict[str, Any] = {"share": share}
        if source.self_pay_classes:
            said["self_pay_classes"] = list(source.self_pay_classes)
        return said | {name: getattr(facility, name) for name in ("currency", "region", "timezone")}


@cache
def _sample() -> Settings:
    return configuration.load(None, {})


def terms(
    map: Map, share: Any, *, self_pay_classes: Sequence[str] = (), currency: str = "USD", region: str = "US",
    timezone: str = "UTC",
) -> Terms:  # fmt: skip
    """Return terms without a configuration: a source of this map at an invented clinic. Raises ValueError."""
    base = _sample()
    clinic = next(iter(base.facilities.values())).model_dump(mode="json")
    clinic |= {"currency": currency, "region": region, "timezone": timezone}
    rest = {"facility": "lakeside", "map": "fhir-invoice" if map.dialect == "fhir" else "hl7v2-dft", "share": share}
    rest |= {"self_pay_classes": tuple(self_pay_classes), "consent": "on_file", "guard": {"older_than_days": "none"}}
    made: Source
    try:
        if map.dialect == "fhir":
            made = FhirSource.model_validate(rest | {"type": "fhir", "token": "sandbox"})
        else:
            made = MllpSource.model_validate(rest | {"type": "mllp", "listen": "127.0.0.1:0"})
        facilities = {"lakeside": Facility.model_validate(clinic)}
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]}: {first['msg']}") from None
    return Terms(base.model_copy(update={"facilities": facilities, "sources": {SOURCE: made}}))


def outcomes(map: Map, terms: Terms, files: Sequence[Path]) -> Iterator[list[Outcome]]:
    """Yield what each file comes to, each on a ledger of its own: a file with several messages is a story."""
    for file in files:
        with throwaway(terms.settings, {terms.source: map}) as flow:
            yield take(flow, terms.source, str(file), file.read_bytes())


def golden(map: Map, terms: Terms, found: Sequence[Outcome]) -> dict[str, Any]:
    """Return what stands in the golden of one file."""
    return {"map": map.name, "source": terms.stated(), "messages": [_message(one) for one in found]}


def _message(found: Outcome) -> dict[str, Any]:
    values: dict[str, str] = {}
    for step in found.targets:
        values[step.target] = f"{values[step.target]}, {step.value}" if step.target in values else step.value
    said = {
        "type": found.type, "state": found.state, "reason": found.reason, "hold": found.cause, "values": values,
        "decided": list(found.notes), "entries": [f"{kind} {amount}" for kind, amount in found.entries],
        "asked": str(found.asked or ""), "request": found.request, "told": found.told, "not_told": found.not_told,
    }  # fmt: skip
    return {key: value for key, value in said.items() if value}


def beside(file: Path) -> Path:
    """Return where the golden of a file with messages lies."""
    return file.with_name(f"{file.stem}{ENDING}")


def write(file: Path, made: Mapping[str, Any]) -> str:
    """Write the golden of a file; return "new", "changed" or "same"."""
    path, text = beside(file), json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    before = path.read_text("utf-8") if path.exists() else None
    if before == text:
        return "same"
    path.write_text(text, "utf-8")
    return "new" if before is None else "changed"


def folder_of(map_file: str) -> Path:
    """Return the folder where a map's own samples and goldens lie."""
    path = Path(map_file)
    return path.with_suffix("")


def problems(map: Map, folder: Path) -> list[str]:
    """Return how a map differs from its goldens, each "file: what"; [] when it keeps them all."""
    found = []
    for file in files_of([folder]) if folder.is_dir() else []:
        if beside(file).exists():
            found += [f"{file}: {text}" for text in _differences(map, file)]
    return found


def _differences(map: Map, file: Path) -> list[str]:
    try:
        known = json.loads(beside(file).read_text("utf-8"))
        stated = dict(known["source"])
        own = terms(map, stated.pop("share"), **stated)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"its golden cannot be read ({type(error).__name__}); make it again: chartpost map try --golden"]
    [found] = outcomes(map, own, [file])
    made = golden(map, own, found)
    return list(differences(known["messages"], made["messages"]))


def differences(before: Any, after: Any, where: str = "") -> Iterator[str]:
    """Yield each place where two goldens differ: "message 1, asked: 45.00 USD → nothing"."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{where}, {key}" if where else key)
    elif isinstance(before, list) and isinstance(after, list):
        for at in range(max(len(before), len(after))):
            old, new = (side[at] if at < len(side) else None for side in (before, after))
            yield from differences(old, new, f"{where} {at + 1}" if where else f"message {at + 1}")
    elif before != after:
        yield f"{where}: {_shown(before)} → {_shown(after)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", [], {}) else str(value)
