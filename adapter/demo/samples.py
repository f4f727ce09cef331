"""The samples that the demo sends, each beside what must become of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "hl7"


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and what must become of it on the embedded configuration."""

    name: str
    body: bytes
    expected: dict[str, Any]

    @classmethod
    def all(cls) -> list[Sample]:
        return [
            cls(path.stem, path.read_bytes(), json.loads(path.with_suffix(".expected.json").read_text("utf-8")))
            for path in sorted(SAMPLES.glob("*.hl7"))
        ]
