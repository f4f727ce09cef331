"""`chartpost holds` and `chartpost postings`: the lists, and what a person decides about what waits."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chartpost.adapter.commands.shared import (
    DATA,
    AsJson,
    Config,
    Data,
    deciding,
    person,
    print_json,
    print_list,
    print_table,
)

if TYPE_CHECKING:
    from chartpost.adapter.flow.release import Release

holds = typer.Typer(rich_markup_mode=None, help="List what waits for a person; retry or dismiss it.")
postings = typer.Typer(rich_markup_mode=None, help="List what destinations were told and answered; send it again.")

Holds = Annotated[list[str] | None, typer.Argument(metavar="HOLD", help="H4 and its like, from `chartpost holds`.")]
Cause = Annotated[str, typer.Option("--cause", metavar="CAUSE", help="Every open hold of this cause.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; without it, who is logged in.")]
Sure = Annotated[
    bool, typer.Option("--yes", help="Also what may have happened already: you have looked, and it has not.")
]
#: The same two options as the lists have; given before or after the second word.
Where = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=f"The data directory (default: {DATA}).")]
COLUMNS = ("id", "object", "cause", "done", "text")


@holds.command()
def retry(
    context: typer.Context,
    chosen: Holds = None,
    cause: Cause = "",
    by: By = "",
    sure: Sure = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close holds and try again what waits, as if it came now."""
    from chartpost.adapter.flow import release

    with deciding(*_where(context, config, data)) as flow:
        numbers = _numbers(chosen, cause, lambda: release.open_holds(flow.store, cause))
        _tell([release.retry(flow, number, by=by or person(), sure=sure) for number in numbers], as_json)


@holds.command()
def dismiss(
    context: typer.Context,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; kept and shown, so name no patient.")],
    chosen: Holds = None,
    cause: Cause = "",
    by: By = "",
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close holds and leave things as they are.

    A held message is ignored for good.
    """
    from chartpost.adapter.flow import release

    if not why.strip():
        raise typer.BadParameter("say why, for whoever asks later", param_hint="--why")
    with deciding(*_where(context, config, data)) as flow:
        numbers = _numbers(chosen, cause, lambda: release.open_holds(flow.store, cause))
        _tell([release.dismiss(flow.store, number, by=by or person(), why=why) for number in numbers], as_json)


@postings.command()
def resend(
    context: typer.Context,
    chosen: Annotated[list[str], typer.Argument(metavar="POSTING", help="Ids from `chartpost postings`: P and more.")],
    by: By = "",
    sure: Sure = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write postings anew and send them again.

    Refused ones, and with --yes those whose answer nobody knows.
    """
    from chartpost.adapter.flow import release

    with deciding(*_where(context, config, data)) as flow:
        _tell([release.resend(flow, one, by=by or person(), sure=sure) for one in dict.fromkeys(chosen)], as_json)


@holds.callback(invoke_without_command=True)
def _holds(
    context: typer.Context,
    done: Annotated[bool, typer.Option("--all", help="Those that are done, too.")] = False,
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    context.obj = (config, data)
    if context.invoked_subcommand is None:
        print_list("holds", config, data, as_json, lambda row: done or row["state"] == "open")


@postings.callback(invoke_without_command=True)
def _postings(context: typer.Context, data: Data = DATA, config: Config = None, as_json: AsJson = False) -> None:
    context.obj = (config, data)
    if context.invoked_subcommand is None:
        print_list("postings", config, data, as_json)


def _where(context: typer.Context, config: Path | None, data: Path | None) -> tuple[Path | None, Path]:
    """Return configuration and data directory, wherever in the line they were given."""
    before = context.obj or (None, DATA)
    return config or before[0], data or before[1]


def _numbers(chosen: list[str] | None, cause: str, of_cause: Callable[[], Iterable[int]]) -> list[int]:
    """Return the holds that were named, each once and oldest first: what is released first counts first."""
    if bool(chosen) == bool(cause):
        raise typer.BadParameter("name holds, as in H4 H5, or all of one cause with --cause")
    if cause:
        found = list(of_cause())
        if not found:
            raise typer.BadParameter(f"no open hold has the cause {cause}; `chartpost holds` lists them")
        return found
    numbers = set()
    for one in chosen or ():
        digits = one[1:] if one[:1] in ("H", "h") else one
        if not digits.isdecimal():
            raise typer.BadParameter(f"{one} is no hold; they are called H and a number")
        numbers.add(int(digits))
    return sorted(numbers)


def _tell(releases: list[Release], as_json: bool) -> None:
    """Print what came of each; end with 1 unless all was done."""
    from chartpost.adapter.views import named

    rows = [dataclasses.asdict(one) | {"object": named(one.object)} for one in releases]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [row | {"done": "yes" if row["done"] else "no"} for row in rows])
    if not all(one.done for one in releases):
        raise typer.Exit(1)
