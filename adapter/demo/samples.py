"""The samples that the demo sends, each beside what must become of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and what must become of it on the embedded configuration."""

    name: str
    kind: str  #: hl7 or fhir
    body: bytes
    expected: dict[str, Any]

    @classmethod
    def all(cls) -> list[Sample]:
        return [
            cls.read(path)
            for kind in ("hl7", "fhir")
            for path in sorted((SAMPLES / kind).glob("*"))
            if not path.name.endswith(".expected.json")
        ]

    @classmethod
    def read(cls, path: Path) -> Sample:
        expected = json.loads(path.with_suffix(".expected.json").read_text("utf-8"))
        return cls(path.stem, path.parent.name, path.read_bytes(), expected)
