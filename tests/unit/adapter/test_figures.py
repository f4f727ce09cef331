"""Every move is logged under one correlation id and counted; what waits is counted in the ledger when asked."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from workbench import dft, line

from chartpost.adapter import figures


def sample(name: str, **labels: str) -> float:
    """One figure, as Prometheus would read it."""
    for family in text_string_to_metric_families(generate_latest(figures.REGISTRY).decode()):
        for one in family.samples:
            if one.name == name and one.labels == labels:
                return one.value
    return 0.0


def test_a_message_is_counted_once_and_its_line_has_the_accounts_correlation(bench, capsys):
    before = sample("chartpost_moves_total", noun="message", state="translated", place="all")
    bench.store.on_move = figures.moved
    row = bench.take(dft(line("CG", "20.00")), source="all")
    assert sample("chartpost_moves_total", noun="message", state="translated", place="all") == before + 1
    said = [said for said in capsys.readouterr().out.splitlines() if figures.correlation(row.lane) in said]
    assert any("message.translated" in one for one in said)
    assert any("request.open" in one for one in said)


def test_what_waits_is_counted_in_the_ledger(bench):
    bench.take(dft(line("CG", "20.00")), source="all")
    bench.take(dft(line("XX", "20.00"), account="A-2"), source="all")
    with bench.store.read() as connection:
        families = {family.name: family for family in figures.waiting(connection, bench.store.clock())}
    asked = families["chartpost_asked_minor_units"].samples
    assert [(one.labels, one.value) for one in asked] == [({"currency": "USD"}, 2000)]
    causes = {one.labels["cause"]: one.value for one in families["chartpost_holds_open"].samples}
    assert causes["unreadable_line"] == 1
    assert families["chartpost_messages_waiting"].samples[0].value == 0


def test_every_figure_is_explained_with_its_labels(bench):
    page = (Path(__file__).parents[3] / "docs/integration/operation.md").read_text("utf-8")
    rows = [row.split("|") for row in page.splitlines() if row.startswith("| `chartpost_")]
    told = {name: set(re.findall(r"`(\w+)`", row[3])) for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    with bench.store.read() as connection:
        gauges = {gauge.name: set(gauge._labelnames) for gauge in figures.waiting(connection, bench.store.clock())}
    counters = {f"{one._name}_total": set(one._labelnames) for one in (figures.MOVES, figures.PAID, figures.ANSWERS)}
    assert told == gauges | counters | {figures.COMMITS._name: set()}
