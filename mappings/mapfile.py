"""The map file for charges: which message types, which account, and which value comes from where.

A file is YAML that can be read aloud: "charge: target amount, path FT1-11, transform money". It may extend another, and
then holds only what differs (layers.py). Every problem is reported at once, with file, line and column. HL7 v2 and FHIR
are two dialects of one language (dialect.py). What goes out, payments, is described by postingmap.py.
"""

from __future__ import annotations

from functools import lru_cache

from chartpost.mappings import layers as sources
from chartpost.mappings.dialect import CHARGE_TARGETS, CHART, MESSAGE_TARGETS
from chartpost.mappings.layers import read_file
from chartpost.mappings.mapcompiler import compile_map
from chartpost.mappings.maps import IGNORE, Map, Row, StopRule
from chartpost.mappings.yamltext import MapError

__all__ = [
    "CHARGE_TARGETS", "CHART", "IGNORE", "MESSAGE_TARGETS", "Map", "MapError", "Row", "StopRule", "compile_map", "load",
    "parse", "read_file",
]  # fmt: skip


@lru_cache(maxsize=64)
def load(name_or_path: str) -> Map:
    """Return a shipped map by name (`hl7v2-dft`) or a map file by path. Raises MapError with every problem."""
    return compile_map(sources.read(name_or_path))


def parse(text: str, file: str = "map.yaml") -> Map:
    """Return the map that a file's text describes. Raises MapError with every problem, each "file:line:column: …"."""
    return compile_map(sources.layers(text, file))
