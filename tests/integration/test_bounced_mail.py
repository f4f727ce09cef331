"""The embedded sample as people start it: a mail that nobody has comes back by itself, and a person is told."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from workbench import dft, line

from chartpost.adapter.demo import child


def until(look: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def test_a_mail_that_nobody_has_comes_back_and_is_on_the_work_list(tmp_path: Path) -> None:
    running = child.start(tmp_path)
    try:
        body = dft(line("CO", "45.00"), account="B-77", phone="0000000000")
        mail = body.replace(b"^PRN^CP^^1^000^0000000", b"^NET^Internet^bounce-7@example.org")
        assert mail != body
        urlopen(Request(running.doors["sandbox"] + "/clinic/send", mail), timeout=30).close()
        ledger = tmp_path / "chartpost.db"

        def rows(statement: str) -> list[Any]:
            with sqlite3.connect(ledger) as connection:
                return connection.execute(statement).fetchall()

        until(lambda: rows("SELECT 1 FROM hold WHERE cause = 'notice_undelivered'"))
        assert rows("SELECT channel, state, code FROM notice") == [("email", "undelivered", "5.1.1")]
        assert rows("SELECT provider, state FROM event") == [("mail", "applied")]
        with urlopen(running.doors["sandbox"] + "/mailbox.json", timeout=30) as answer:
            assert json.load(answer)["mails"] == []
    finally:
        child.stop(running)
