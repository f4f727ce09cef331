"""`chartpost bounce`: a mail that came back, through a mail server's pipe."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from chartpost.adapter.commands.shared import DATA, Config, Data, deciding
from chartpost.adapter.errors import ChartpostError

#: Bytes of a mail that are read; what failed and why stands at its beginning.
LIMIT = 1_000_000
#: sysexits.h: what a mail server does next. It keeps the mail and tries again later.
TEMPORARY = 75


def bounce(
    notifier: Annotated[str, typer.Argument(metavar="NOTIFIER", help="The notifier of type smtp that sent the mail.")],
    to: Annotated[
        str,
        typer.Option("--to", metavar="ADDRESS", help="Whom it came to; without it, its headers tell."),
    ] = "",
    data: Data = DATA,
    config: Config = None,
) -> None:
    """Take a mail that came back, from standard input.

    For the pipe of a mail server: ends with 0 once it is stored, and with 75 (try again later) where it cannot be.
    """
    mail = sys.stdin.buffer.read(LIMIT)
    try:
        with deciding(config, data) as flow:
            from chartpost.adapter.flow.answering import bounced

            if notifier not in flow.world.notifiers:
                raise typer.BadParameter("there is no notifier of this name")
            why = bounced.piped(flow, notifier, mail, to)
    except Exception as error:
        # A mail server that is answered anything else gives the mail up: nothing would ever be learned from it.
        said = error if isinstance(error, (ChartpostError, typer.BadParameter)) else type(error).__name__
        print(f"{said}; the mail was not taken, try again later", file=sys.stderr)
        raise typer.Exit(TEMPORARY) from None
    print(why or "taken")
