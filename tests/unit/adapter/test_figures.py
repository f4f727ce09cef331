"""Every move is logged under one correlation id and counted; what waits is counted in the ledger when asked."""

from __future__ import annotations

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
