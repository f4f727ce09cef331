"""`chartpost holds` and `chartpost holds show`: what waits for a person, in groups, and all about one hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chartpost.adapter.commands.shared import (
    DATA,
    AsJson,
    Config,
    Data,
    Where,
    number_of,
    print_json,
    print_list,
    print_table,
    reading,
    screen,
    where,
)

if TYPE_CHECKING:
    from chartpost.adapter.worklist import Shown

Flat = Annotated[bool, typer.Option("--flat", help="One row a hold, not a group.")]
Done = Annotated[bool, typer.Option("--all", help="Those that are done, too; one row a hold.")]


def bare(
    context: typer.Context,
    done: Done = False,
    flat: Flat = False,
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person; retry, correct or dismiss it."""
    context.obj = (config, data)
    if context.invoked_subcommand is None:
        _list(config, data, done, flat, as_json)


def listed(
    context: typer.Context,
    done: Done = False,
    flat: Flat = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what waits: one row for all that one change mends."""
    _list(*where(context, config, data), done, flat, as_json)


def show(
    context: typer.Context,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="H4 and its like, from `chartpost holds`.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show names, contact data and what stands in the fields, too.")
    ] = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Tell all about one hold, and what could be done.

    What in a message it is about, the commands or the lines of a map that would help, and the story so far.
    """
    from chartpost.adapter import settings, worklist

    number = number_of(hold)
    config, directory = where(context, config, data)
    loaded = settings.load(config, os.environ)
    with reading(config, directory) as connection:
        shown = worklist.show(connection, loaded, number, reveal=reveal)
    if shown is None:
        print(f"there is no hold H{number}; `chartpost holds` lists them", file=sys.stderr)
        raise typer.Exit(1)
    if as_json:
        print_json([shown.view()])
    else:
        _print(shown)


def _list(config: Path | None, data: Path, done: bool, flat: bool, as_json: bool) -> None:
    if done or flat:
        return print_list("holds", config, data, as_json, lambda row: done or row["state"] == "open")
    from chartpost.adapter import worklist

    with reading(config, data) as connection:
        rows = list(worklist.groups(connection))
    if as_json:
        return print_json(rows)
    if rows:
        print_table(worklist.COLUMNS, rows)
    open_ones = sum(row["holds"] for row in rows)
    screen().print(f"[dim]{open_ones} hold{'s' * (open_ones != 1)} in {len(rows)} group{'s' * (len(rows) != 1)}[/]")
    return None


def _print(shown: Shown) -> None:
    from rich.markup import escape

    console, row = screen(), shown.row

    def say(text: str, indent: int = 2) -> None:
        console.print(" " * indent + escape(text), soft_wrap=True)

    state = "" if row["state"] == "open" else f", {row['state']}"
    console.print(f"[bold]{row['id']}[/]  [cyan]{row['cause']}[/] on {row['object']} since {row['at']}{state}")
    say(row["text"])
    say(f"to do: {row['fix']}")
    if shown.alike > 1:
        say(f"{shown.alike} open holds are like this one")
    if shown.now:
        say(f"read again today: {shown.now}")
    if shown.fields:
        console.print("[bold]what it is about[/]")
    for path, text in shown.fields:
        say(f"{path} = {text}" if text else path)
    if shown.proposals:
        console.print("[bold]what can be done[/]")
    for proposal in shown.proposals:
        say(proposal.text)
        for line in proposal.lines.splitlines():
            say(line, 6)
    console.print("[bold]the story so far[/]")
    for moment in shown.story:
        say(f"{moment.at:%Y-%m-%d %H:%M:%S}  {moment.noun:<12} {moment.id}  {moment.text}")
