"""`chartpost holds retry|dismiss` and `chartpost postings resend`, as a person types them."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import threading
from pathlib import Path

import pytest

from chartpost.adapter import cli
from chartpost.adapter.ledger import sealed


@pytest.fixture(autouse=True)
def _process_as_before():
    keys, umask = sealed.keyring(), os.umask(0o022)
    yield
    sealed.use(keys)
    os.umask(umask)


@pytest.fixture
def run(monkeypatch, capsys):
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chartpost", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def mine(ledger, tmp_path):
    """A copy of the ledger with one story in it, to write to: H1 holds message M3, H2 a refused posting."""
    return Path(shutil.copytree(ledger, tmp_path / "data"))


def rows(run, mine, noun):
    words = [noun, "--all"] if noun == "holds" else [noun]
    return {row["id"]: row for row in json.loads(run(*words, "--data", mine, "--json")[1])}


def test_holds_are_retried_by_number_and_each_says_what_happens_now(run, mine):
    code, out, _ = run("holds", "retry", "H2", "h1", "--by", "anna", "--data", mine, "--json")
    assert code == 0
    assert [(row["id"], row["object"], row["done"], row["text"]) for row in json.loads(out)] == [
        ("H1", "M3", True, "the message is read again"),
        ("H2", "P00000000001", True, "it is written anew and sent again"),
    ]
    assert rows(run, mine, "messages")["M3"]["state"] == "received"
    assert rows(run, mine, "postings")["P00000000001"]["state"] == "due"
    assert [row["closed_by"] for row in rows(run, mine, "holds").values()] == ["anna", "anna"]
    assert [row["kind"] for row in rows(run, mine, "errands").values()] == ["deliver", "post"]


def test_the_work_list_shows_what_is_open_and_the_rest_on_request(run, mine):
    run("holds", "dismiss", "H1", "--why", "billed by hand", "--data", mine)
    assert [row["id"] for row in json.loads(run("holds", "--flat", "--data", mine, "--json")[1])] == ["H2"]
    assert run("holds", "--flat", "--data", mine)[1].splitlines()[-1] == "1 hold"
    assert run("holds", "--data", mine)[1].splitlines()[-1] == "1 hold in 1 group"
    assert list(rows(run, mine, "holds")) == ["H1", "H2"]


def test_what_cannot_be_done_ends_with_1_and_changes_nothing(run, mine):
    assert run("holds", "retry", "H1", "--data", mine)[0] == 0
    code, out, _ = run("holds", "retry", "H1", "H77", "--data", mine)
    assert code == 1
    assert "it is done already" in out
    assert "there is no such hold" in out
    assert run("postings", "resend", "PNOTHERE0000", "--data", mine)[0] == 1


def test_all_of_one_cause_can_be_released_at_once(run, mine):
    code, out, _ = run("holds", "retry", "--cause", "unreadable_line", "--data", mine, "--json")
    assert (code, [row["id"] for row in json.loads(out)]) == (0, ["H1"])
    code, _, err = run("holds", "retry", "--cause", "unreadable_line", "--data", mine)
    assert code == 2
    assert "no open hold has the cause unreadable_line" in err


def test_dismissing_wants_a_reason_and_the_trace_shows_it(run, mine):
    assert run("holds", "dismiss", "H1", "--data", mine)[0] == 2
    assert run("holds", "dismiss", "H1", "--why", " ", "--data", mine)[0] == 2
    code, out, _ = run("holds", "dismiss", "H1", "--why", "billed by hand", "--by", "ben", "--data", mine)
    assert code == 0
    assert "nothing of it counts" in out
    told = run("trace", "M3", "--data", mine)[1]
    assert "ignored by hl7v2-dft: dismissed: billed by hand" in told
    assert "dismissed by ben: billed by hand" in told


def test_a_posting_is_sent_again_by_its_id(run, mine):
    code, out, _ = run("postings", "resend", "P00000000001", "--data", mine, "--json")
    assert (code, json.loads(out)[0]["done"]) == (0, True)
    told = run("trace", "P00000000001", "--data", mine)[1]
    assert "retried by " in told, "whoever is logged in, where nobody is named"


@pytest.mark.parametrize(
    "wrong", [("holds", "retry"), ("holds", "retry", "X9"), ("holds", "retry", "H1", "--cause", "refused")]
)
def test_what_is_meant_must_be_said_one_way(run, mine, wrong):
    code, _, err = run(*wrong, "--data", mine)
    assert code == 2
    assert "Error: Invalid value" in err


def test_the_data_directory_may_stand_before_or_after_the_second_word(run, mine):
    assert run("holds", "--data", mine, "retry", "H1")[0] == 0
    assert run("holds", "--data", mine.parent / "none", "retry", "H2", "--data", mine)[0] == 0


def test_the_lists_are_still_the_lists(run, mine):
    assert "unreadable_line" in run("holds", "--data", mine)[1]
    assert json.loads(run("postings", "--data", mine, "--json")[1])[0]["id"] == "P00000000001"


def test_a_ledger_of_another_schema_or_other_keys_is_not_written_to(run, mine):
    run("holds", "retry", "H1", "--data", mine)  # from here on the ledger knows its keys
    (mine / "searching.key").write_text("00" * 32)
    code, _, err = run("holds", "retry", "H2", "--data", mine)
    assert code == 2
    assert "its keys are not those of this ledger" in err
    with sqlite3.connect(mine / "chartpost.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    code, _, err = run("holds", "retry", "H2", "--data", mine)
    assert code == 2
    assert "start `serve` once" in err


def test_while_somebody_else_writes_it_waits_its_turn(run, mine):
    other = sqlite3.connect(mine / "chartpost.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.2, lambda: other.execute("ROLLBACK"))
    done.start()
    assert run("holds", "retry", "H1", "--data", mine)[0] == 0
    done.join()
    other.close()


# ---------------------------------------------------------------------------------------------- list, show and edit


def test_the_work_list_is_shown_in_groups_and_one_by_one(run, mine):
    groups = json.loads(run("holds", "list", "--data", mine, "--json")[1])
    assert [(row["example"], row["cause"], row["holds"]) for row in groups] == [
        ("H1", "unreadable_line", 1), ("H2", "refused", 1),
    ]  # fmt: skip
    assert [row["id"] for row in json.loads(run("holds", "list", "--flat", "--data", mine, "--json")[1])] == [
        "H1",
        "H2",
    ]
    assert run("holds", "--data", mine)[1].splitlines()[-1] == "2 holds in 2 groups"


def test_one_hold_is_shown_with_its_story_and_what_can_be_done(run, mine):
    code, out, _ = run("holds", "show", "h1", "--data", mine)
    assert code == 0
    assert "unreadable_line on M3" in out
    assert 'chartpost holds dismiss H1 --why "…"' in out
    assert "Halloran" not in out
    (shown,) = json.loads(run("holds", "show", "H2", "--data", mine, "--json")[1])
    assert (shown["id"], shown["object"], shown["story"][0]["noun"]) == ("H2", "P00000000001", "message")
    assert run("holds", "show", "H77", "--data", mine)[0] == 1


def test_a_group_is_retried_by_naming_one_of_it(run, mine):
    code, out, _ = run("holds", "retry", "--like", "H2", "--data", mine, "--json")
    assert (code, [row["id"] for row in json.loads(out)]) == (0, ["H2"])
    code, _, err = run("holds", "retry", "--like", "H77", "--data", mine)
    assert code == 2
    assert "no open hold is like H77" in err


@pytest.fixture
def unreadable(run, mine):
    """H1 holds a message of which a line has an unknown code."""
    from workbench import dft, line

    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger import tables
    from chartpost.adapter.ledger.store import Store, sqlite_url

    keys = data_keys(mine)
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(sqlite_url(mine))
    body = dft(line("CO", "5.00"), line("ZB", "40.00"), account="K-9", name="Halloran^Maeve")
    lane = sealed.keyring().search("his", "lakeside", "K-9")
    with store.write() as tx:
        tx.run(tables.message.update().where(tables.message.c.id == 3).values(raw=body, lane=lane))
    store.close()
    return body


def test_a_correction_shows_where_it_changes_something_asks_and_is_kept(run, mine, unreadable, monkeypatch):
    asked = []
    monkeypatch.setattr("typer.confirm", lambda text: not asked.append(text))
    words = (
        "holds",
        "edit",
        "H1",
        "--set",
        "FT1[2]-6=CG",
        "--why",
        "told by the clinic",
        "--by",
        "anna",
        "--data",
        mine,
    )
    code, out, _ = run(*words)
    assert (code, len(asked)) == (0, 1)
    assert "FT1[2]-6 changes" in out
    assert "read again, as corrected" in out
    assert rows(run, mine, "messages")["M3"]["state"] == "received"
    assert "edited by anna" in run("trace", "M3", "--data", mine)[1]


def test_without_a_yes_a_correction_is_not_kept(run, mine, unreadable, monkeypatch):
    monkeypatch.setattr("typer.confirm", lambda text: False)
    words = ("holds", "edit", "H1", "--set", "FT1[2]-6=CG", "--why", "a try", "--reveal", "--data", mine)
    code, out, err = run(*words)
    assert (code, "nothing was changed" in err) == (1, True)
    assert 'FT1[2]-6: "ZB" → "CG"' in out
    assert rows(run, mine, "messages")["M3"]["state"] == "held"


def test_a_correction_from_a_file_and_one_that_moves_to_another_account(run, mine, unreadable, tmp_path):
    path = tmp_path / "corrected.hl7"
    path.write_bytes(unreadable.replace(b"|ZB|", b"|CG|").replace(b"|K-9^", b"|K-8^"))
    words = ("holds", "edit", "H1", "--file", path, "--why", "wrong account", "--yes", "--data", mine)
    code, _, err = run(*words)
    assert (code, "--move" in err) == (1, True)
    code, out, _ = run(*words, "--move", "--json")
    assert (code, json.loads(out)[0]["done"]) == (0, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--set", "FT1-6=CG", "--why", " "), "say why"),
        (("--why", "x"), "--set"),
        (("--set", "FT1-6=CG", "--file", "x.hl7", "--why", "x"), "--file"),
        (("--set", "FT1-6=CG", "--why", "x", "--json"), "--yes"),
        (("--file", "there-is-none.hl7", "--why", "x"), "cannot be read"),
    ],
)
def test_what_is_to_be_corrected_must_be_said_one_way(run, mine, words, why):
    code, _, err = run("holds", "edit", "H1", *words, "--data", mine)
    assert code == 2
    assert why in " ".join(err.replace("│", " ").split())


def test_a_correction_that_cannot_be_read_ends_with_1_and_says_where(run, mine, unreadable):
    code, _, err = run("holds", "edit", "H1", "--set", "FT1[2]-6=ZC", "--why", "x", "--yes", "--data", mine)
    assert code == 1
    assert "FT1[2]-6" in err
