"""Messages of other people's systems are held against the standard: whatever they are, lint comes to its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chartpost.mappings import er7
from chartpost.mappings.fhir.lint import lint as lint_fhir
from chartpost.mappings.finding import SEVERITIES
from chartpost.mappings.hl7.lint import lint

CORPUS = os.environ.get("CHARTPOST_CORPUS", "")
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS, reason="CHARTPOST_CORPUS does not point at a folder with hl7/ and fhir/"),
]


def test_every_public_message_is_judged_and_no_finding_lacks_its_place():
    files = sorted((Path(CORPUS) / "hl7").glob("*.hl7"))
    assert files, "the corpus has no messages"
    for path in files:
        for body in er7.split_batch(path.read_bytes()):
            for one in lint(body):
                assert one.severity in SEVERITIES
                assert one.place, f"{path.name}: {one.rule}"
                assert one.rule, f"{path.name}: {one.place}"
                assert one.fix, f"{path.name}: {one.place}"


def test_every_public_resource_is_judged():
    files = sorted((Path(CORPUS) / "fhir").glob("*.json"))
    assert files, "the corpus has no resources"
    for path in files:
        for version in ("R4", "R5"):
            assert all(one.place and one.text for one in lint_fhir(path.read_bytes(), version)), path.name
