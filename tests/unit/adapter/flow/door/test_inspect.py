"""What the standard says of a feed: told after the answer, kept with the message, and never in anybody's way."""

from __future__ import annotations

from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.door import inspect
from chartpost.adapter.ledger import tables
from chartpost.adapter.story import story
from chartpost.mappings.fhir import jsontext

CHARGE = line("CG", "40.00&USD")


def linted(bench: Workbench, *names: str) -> Workbench:
    """The workbench, with these sources linted."""
    settings = configuration()
    sources = {
        name: source.model_copy(update={"lint": name in names or not names})
        for name, source in settings.sources.items()
    }
    bench.use(settings.model_copy(update={"sources": sources}))
    return bench


def reports(bench: Workbench) -> list[object]:
    return [row.report for row in bench.rows(tables.message)]


def look(bench: Workbench) -> list[str]:
    """Let the time pass until the next look, and do it."""
    bench.clock.advance(seconds=inspect.PAUSE.total_seconds())
    return bench.work("lint")


def test_without_the_setting_nothing_is_asked_for_and_nothing_is_kept(bench):
    assert bench.take(dft(CHARGE)).state == "translated"
    assert look(bench) == []
    assert reports(bench) == [None]


def test_a_report_is_kept_after_the_message_was_answered_and_translated(bench):
    row = linted(bench).take(dft(CHARGE))
    assert (row.state, row.report) == ("translated", None), "nothing waits for the report"
    assert look(bench) == ["lint"]
    [report] = reports(bench)
    assert report["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert [(one["place"], one["rule"]) for one in report["findings"]] == [("EVN", "missing")]
    bench.check()


def test_the_trace_tells_the_report_without_a_value(bench):
    number = linted(bench).take(dft(line("CG", "4O.00&USD"), name="Quenneville^Odette", control_id="LINT1")).id
    look(bench)
    with bench.store.read() as connection:
        moments = [one for one in story(connection, f"M{number}") if one.text.startswith("lint: ")]
    [told] = moments
    assert any("FT1-11.1.1 type: not a valid NM" in detail for detail in told.details), told.details
    assert "Quenneville" not in f"{told}"
    assert "4O.00" not in f"{told}"
    assert told.fields["lint"]["error"] > 0


def test_only_the_sources_that_ask_for_it_are_linted(bench):
    linted(bench, "all").take(dft(CHARGE, account="B-1"))
    bench.take(dft(CHARGE, account="B-2"), source="copay")
    look(bench)
    assert [report is not None for report in reports(bench)] == [True, False]


def test_messages_that_are_held_are_judged_and_copies_are_not(bench):
    body = dft(line("QZ", "40.00&USD"))
    linted(bench).take(body)
    bench.take(body)
    look(bench)
    assert [row.state for row in bench.rows(tables.message)] == ["held", "duplicate"]
    assert [report is not None for report in reports(bench)] == [True, False]


def test_a_feed_that_is_too_fast_is_judged_by_its_newest_messages(bench):
    linted(bench).receive(*[dft(CHARGE, account=f"F-{number}") for number in range(3 * inspect.BATCH)])
    bench.translate()
    assert look(bench) == ["lint"]
    judged = [row.id for row in bench.rows(tables.message) if row.report]
    assert judged == [row.id for row in bench.rows(tables.message)][-inspect.BATCH :]
    assert look(bench) == [], "what was passed over stays so"


def test_what_comes_while_a_look_is_at_work_is_seen_by_the_next(bench, monkeypatch):
    linted(bench).take(dft(CHARGE, account="W-1"))
    judge = inspect.lint_hl7

    def meanwhile(*given, **more):
        if len(bench.rows(tables.message)) == 1:
            bench.take(dft(CHARGE, account="W-2"))
        return judge(*given, **more)

    monkeypatch.setattr(inspect, "lint_hl7", meanwhile)
    assert look(bench) == ["lint"]
    assert [report is not None for report in reports(bench)] == [True, False]
    assert look(bench) == ["lint"]
    assert [report is not None for report in reports(bench)] == [True, True]
    assert [row.state for row in bench.rows(tables.errand, kind="lint")] == ["done"]


def test_a_large_message_and_one_with_many_findings_cost_a_bounded_report(bench):
    many = dft(*[line("QZ", "4O,OO", ref="X" * 40) for _ in range(60)])
    large = dft(*[line("CG", "1.00&USD", text="x" * 900) for _ in range(80)], account="L-2")
    linted(bench).receive(many, large)
    bench.translate()
    look(bench)
    first, second = reports(bench)
    assert len(first["findings"]) == 50 < sum(first["counts"].values())
    assert [one["rule"] for one in second["findings"]] == ["size"]
    with bench.store.read() as connection:
        [told] = [one for one in story(connection, "M1") if one.text.startswith("lint: ")]
    assert told.details[-1] == f"and {sum(first['counts'].values()) - 50} more"


def test_a_bug_of_ours_costs_the_report_and_nothing_else(bench, monkeypatch):
    def broken(*given, **more):
        raise ZeroDivisionError("an invented bug")

    linted(bench).take(dft(CHARGE))
    monkeypatch.setattr(inspect, "lint_hl7", broken)
    assert look(bench) == ["lint"]
    [report] = reports(bench)
    assert [one["rule"] for one in report["findings"]] == ["failed"]
    assert not bench.holds()


def test_an_invoice_is_held_against_the_version_of_its_source(bench):
    invoice = {
        "resourceType": "Invoice", "id": "lint-1", "status": "issued", "madeUp": True,
        "subject": {"reference": "Patient/1"}, "totalGross": {"value": 40, "currency": "USD"},
    }  # fmt: skip
    linted(bench).take(jsontext.encode(invoice), source="fhir_all")
    look(bench)
    [report] = reports(bench)
    assert {(one["severity"], one["place"]) for one in report["findings"]} >= {("error", "madeUp")}


def test_a_source_that_was_taken_out_ends_its_errand(bench):
    linted(bench).take(dft(CHARGE))
    bench.use(configuration())
    assert look(bench) == ["lint"]
    assert reports(bench) == [None]
    assert [row.state for row in bench.rows(tables.errand, kind="lint")] == ["done"]
