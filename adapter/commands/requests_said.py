"""What a person says of a request on the command line: options, and how their texts are read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chartpost.adapter.flow.requests.wish import Item

Amount = Annotated[str, typer.Option("--amount", metavar="AMOUNT", help="As in 45.00; without it, all that is owed.")]
Another = Annotated[
    str, typer.Option("--amount", metavar="AMOUNT", help="As in 45.00; without it, what items add up to, or as it is.")
]
Paid = Annotated[str, typer.Option("--amount", metavar="AMOUNT", help="As in 45.00; without it, all that is asked.")]
Currency = Annotated[
    str, typer.Option("--currency", metavar="CODE", help="To be sure: refused unless the account is in it.")
]
Payer = Annotated[
    str | None, typer.Option("--payer", metavar="NAME", help="Whom the page addresses; '' is whom the chart names.")
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="LIST", help="Numbers and addresses with ; between; '' is whom the chart names."),
]
Note = Annotated[
    str | None, typer.Option("--note", metavar="TEXT", help="Shown on the page after the identity check only.")
]
Due = Annotated[str, typer.Option("--due", metavar="DATE", help="As in 2026-06-30: reminders count from it.")]
Expires = Annotated[str, typer.Option("--expires", metavar="WHEN", help="once (24 hours), days as in 30, or never.")]
Language = Annotated[str | None, typer.Option("--language", metavar="CODE", help="One of the facility's: en, es.")]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="ITEM", help="Description|price[|quantity[|discount[|tax]]]; several times."),
]
Approved = Annotated[bool, typer.Option("--approved", help="It may be above the facility's amounts.review_above.")]


def an_amount(text: str, option: str = "--amount") -> Decimal | None:
    """Return what was typed as an amount of major units, None for nothing. Raises BadParameter."""
    try:
        return Decimal(text.strip()) if text.strip() else None
    except InvalidOperation:
        raise typer.BadParameter("is no amount; write it as in 45.00", param_hint=option) from None


def a_date(text: str) -> dt.date | None:
    """Return what was typed as a date, None for nothing. Raises BadParameter."""
    try:
        return dt.date.fromisoformat(text.strip()) if text.strip() else None
    except ValueError:
        raise typer.BadParameter("is no date; write it as in 2026-06-30", param_hint="--due") from None


def an_item(text: str) -> Item:
    """Return one item: "Crown|30.00|2|5.00|4.40". Raises BadParameter."""
    from chartpost.adapter.flow.requests.wish import Item

    description, *parts = text.split("|")
    found = [an_amount(part, "--item") for part in parts]
    if not found or found[0] is None or len(found) > 4:
        raise typer.BadParameter("is no item; write it as in 'Crown|30.00|2'", param_hint="--item")
    rest = dict(zip(("quantity", "discount", "tax"), found[1:], strict=False))
    return Item(description, found[0], **{name: value for name, value in rest.items() if value is not None})
