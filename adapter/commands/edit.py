"""`chartpost holds edit`: correct a held message, see every difference, and have it read again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chartpost.adapter.commands.release import By, tell
from chartpost.adapter.commands.shared import AsJson, Config, Where, deciding, number_of, person, screen, where

if TYPE_CHECKING:
    from chartpost.adapter.flow.deciding.edit import Draft


def edit(
    context: typer.Context,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="H4 and its like, on a message.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; kept and shown, so name no patient.")],
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="FT1[2]-6=CG and its like; may be given several times."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="The whole corrected message; for FHIR the only way.")
    ] = None,
    by: By = "",
    move: Annotated[bool, typer.Option("--move", help="It belongs to another account, and that is meant.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show what stands in the fields, and what will.")] = False,
    sure: Annotated[bool, typer.Option("--yes", help="Do not ask before it is kept.")] = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Correct a held message and read it again.

    What came is kept as it came. Shows every difference and asks before the correction is kept.
    """
    if not why.strip():
        raise typer.BadParameter("say why, for whoever asks later", param_hint="--why")
    if bool(sets) == (file is not None):
        raise typer.BadParameter("say what to correct with --set, or give the whole message with --file")
    if as_json and not sure:
        raise typer.BadParameter("with --json nobody can be asked; say --yes", param_hint="--yes")
    number = number_of(hold)
    try:
        text = file.read_bytes() if file is not None else None
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}", param_hint="--file") from None
    from chartpost.adapter.flow.deciding import edit as flow_edit
    from chartpost.adapter.flow.deciding.decide import No

    with deciding(*where(context, config, data)) as flow:
        try:
            draft = flow_edit.draft(flow, number, sets=sets or (), text=text)
        except No as no:
            print(f"H{number}: {no}", file=sys.stderr)
            raise typer.Exit(1) from None
        if not as_json:
            _print(draft, reveal)
        if draft.moves and not move:
            print(
                f"H{number}: the corrected message names another account; if that is meant, say --move", file=sys.stderr
            )
            raise typer.Exit(1)
        if not sure and not typer.confirm("Keep this correction and read the message again?"):
            print("nothing was changed", file=sys.stderr)
            raise typer.Exit(1)
        tell([flow_edit.keep(flow, draft, by=by or person(), why=why)], as_json)


def _print(draft: Draft, reveal: bool) -> None:
    from rich.markup import escape

    console = screen()
    for one in draft.differences:
        shown = f': "{one.before}" → "{one.after}"' if reveal else " changes"
        console.print(escape(f"{one.path}{shown}"), soft_wrap=True)
    if draft.moves:
        console.print("it moves to another account")
