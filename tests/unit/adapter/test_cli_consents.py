"""`chartpost consents`, as a person types it."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from chartpost.adapter import cli, consentfile
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.ledger import sealed

TODAY = dt.date(2026, 5, 4)
GOOD = """phone,email,channel,state,date,evidence
(608) 555-0142,,sms,granted,2026-03-02,form 4711
,payer@example.org,email,revoked,2026-04-30,call
+16085550143,,,no,2026-04-30,call
"""


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
    return Path(shutil.copytree(ledger, tmp_path / "data"))


def words(run, mine):
    """Return what was said, without the one word that the ledger begins with."""
    return json.loads(run("consents", "--data", mine, "--json")[1])[1:]


def test_staff_record_a_word_with_its_evidence_and_it_counts(run, mine):
    code, out, _ = run(
        "consents", "set", "(608) 555-0142", "--revoked", "--why", "call of 4 May", "--by", "anna", "--data", mine,
        "--json",
    )  # fmt: skip
    assert code == 0
    assert json.loads(out) == [{"channel": "sms", "state": "revoked", "facilities": "lakeside", "by": "anna"}]
    [shown] = json.loads(run("consents", "show", "+16085550142", "--data", mine, "--json")[1])
    assert {row["may"] for row in shown["may"]} == {"no"}
    assert [(one["state"], one["origin"], one["evidence"], one["by"]) for one in shown["history"]] == [
        ("revoked", "staff", "call of 4 May", "anna")
    ]
    run("consents", "set", "6085550142", "--granted", "--why", "form", "--data", mine)
    [shown] = json.loads(run("consents", "show", "+16085550142", "--data", mine, "--json")[1])
    assert {row["may"] for row in shown["may"]} == {"yes"}
    assert [row["state"] for row in words(run, mine)] == ["revoked", "granted"]


def test_no_list_shows_a_number(run, mine):
    run("consents", "set", "+16085550111", "--revoked", "--why", "call", "--data", mine)
    for words in (("consents",), ("consents", "list"), ("consents", "--json")):
        code, out, _ = run(*words, "--data", mine)
        assert code == 0
        assert "5550111" not in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "+16085550142", "--why", "call"),
        ("set", "+16085550142", "--granted", "--revoked", "--why", "call"),
        ("set", "+16085550142", "--granted", "--why", " "),
        ("set", "12", "--granted", "--why", "call"),
        ("set", "a@b@c", "--granted", "--why", "call"),
        ("set", "+16085550142; +16085550143", "--granted", "--why", "call"),
        ("set", "+16085550142", "--granted", "--why", "call", "--facility", "nowhere"),
    ],
)
def test_what_is_unclear_is_refused_and_nothing_is_written(run, mine, arguments):
    assert run("consents", *arguments, "--data", mine)[0] == 2
    assert words(run, mine) == []


def test_a_number_that_is_none_is_told_so_and_not_as_one_of_a_list(run, mine):
    _, _, err = run("consents", "show", "12", "--data", mine)
    assert "is no phone number that can be called from US, and no e-mail address" in err
    assert "recipient" not in err


def test_a_table_that_is_no_text_or_not_there_is_told_in_words(run, mine, tmp_path):
    table = tmp_path / "consents.csv"
    table.write_bytes(b"\xff\xfe\x00")
    _, _, err = run("consents", "import", table, "--data", mine)
    assert "consents.csv: is no UTF-8 text; save it as CSV in UTF-8" in err
    _, _, err = run("consents", "import", tmp_path / "none.csv", "--data", mine)
    assert "none.csv: cannot be read: No such file or directory" in err


def test_the_words_of_consent_fit_a_terminal_of_80_columns(run, mine, monkeypatch):
    run("consents", "set", "+16085550111", "--granted", "--why", "a form of 4 May, in the chart", "--data", mine)
    monkeypatch.setattr("chartpost.adapter.commands.shared.screen", lambda: Console(width=80, highlight=False))
    for words in (("consents",), ("consents", "show", "+16085550111")):
        _, out, _ = run(*words, "--data", mine)
        assert "evidence: a form of 4 May, in the chart" in out
        assert max(map(len, out.splitlines())) <= 80


def test_a_table_is_taken_whole_and_the_same_again_changes_nothing(run, mine, tmp_path):
    table = tmp_path / "consents.csv"
    table.write_text("\ufeff" + GOOD)
    code, out, _ = run("consents", "import", table, "--data", mine, "--json")
    assert (code, json.loads(out)[0]["new"]) == (0, 3)
    assert [row["evidence"] for row in words(run, mine)] == [
        "consents.csv:2, 2026-03-02, form 4711", "consents.csv:3, 2026-04-30, call", "consents.csv:4, 2026-04-30, call",
    ]  # fmt: skip
    run("consents", "set", "+16085550143", "--granted", "--why", "form", "--data", mine)
    assert json.loads(run("consents", "import", table, "--data", mine, "--json")[1])[0]["new"] == 0
    assert len(words(run, mine)) == 4


def test_a_table_with_a_mistake_is_not_taken_at_all(run, mine, tmp_path):
    table = tmp_path / "consents.csv"
    table.write_text(GOOD + "12,,,maybe,2026-13-01,\n")
    code, _, err = run("consents", "import", table, "--data", mine)
    assert code == 2
    assert err.count("consents.csv:5: ") == 4
    assert words(run, mine) == []
    assert run("consents", "import", tmp_path / "none.csv", "--data", mine)[0] == 2


BAD = [
    ("phone,state,date,evidence\n12,granted,2026-01-01,form\n", "no number that can be called"),
    ("phone,state,date,evidence\n,granted,2026-01-01,form\n", "must have a phone or an email"),
    ("phone,email,state,date,evidence\n+16085550142,a@example.org,granted,2026-01-01,form\n", "and not both"),
    ("email,state,date,evidence\nnobody,granted,2026-01-01,form\n", "no e-mail address"),
    ("phone,channel,state,date,evidence\n+16085550142,email,granted,2026-01-01,form\n", "of the channel sms"),
    ("phone,state,date,evidence\n+16085550142,perhaps,2026-01-01,form\n", "must be one of"),
    ("phone,state,date,evidence\n+16085550142,granted,01/02/2026,form\n", "is no date"),
    ("phone,state,date,evidence\n+16085550142,granted,2026-05-05,form\n", "in the future"),
    ("phone,state,date,evidence\n+16085550142,granted,2026-01-01,\n", "evidence: is empty"),
    ("phone,state,date,evidence\n+16085550142,granted,2026-01-01,call from 608 555 0142\n", "name a document"),
    ("phone,state,date,evidence\n+16085550142,granted,2026-01-01,mail of a@example.org\n", "name a document"),
    ("phone,state,date,evidence\n+16085550142,granted,2026-01-01,a,b\n", "more values than the head"),
    ("phone,state,date,evidence\n+16085550142,yes,2026-01-01,a\n6085550142,no,2026-01-01,a\n", "as in line 2"),
    ("phone,state,date\n+16085550142,granted,2026-01-01\n", "no column evidence"),
    ("state,date,evidence\ngranted,2026-01-01,form\n", "no column phone"),
    ("phone,state,date,evidence,name\n", "of its columns 5 is none of ours"),
    ("phone,state,name,date,evidence,name\n", "of its columns 3, 6 are none of ours"),
    ("phone,state,date,evidence\n", "holds no line"),
    ("", "no column state"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD)
def test_every_problem_of_a_table_is_told_with_its_line_and_without_a_number(text, said):
    with pytest.raises(ConfigurationError) as refused:
        consentfile.read(text, "consents.csv", "US", TODAY)
    told = "\n".join(refused.value.problems)
    assert said in told
    assert all(one.startswith("consents.csv:") for one in refused.value.problems)
    assert "5550142" not in told
    assert "555 0142" not in told
    assert "example.org" not in told.replace("billing@example.org", "")
