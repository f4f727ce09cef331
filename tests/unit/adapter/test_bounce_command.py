"""`chartpost bounce`, as a mail server's pipe gives it: what is stored ends with 0, everything else comes again."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chartpost.adapter.demo.child import DOORS, environment

Run = Callable[..., tuple[int, str, str]]
MAIL = (
    b"From: MAILER-DAEMON@mx.example.org\r\nTo: x@lakeside.example.org\r\nMessage-ID: <1@mx.example.org>\r\n"
    b"Subject: failure notice\r\n\r\n<payer@example.org>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n"
)
TO = "bounce+N00000000001@lakeside.example.org"


@pytest.fixture
def data(ledger: Path, tmp_path: Path) -> Path:
    """A copy of the story's ledger, in which the payer was written to by e-mail."""
    copy = Path(shutil.copytree(ledger, tmp_path / "data"))
    with sqlite3.connect(copy / "chartpost.db") as connection:
        connection.execute("UPDATE notice SET notifier = 'mail', channel = 'email', state = 'sent'")
    return copy


@pytest.fixture
def run(data: Path) -> Run:
    def run(*arguments: str, mail: bytes = MAIL, **environ: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "chartpost.adapter.cli", "bounce", *arguments, "--data", str(data)]
        done = subprocess.run(command, input=mail, env=environment(DOORS) | environ, capture_output=True, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


def state(data: Path) -> tuple[str, str]:
    with sqlite3.connect(data / "chartpost.db") as connection:
        found: tuple[str, str] = connection.execute("SELECT state, code FROM notice").fetchone()
    return found


def test_a_mail_from_the_pipe_is_stored_and_applied_once(run: Run, data: Path) -> None:
    assert run("mail", "--to", TO) == (0, "taken\n", "")
    assert state(data) == ("undelivered", "5.1.1")
    assert run("mail", "--to", TO) == (0, "it is here already\n", "")


def test_what_is_about_nothing_of_ours_is_taken_all_the_same_and_not_sent_back(run: Run, data: Path) -> None:
    code, out, _ = run("mail")
    assert (code, out.startswith("not ours")) == (0, True)
    assert run("mail", mail=b"\xff\x00")[0] == 0
    assert state(data)[0] == "sent"


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["nobody"], {}, "no notifier of this name"),
        (["sms"], {}, "sends no e-mail"),
        (["mail"], {"CHARTPOST_WEB": "nowhere"}, "web"),
    ],
)
def test_what_cannot_be_taken_now_is_to_be_tried_again(
    run: Run, data: Path, arguments: list[str], environ: dict[str, str], said: str
) -> None:
    code, out, error = run(*arguments, **environ)
    assert (code, out, said in error) == (75, "", True)
    assert "payer" not in error
    assert state(data)[0] == "sent"


def test_a_ledger_that_is_busy_is_tried_again_later(run: Run, data: Path) -> None:
    with sqlite3.connect(data / "chartpost.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        code, _, error = run("mail", "--to", TO)
        other.execute("ROLLBACK")
    assert (code, "try again" in error) == (os.EX_TEMPFAIL, True)
    assert run("mail", "--to", TO)[0] == 0


def test_a_data_directory_that_is_not_there_is_not_made(run: Run, data: Path) -> None:
    shutil.rmtree(data)
    assert run("mail", "--to", TO)[0] == 75
    assert not data.exists()
