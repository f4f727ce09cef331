"""`chartpost request`: requests that a person makes, looks at and changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from chartpost.adapter.commands import requests_shown as shown
from chartpost.adapter.commands.release import By
from chartpost.adapter.commands.requests_said import (
    Amount,
    Another,
    Approved,
    Currency,
    Due,
    Expires,
    Items,
    Language,
    Note,
    Paid,
    Payer,
    To,
    a_date,
    an_amount,
    an_item,
)
from chartpost.adapter.commands.shared import DATA, AsJson, Config, Data, Where, deciding, person, where

if TYPE_CHECKING:
    from chartpost.adapter.flow.context import Flow
    from chartpost.adapter.flow.requests.change import Changed
    from chartpost.adapter.flow.requests.wish import Wish

T = TypeVar("T")
request = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Make a request, look at it, change it; `requests` lists them."
)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="A7, or with --source its number there.")]
Source = Annotated[str, typer.Option("--source", metavar="NAME", help="The source that the number is of.")]
Patient = Annotated[
    str, typer.Option("--patient", metavar="NAME", help="Of an account that is not here yet: an advance.")
]
Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The id of a request: R and eleven more.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it is done.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask; you have looked whether it has happened already.")]


@request.callback()
def _request(context: typer.Context, data: Data = DATA, config: Config = None) -> None:
    context.obj = (config, data)


@request.command()
def preview(
    context: typer.Context, account: Account, source: Source = "", amount: Amount = "", currency: Currency = "",
    payer: Payer = None, to: To = None, note: Note = None, due: Due = "", expires: Expires = "",
    language: Language = None, items: Items = None, patient: Patient = "", approved: Approved = False, by: By = "",
    data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show what `make` would ask for and send, word for word.

    Changes nothing.
    """
    from chartpost.adapter.flow.requests import make as flow_make

    wish = _wish(account, source, amount, currency, payer, to, note, due, expires, language, items, patient, approved)
    with _flow(context, config, data) as flow:
        shown.made(flow, flow_make.preview(flow, wish, by=by or person()), as_json)


@request.command()
def make(
    context: typer.Context, account: Account, source: Source = "", amount: Amount = "", currency: Currency = "",
    payer: Payer = None, to: To = None, note: Note = None, due: Due = "", expires: Expires = "",
    language: Language = None, items: Items = None, patient: Patient = "", approved: Approved = False, by: By = "",
    sure: Yes = False, data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Ask for what is owed on an account.

    Shows what would be sent, and asks before it is.
    """
    from chartpost.adapter.flow.requests import make as flow_make

    _can_ask(sure, as_json)
    wish = _wish(account, source, amount, currency, payer, to, note, due, expires, language, items, patient, approved)
    with _flow(context, config, data) as flow:
        if not sure:
            shown.made(flow, flow_make.preview(flow, wish, by=by or person()))
            _confirm("Make this request?")
        shown.made(flow, flow_make.make(flow, wish, by=by or person()), as_json)


@request.command()
def show(
    context: typer.Context,
    name: Request,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show names, contact data, notes and items too.")] = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one request with all that was set."""
    from chartpost.adapter.flow.requests import look

    with _flow(context, config, data) as flow:
        shown.request(flow, _there(look.look(flow, name), name), reveal, as_json)


@request.command()
def edit(
    context: typer.Context, name: Request, amount: Another = "", currency: Currency = "", payer: Payer = None,
    to: To = None, note: Note = None, due: Due = "", language: Language = None, items: Items = None,
    no_items: Annotated[bool, typer.Option("--no-items", help="It has no items any more.")] = False,
    approved: Approved = False, by: By = "", sure: Yes = False, data: Where = None, config: Config = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Change an open request; its link stays the same.

    New recipients are told, old ones not again.
    """
    from chartpost.adapter.flow.requests import change

    if to is not None:
        _can_ask(sure, as_json)
    wanted = change.Edit(
        amount=an_amount(amount), currency=currency, payer=payer, recipients=to, note=note, due_on=a_date(due),
        language=language, items=() if no_items else tuple(map(an_item, items)) if items else None, approved=approved,
    )  # fmt: skip
    with _flow(context, config, data) as flow:
        if to is not None and not sure:
            shown.changed(change.edit(flow, name, wanted, by=by or person(), preview=True))
            _confirm("Change the request?")
        shown.changed(change.edit(flow, name, wanted, by=by or person()), as_json)


@request.command()
def cancel(
    context: typer.Context, name: Request,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; shown with `trace --reveal`.")] = "",
    by: By = "", data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Withdraw a request.

    The next charge does not ask for it again.
    """
    from chartpost.adapter.flow.requests import change

    with _flow(context, config, data) as flow:
        shown.changed(change.cancel(flow, name, by=by or person(), why=why), as_json)


@request.command()
def extend(
    context: typer.Context, name: Request, expires: Expires = "", by: By = "", data: Where = None,
    config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Give a request another end.

    Without --expires as request_days has it. One that has expired is open again.
    """
    from chartpost.adapter.flow.requests import change

    with _flow(context, config, data) as flow:
        shown.changed(change.extend(flow, name, expires, by=by or person()), as_json)


@request.command()
def resend(
    context: typer.Context, name: Request, by: By = "", sure: Sure = False, data: Where = None, config: Config = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Tell the payer once more."""
    from chartpost.adapter.flow.requests import change

    _can_ask(sure, as_json)
    with _flow(context, config, data) as flow:
        if not sure:
            shown.changed(change.resend(flow, name, by=by or person(), preview=True))
            _confirm("Tell the payer once more?")
        shown.changed(change.resend(flow, name, by=by or person(), sure=sure), as_json)


@request.command()
def settle(
    context: typer.Context, name: Request,
    method: Annotated[
        str, typer.Option("--method", metavar="HOW", help="cash, cheque, card_terminal, transfer or other.")
    ],
    amount: Paid = "",
    reference: Annotated[str, typer.Option("--reference", metavar="TEXT", help="Of a receipt or a cheque.")] = "",
    by: By = "", sure: Sure = False, data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Record what was paid otherwise.

    The chart is not told: its own cashier books it.
    """
    from chartpost.adapter.flow.requests import change

    with _flow(context, config, data) as flow:
        done = change.settle(
            flow, name, method=method, amount=an_amount(amount), reference=reference, by=by or person(), sure=sure
        )
        shown.changed(done, as_json)


@request.command()
def unsettle(
    context: typer.Context,
    name: Request,
    amount: Annotated[str, typer.Option("--amount", metavar="AMOUNT", help="What was recorded by mistake.")],
    by: By = "",
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take back what was recorded as paid otherwise by mistake."""
    from decimal import Decimal

    from chartpost.adapter.flow.requests import change

    with _flow(context, config, data) as flow:
        wrong = an_amount(amount) or Decimal(0)
        shown.changed(change.unsettle(flow, name, amount=wrong, by=by or person()), as_json)


@request.command()
def reopen(
    context: typer.Context, name: Request, amount: Amount = "", expires: Expires = "", approved: Approved = False,
    by: By = "", data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Ask again under the same link.

    Tells nobody: `request resend` does.
    """
    from chartpost.adapter.flow.requests import change

    with _flow(context, config, data) as flow:
        done = change.reopen(
            flow, name, amount=an_amount(amount), expires=expires, approved=approved, by=by or person()
        )
        shown.changed(done, as_json)


@request.command()
def pause(
    context: typer.Context, name: Request, by: By = "", data: Where = None, config: Config = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Remind nobody of a request."""
    from chartpost.adapter.flow.requests import change

    _simply(context, name, by, data, config, as_json, change.pause)


@request.command()
def resume(
    context: typer.Context, name: Request, by: By = "", data: Where = None, config: Config = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Remind again, whatever the reminders were paused for."""
    from chartpost.adapter.flow.requests import change

    _simply(context, name, by, data, config, as_json, change.resume)


@request.command()
def qr(
    context: typer.Context, name: Request,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write it as a drawing.")] = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Write it as a picture.")] = None,
    data: Where = None, config: Config = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show the link of a request as a QR code."""
    from chartpost.adapter.flow.requests import look

    with _flow(context, config, data) as flow:
        one = _there(look.look(flow, name), name)
        shown.qr(one, shown.link(flow, one.facility, one.link), {"svg": svg, "png": png}, as_json)


# ------------------------------------------------------------------------------------------------------------ within


@contextmanager
def _flow(context: typer.Context, config: Path | None, data: Path | None) -> Iterator[Flow]:
    """Open the ledger to write; what is refused ends with 1 and a sentence."""
    from chartpost.adapter.flow.deciding.decide import No

    with deciding(*where(context, config, data)) as flow:
        try:
            yield flow
        except No as no:
            print(no, file=sys.stderr)
            raise typer.Exit(1) from None


def _wish(
    account: str, source: str, amount: str, currency: str, payer: str | None, to: str | None, note: str | None,
    due: str, expires: str, language: str | None, items: list[str] | None, patient: str, approved: bool,
) -> Wish:  # fmt: skip
    from chartpost.adapter.flow.requests.wish import Wish

    return Wish(
        account, source, amount=an_amount(amount), currency=currency, payer=payer or "", recipients=to or "",
        note=note or "", due_on=a_date(due), expires=expires, language=language or "",
        items=tuple(map(an_item, items or ())), patient=patient, approved=approved,
    )  # fmt: skip


def _simply(
    context: typer.Context, name: str, by: str, data: Path | None, config: Path | None, as_json: bool,
    act: Callable[..., Changed],
) -> None:  # fmt: skip
    with _flow(context, config, data) as flow:
        shown.changed(act(flow, name, by=by or person()), as_json)


def _there(found: T | None, name: str) -> T:
    if found is None:
        print(f"there is no request {name}; `chartpost requests` lists them", file=sys.stderr)
        raise typer.Exit(1)
    return found


def _can_ask(sure: bool, as_json: bool) -> None:
    if as_json and not sure:
        raise typer.BadParameter("with --json nobody can be asked; say --yes", param_hint="--yes")


def _confirm(question: str) -> None:
    if not typer.confirm(question):
        print("nothing was done", file=sys.stderr)
        raise typer.Exit(1)
