"""Messages of other people's systems, through the real door, under every share rule: none lost, nothing crashes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.ledger import tables
from chartpost.adapter.settings import Guard

CORPUS = os.environ.get("CHARTPOST_CORPUS", "")
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS, reason="CHARTPOST_CORPUS does not point at a folder with hl7/"),
]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("source", ["all", "copay", "self_pay", "net_of_insurance"])
def test_every_public_message_ends_translated_held_or_ignored_with_its_reason(bench, source):
    settings = bench.flow.settings
    today = {"guard": Guard(older_than_days=None)}  # they are years old
    sources = {name: one.model_copy(update=today) for name, one in settings.sources.items()}
    bench.use(settings.model_copy(update={"sources": sources}))
    files = sorted((Path(CORPUS) / "hl7").glob("*.hl7"))
    assert files, "the corpus has no messages"
    ends = Counter()
    for path in files:
        fates = bench.receive(path.read_bytes(), source=source)
        assert fates, f"{path.name}: nothing was stored"
        bench.translate()
        for fate in fates:
            row = bench.one(tables.message, id=fate.id)
            assert row.state in ("translated", "held", "ignored", "duplicate"), f"{path.name}: {row.state} {row.reason}"
            assert row.reason, f"{path.name}: {row.state} without a reason"
            ends[row.state] += 1
    assert "internal" not in bench.holds()
    assert len(bench.rows(tables.message)) == sum(ends.values())
    bench.work()
    if source == "all":  # what could be counted is of people who have died: a person lifts that
        stopped = release.open_holds(bench.store, "deceased")
        assert stopped
        assert all(release.retry(bench.flow, number, by="anna", sure=True).done for number in stopped)
        bench.translate()
        assert bench.rows(tables.message, state="translated"), ends
