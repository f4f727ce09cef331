"""The work list: one row for all that one change mends; and about one hold everything, with the change proposed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from workbench import Workbench, dft, line

from chartpost.adapter import proposals, worklist
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.ledger import holds, tables
from chartpost.mappings import mapfile
from chartpost.mappings.model import Problem

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
PERSONAL = ("Sample", "Silvia", "5550101", "Invented")


def groups(bench: Workbench) -> list[dict[str, Any]]:
    with bench.store.read() as connection:
        return list(worklist.groups(connection))


def show(bench: Workbench, number: int, *, reveal: bool = False) -> worklist.Shown:
    with bench.store.read() as connection:
        shown = worklist.show(connection, bench.flow.settings, number, reveal=reveal)
    assert shown is not None
    return shown


def proposed(shown: worklist.Shown) -> str:
    return "\n".join(one.lines for one in shown.proposals)


def test_what_one_change_mends_is_one_row_with_the_oldest_as_its_example(bench):
    bench.take(dft(line("ZB", "1.00")), dft(line("CG", "12,3,4"), account="A-2"))
    bench.clock.advance(hours=1)
    bench.take(*(dft(line("ZB", f"{number}.00"), account=f"B-{number}") for number in range(1, 4)))
    bench.take(dft(line("ZB", "9.00")), source="copay")
    rows = [(row["example"], row["cause"], row["place"], row["likeness"], row["holds"]) for row in groups(bench)]
    assert rows == [
        ("H1", "unreadable_line", "all", "kinds ZB", 4),
        ("H2", "unreadable_line", "all", "FT1-11 is not an amount", 1),
        ("H6", "unreadable_line", "copay", "kinds ZB", 1),
    ]
    assert groups(bench)[0]["oldest"] == "2026-05-04T15:00:00Z"
    assert "table kinds" in groups(bench)[0]["fix"]


def test_a_group_is_released_together_in_the_order_in_which_its_messages_arrived(bench):
    bench.take(dft(line("ZB", "1.00")), dft(line("ZC", "1.00")), dft(line("ZB", "2.00")))
    assert release.retry(bench.flow, 1, by="anna").done  # it is read again, and waits under a newer number
    bench.translate()
    assert release.open_holds(bench.store, like=3) == [4, 3]
    assert release.open_holds(bench.store, only=[3, 4, 99, 2]) == [4, 2, 3, 99]
    assert (release.open_holds(bench.store, like=99), release.open_holds(bench.store, "refused")) == ([], [])


def test_holds_of_before_that_have_no_likeness_are_one_group_a_cause(bench):
    with bench.store.write() as tx:
        for number in range(3):
            holds.add(tx, f"errand:{number}", "gave_up", "failed", "report it")
    assert [(row["cause"], row["place"], row["holds"]) for row in groups(bench)] == [("gave_up", "", 3)]


def test_every_opener_of_a_hold_on_a_message_or_request_says_which_are_alike(bench):
    bench.take(dft(line("CG", "1.00", "A"), control_id="X"), dft(line("CG", "2.00", "B"), control_id="X"))
    bench.take(dft(line("CG", "3.00", "C"), account="A-2", phone=""), dft(line("CG", "3.00&EUR", "D")))
    bench.take(dft(line("CG", "3.00"), account="A-3"), source="no_consent")
    assert {row.likeness for row in bench.rows(tables.hold)} == {
        "changed_duplicate all", "no_phone all", "currency all", "no_consent no_consent",
    }  # fmt: skip


def test_all_about_an_unknown_code_and_the_lines_for_the_map_that_explain_it(bench):
    bench.take(dft(line("ZB", "1.00")), dft(line("CG", "1.00", "Q"), line("ZB", "2.00")))
    shown = show(bench, 2)
    assert (shown.alike, shown.now) == (2, 'FT1[2]-6: code "ZB" is not in table kinds')
    assert shown.fields == [("FT1[2]-6", "")]
    said = proposed(shown)
    assert 'extends: hl7v2-dft\ntables:\n  kinds:\n    codes:\n      "ZB": …' in said
    assert "chartpost holds retry --like H2" in said
    assert 'chartpost holds edit H2 --set FT1[2]-6=… --why "…"' in said
    assert any(moment.noun == "hold" for moment in shown.story)


def test_the_proposed_lines_are_yaml_whatever_the_code_is():
    for code in ("1", "-1", "NO", "a: b", "#", "é", "'", "\\"):
        problem = Problem(path="FT1-6", cause=f'code "{code}" is not in table kinds')
        (found,) = proposals._codes([problem], "/maps/site.yaml")
        assert found.text.endswith("in site.yaml")
        assert list(YAML(typ="safe").load(found.lines)["tables"]["kinds"]["codes"]) == [code]


def test_once_the_map_is_mended_it_says_that_the_message_can_be_read(bench, tmp_path):
    bench.take(dft(line("ZB", "1.00")))
    path = tmp_path / "site.yaml"
    path.write_text(mapfile.read_file("hl7v2-dft")[0].replace("CO: copay", "CO: copay\n      ZB: charge"), "utf-8")
    kept = bench.flow.settings
    source = kept.sources["all"].model_copy(update={"map": str(path)})
    bench.use(kept.model_copy(update={"sources": kept.sources | {"all": source}}))
    shown = show(bench, 1)
    assert (shown.now, shown.fields) == (worklist.READS, [("FT1[1]-6", "")])
    assert shown.proposals[0].lines == "chartpost holds retry H1"


def test_what_stands_in_the_fields_is_shown_only_when_asked_for(bench):
    bench.take(dft(line("ZB", "1.00", text="Invented service")))
    hidden, revealed = (json.dumps(show(bench, 1, reveal=reveal).view()) for reveal in (False, True))
    assert not [word for word in PERSONAL if word in hidden]
    assert [word for word in PERSONAL if word in revealed] == list(PERSONAL)
    assert show(bench, 1, reveal=True).fields == [("FT1[1]-6", "ZB")]


def test_what_a_person_may_waive_is_proposed_as_such_and_what_is_in_doubt_only_one_by_one(bench):
    bench.take(dft(line("CG", "1.00", date="20010101")), dft(line("CG", "2.00", date="20010101"), account="A-2"))
    assert proposed(show(bench, 1)).splitlines()[0] == "chartpost holds retry --like H1 --yes"
    with bench.store.write() as tx:
        for number in range(2):
            holds.add(tx, f"posting:P{number}", "unknown", "nobody knows", "look", "unknown chart")
    assert proposed(show(bench, 4)).splitlines()[0] == "chartpost holds retry H4 --yes"


def test_what_is_proposed_for_a_stop_or_a_silent_engine_is_what_a_retry_asks_for(bench):
    dead = dft(line("CG", "40.00")).replace(b"^^^LAKESIDE^AN\r", b"^^^LAKESIDE^AN" + b"|" * 12 + b"Y\r", 1)
    bench.take(dft(line("CG", "7.00", "B")), dead)
    bench.work("notify")
    (stopped,) = bench.rows(tables.hold, cause="account_stopped")
    assert f"chartpost holds retry H{stopped.id} --yes" in proposed(show(bench, stopped.id)).splitlines()
    with bench.store.write() as tx:
        holds.add(tx, "posting:P1", "no_receipt", "the engine says nothing", "look")
        holds.add(tx, "card_session:C1", "provider_refused", "it was refused", "look")
    silent, refused = (bench.one(tables.hold, cause=cause).id for cause in ("no_receipt", "provider_refused"))
    assert f"chartpost holds retry H{silent} --yes" in proposed(show(bench, silent)).splitlines()
    assert "retry" not in proposed(show(bench, refused)), "the payer may simply try again"


def test_an_amount_under_review_may_be_asked_for_and_whoever_wants_an_answer_is_not_told_again(bench):
    with bench.store.write() as tx:
        for cause in ("above_review", "above_maximum"):
            holds.add(tx, "account:1", cause, "a test", "look")
        for cause in ("payer_question", "payer_wrote", "identity_locked", "stop_perhaps"):
            holds.add(tx, "request:R1", cause, "a test", "look")
    assert proposed(show(bench, 1)).splitlines()[0] == "chartpost holds retry H1 --yes"
    for number in range(2, 7):
        assert "retry" not in proposed(show(bench, number))


def test_of_what_is_done_nothing_is_proposed(bench):
    bench.take(dft(line("ZB", "1.00")))
    release.dismiss(bench.store, 1, by="anna", why="billed by hand")
    assert (show(bench, 1).proposals, show(bench, 1).now, groups(bench)) == ([], "", [])
    with bench.store.read() as connection:
        assert worklist.show(connection, bench.flow.settings, 99) is None


def test_every_proposed_command_can_be_given(bench):
    import shlex

    import typer.main

    from chartpost.adapter import cli

    bench.take(dft(line("ZB", "1.00")), dft(line("CG", "3.00"), account="A-3", phone=""), dft(line("CG", "3.00&EUR")))
    with bench.store.write() as tx:
        for noun, cause in (("posting:P1", "unknown"), ("account:1", "credit_balance"), ("errand:1", "gave_up")):
            holds.add(tx, noun, cause, "a test", "none")
    group: Any = typer.main.get_command(cli.app)
    commands = group.commands["holds"].commands
    for row in bench.rows(tables.hold):
        found = [one for one in proposed(show(bench, row.id)).splitlines() if one.startswith("chartpost ")]
        assert found
        for one in found:
            _, _, word, *options = shlex.split(one)
            with commands[word].make_context(word, options):
                pass


def test_every_field_of_a_group_and_of_a_hold_that_is_shown_is_documented(bench):
    bench.take(dft(line("ZB", "1.00")))
    text = REFERENCE.read_text("utf-8")
    for heading, row in (("Groups of holds", groups(bench)[0]), ("One hold", show(bench, 1).view())):
        section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
        for name in row.keys() - show(bench, 1).row.keys():
            assert f"| `{name}` |" in section, name
    assert set(worklist.COLUMNS) <= groups(bench)[0].keys()
