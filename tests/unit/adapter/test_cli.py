"""The command line as a person meets it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from chartpost.adapter import cli
from chartpost.adapter.commands import shared
from chartpost.adapter.ledger import sealed


@pytest.fixture(autouse=True)
def _process_as_before():
    """A command may set the keys, the log and the umask of its process."""
    keys, handlers, umask = sealed.keyring(), logging.getLogger().handlers[:], os.umask(0o022)
    yield
    sealed.use(keys)
    logging.getLogger().handlers[:] = handlers
    logging.captureWarnings(False)
    structlog.reset_defaults()
    os.umask(umask)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line in this process; return its exit code, standard output and standard error."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["chartpost", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_help_lists_the_commands_without_importing_anything_heavy():
    heavy = ("sqlalchemy", "kombu", "stripe", "twilio", "pydantic", "rich")
    script = (
        "import sys; sys.argv = ['chartpost', '--help']\n"
        "from chartpost.adapter import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for command in ("serve", "sandbox", "trace", "messages", "holds"):
        assert f"\n  {command} " in out
    assert out.splitlines()[-1] == "[]"


def test_a_list_as_json_is_an_array_with_one_object_a_line(run, ledger):
    code, out, _ = run("messages", "--data", ledger, "--json")
    assert code == 0
    assert [row["id"] for row in json.loads(out)] == ["M1", "M2", "M3"]
    assert len(out.splitlines()) == 5


def test_a_list_without_rows_is_an_empty_array(run, tmp_path):
    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger.store import Store, sqlite_url

    data_keys(tmp_path)
    Store.open(sqlite_url(tmp_path)).close()
    assert run("holds", "--data", tmp_path, "--json")[1] == "[]\n"


@pytest.mark.parametrize(
    "noun", ["messages", "accounts", "requests", "notices", "payments", "postings", "holds", "errands"]
)
def test_every_list_is_a_table_for_people_too(run, ledger, noun):
    code, out, _ = run(noun, "--data", ledger)
    assert code == 0
    assert noun.rstrip("s") in out.splitlines()[-1]


def test_on_a_narrow_terminal_no_id_is_broken_and_sentences_stand_below_their_row(run, ledger, monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(shared, "screen", lambda: Console(width=60, highlight=False))
    lines = run("holds", "--flat", "--data", ledger)[1].splitlines()
    (first,) = [number for number, one in enumerate(lines) if one.startswith("H2  P00000000001  refused")]
    assert lines[first + 1].startswith("    text: ")
    assert any(one.startswith("    fix: ") for one in lines[first:])


@pytest.mark.parametrize("group", ["", "request", "consents", "templates", "holds"])
def test_every_command_says_in_one_line_what_it_does(run, group):
    lines = run(*group.split(), "--help")[1].partition("Commands:\n")[2].splitlines()
    assert len(lines) > 1
    assert [one for one in lines if one.endswith("...")] == []


@pytest.mark.parametrize("name", ["requests", "notices"])
def test_what_a_row_seldom_has_stands_below_it_so_that_it_fits_80_columns(run, ledger, monkeypatch, name):
    from rich.console import Console

    monkeypatch.setattr(shared, "screen", lambda: Console(width=80, highlight=False))
    out = run(name, "--data", ledger)[1]
    assert max(map(len, out.splitlines())) <= 80


def test_lists_can_be_read_while_somebody_writes(run, ledger):
    from chartpost.adapter.ledger.store import Store, sqlite_url

    store = Store.open(sqlite_url(ledger))
    with store.write():
        assert run("messages", "--data", ledger, "--json")[0] == 0
    store.close()


def test_a_trace_is_a_story_and_as_json_its_moments(run, ledger):
    code, out, _ = run("trace", "M1", "--data", ledger)
    assert code == 0
    assert out.startswith("2026-03-09 UTC\n")
    assert "answered AA" in out
    moments = json.loads(run("trace", "P00000000001", "--data", ledger, "--json")[1])
    assert moments[0]["at"] == "2026-03-09T15:15:01Z"
    assert {"at", "noun", "id", "text", "details"} <= set(moments[0])


def test_personal_values_stand_in_a_trace_only_on_request(run, ledger):
    assert "Halloran" not in run("trace", "M1", "--data", ledger)[1]
    assert "Halloran" in run("trace", "M1", "--data", ledger, "--reveal")[1]


def test_an_id_that_nothing_bears_ends_with_1_and_a_hint(run, ledger):
    code, _, err = run("trace", "M99", "--data", ledger)
    assert code == 1
    assert "nothing is stored under M99" in err


def test_a_missing_data_directory_is_said_plainly(run, tmp_path):
    code, _, err = run("messages", "--data", tmp_path / "none")
    assert code == 2
    assert "no such data directory" in err
    assert run("messages", "--data", tmp_path)[2].startswith(f"{tmp_path}: holds no ledger yet")


def test_serve_tells_every_problem_of_its_configuration_and_starts_nothing(run, tmp_path):
    config = tmp_path / "site.yaml"
    config.write_text("web: 8080\nsources: {his: {type: mllp}}\n", "utf-8")
    code, _, err = run("serve", "--config", config, "--data", tmp_path / "data")
    assert code == 2
    # A line of JSON is a log line: a warning about what another test of this process left to the collector.
    lines = [line for line in err.splitlines() if not line.startswith("{")]
    assert f"{config}:1: facilities: is missing" in lines
    assert any(line.startswith(f"{config}:2: sources.his.share: is missing") for line in lines)
    assert lines[-1] == f"{len(lines) - 1} problems; nothing was started"
    assert not (tmp_path / "data").exists()


def test_the_sandbox_is_another_program_that_gets_all_options():
    command = [sys.executable, "-m", "chartpost.adapter.cli", "sandbox", "--help"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--send-to" in out


def test_version_names_the_package(run):
    code, out, _ = run("--version")
    assert code == 0
    assert out.startswith("chartpost ")
