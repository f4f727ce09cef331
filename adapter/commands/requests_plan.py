"""`chartpost request plan`: instalments that somebody agreed on with a payer, or the end of them."""

from __future__ import annotations

import datetime as dt
import sys
from decimal import Decimal
from typing import Annotated

import typer

from chartpost.adapter.commands.release import By
from chartpost.adapter.commands.requests_said import a_date, an_amount
from chartpost.adapter.commands.shared import AsJson, Config, Where, deciding, person, print_json, print_table, where

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The id of a request: R and eleven more.")]
Count = Annotated[int, typer.Option("--count", min=0, metavar="N", help="So many, as the policy offers them.")]
Parts = Annotated[
    list[str] | None, typer.Option("--part", metavar="DATE=AMOUNT", help="A part of your own: 2026-06-30=40.00.")
]
Drop = Annotated[bool, typer.Option("--drop", help="End the plan: all that is asked is due at once.")]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Kept with what you did.")]


def plan(
    context: typer.Context, name: Request, count: Count = 0, parts: Parts = None, drop: Drop = False, why: Why = "",
    by: By = "", data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Agree on instalments, in place of the plan before, or end it."""
    from chartpost.adapter.flow.deciding.decide import No
    from chartpost.adapter.flow.requests import look
    from chartpost.adapter.flow.requests import plan as plans
    from chartpost.mappings.model import Money

    if (count > 0) + bool(parts) + drop != 1:
        raise typer.BadParameter("say --count, or --part for each part, or --drop")
    own = [_part(one) for one in parts or ()]
    who = by or person()
    with deciding(*where(context, config, data)) as flow:
        try:
            found = look.look(flow, name)
            if found is None:
                raise No(f"there is no request {name}; `chartpost requests` lists them")
            currency = found.asked.currency
            agreed: tuple[plans.Part, ...] = ()
            if drop:
                plans.drop(flow, name, who, why)
            elif count:
                agreed = plans.choose(flow, name, count, who)
            else:
                exact = [(date, Money.of(amount, currency).minor) for date, amount in own]
                agreed = plans.agree(flow, name, exact, who, why)
        except (No, ValueError) as no:
            print(no, file=sys.stderr)
            raise typer.Exit(1) from None
    rows = [
        {"part": n, "due_on": on.isoformat(), "amount": str(Money(minor=amount, currency=currency))}
        for n, on, amount in agreed
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(("part", "due_on", "amount"), rows, "part")
    else:
        print("the plan is over: all that is asked is due")


def _part(text: str) -> tuple[dt.date, Decimal]:
    """Return a part as it was typed: "2026-06-30=40.00". Raises BadParameter."""
    date, _, amount = text.partition("=")
    on, much = a_date(date), an_amount(amount, "--part")
    if on is None or much is None:
        raise typer.BadParameter("is no part; write it as in 2026-06-30=40.00", param_hint="--part")
    return on, much
