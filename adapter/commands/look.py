"""`chartpost check` and `chartpost status`: how it stands, for people and for machines."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands.shared import DATA, AsJson, Config, Data, print_json, reading, screen, table

if TYPE_CHECKING:
    from rich.console import Console

    from chartpost.adapter.doctor.finding import Finding

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red"), "skipped": ("–", "dim")}
#: Seconds after which somebody at a terminal is told whom we wait for.
PATIENCE = 2.0
OneJson = Annotated[bool, typer.Option("--json", help="Print a JSON object, one line.")]


def check(config: Config = None, data: Data = DATA, as_json: AsJson = False) -> None:
    """Look whether this configuration could work here and now.

    Every problem at once, each with what to do. Nothing is changed.
    """
    # Nothing of what is only looked at belongs among the findings.
    from chartpost.adapter import log
    from chartpost.adapter.doctor import examine

    log.configure("ERROR")
    if as_json:
        report = examine.examine(config, data, os.environ)
        print_json({**dataclasses.asdict(one), "state": str(one.state)} for one in report.findings)
    else:
        report = _patiently(config, data)
        _print_findings(screen(), report.findings)
    raise typer.Exit(int(report.outcome))


def _patiently(config: Path | None, data: Path) -> Any:
    """Examine; somebody at a terminal sees whose answer is still to come."""
    from rich.console import Console

    from chartpost.adapter.doctor import examine

    aside = Console(stderr=True)
    began, said = time.monotonic(), aside.status("")

    def waiting(names: Sequence[str]) -> None:
        if aside.is_terminal and time.monotonic() - began > PATIENCE:
            said.update(f"waiting for {', '.join(names)}")
            said.start()

    try:
        return examine.examine(config, data, os.environ, waiting)
    finally:
        said.stop()


def _print_findings(console: Console, findings: Sequence[Finding]) -> None:
    from rich.markup import escape

    width = max(len(one.what) for one in findings)
    for one in findings:
        mark, style = MARKS[one.state]
        console.print(f"[{style}]{mark}[/] {one.what:<{width}}  {escape(one.text)}", soft_wrap=True)
        if one.fix:
            console.print(f"  {'':<{width}}  [dim]→ {escape(one.fix)}[/]", soft_wrap=True)
    problems = sum(one.state == "problem" for one in findings)
    warnings = sum(one.state == "warning" for one in findings)
    console.print(f"[dim]{_count(problems, 'problem')}, {_count(warnings, 'warning')}[/]")


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'s' * (number != 1)}"


# ----------------------------------------------------------------------------------------------------------- status


def status(
    seconds: Annotated[float, typer.Argument(metavar="[SECONDS]", min=0.2, help="With --watch: how often.")] = 2.0,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    data: Data = DATA,
    config: Config = None,
    as_json: OneJson = False,
) -> None:
    """Show on one screen how it goes.

    Doors, holds, work, queues, destinations, and what came within a day.
    """
    from chartpost.adapter import settings
    from chartpost.adapter.ledger.store import utc_now
    from chartpost.adapter.status import status as now

    # A changed map that is wrong is not in force, and is told of below.
    loaded = settings.load(config, os.environ, maps=False)

    def look() -> dict[str, Any]:
        with reading(config, data) as connection:
            return now(connection, loaded, utc_now())

    def show() -> None:
        if as_json:
            print(json.dumps(look(), ensure_ascii=False), flush=True)
        else:
            screen().print(_page(look()))

    if not watch:
        show()
        return
    with suppress(KeyboardInterrupt):
        if sys.stdout.isatty() and not as_json:
            _live(look, seconds)
        while True:
            show()
            time.sleep(seconds)


def _live(look: Any, seconds: float) -> None:
    from rich.live import Live

    with Live(_page(look()), console=screen(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(seconds)
            live.update(_page(look()), refresh=True)


def _page(shown: dict[str, Any]) -> Any:
    """Return the whole screen."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [Text(f"chartpost status  {shown['at']}", "bold")]

    def part(title: str, columns: Sequence[str], rows: Iterable[dict[str, Any]], none: str) -> None:
        rows = list(rows)
        parts.extend([Text(""), Text(title, "bold cyan"), table(columns, rows) if rows else Text(none, "dim")])

    # What a person must act on comes first: a low window cuts off what stands at the end.
    part("holds", ("cause", "open", "oldest"), shown["holds"], "nothing waits for a person")
    doors = [row | {"accepts": {True: "yes", False: "NO", None: "any port"}[row["accepts"]]} for row in shown["doors"]]
    part("doors", ("door", "address", "accepts"), doors, "")
    if shown["queues"] is not None:
        none = f"all {len(shown['queues'])} are empty and read"
        part("queues", ("queue", "messages", "readers", "error"), filter(_told, shown["queues"]), none)
    part("work", ("kind", "due", "leased", "later", "late_seconds"), shown["errands"], "nothing waits")
    part("destinations", ("destination", "type", "waiting", "answer", "accepted"), shown["destinations"], "none")
    part("maps", ("use", "place", "map", "since", "refused"), shown["maps"], "unknown: nothing has run yet")
    part("open requests", ("currency", "open", "asked"), shown["requests"], "none")
    part("what came", ("noun", "newest", "last hour", "last day"), _came(shown), "")
    return Group(*parts)


def _told(queue: dict[str, Any]) -> bool:
    """Say whether a queue is worth a line: something lies in it, or nobody reads it. The dead are read by people."""
    return bool(queue["error"] or queue["messages"] or (not queue["readers"] and not queue["queue"].endswith(".dead")))


def _came(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each noun: when the newest came, and the counts of an hour and of a day."""
    paid = {
        within: ", ".join(
            f"{row['payments']}: {row['amount']} {row['currency']}"
            for row in shown["payments"]
            if row["within"] == within
        )
        for within in ("hour", "day")
    }
    return [
        {
            "noun": noun,
            "newest": shown["last"][noun.removesuffix("s")],
            "last hour": spans["hour"] or "none",
            "last day": spans["day"] or "none",
        }
        for noun, spans in {**shown["states"], "payments": paid}.items()
    ]
