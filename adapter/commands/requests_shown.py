"""How `chartpost request` prints: what would be sent, what was done, one request, its link as a QR code."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from chartpost.adapter.commands.shared import print_json, screen

if TYPE_CHECKING:
    from chartpost.adapter.flow.context import Flow
    from chartpost.adapter.flow.requests.change import Changed
    from chartpost.adapter.flow.requests.look import Shown
    from chartpost.adapter.flow.requests.make import Made
    from chartpost.adapter.flow.requests.planned import Message

#: What names a person, or may.
_PERSONAL = ("payer", "recipients", "note", "items")


def made(flow: Flow, one: Made, as_json: bool = False) -> None:
    """Print a request as it was made, or would be."""
    from chartpost.adapter.views import money

    link_ = link(flow, one.facility, one.link) if one.link else ""
    if as_json:
        row = _plain(one) | {"link": link_, "messages": [_plain(message) for message in one.messages]}
        return print_json([row])
    _line("request", one.request)
    _line("account", one.account or "a new one")
    owed = money(one.owed.minor, one.owed.currency)
    _line("amount", f"{one.amount} of {owed} owed")
    _line("payer", one.payer)
    _line("due on", one.due_on)
    _line("expires", _when(one.expires_at) if one.expires_at else "never")
    _line("link", link_)
    for message in one.messages:
        _message(message)
    _line("nobody", one.why_nobody)
    return None


def changed(one: Changed, as_json: bool = False) -> None:
    """Print what came of a change, or would."""
    if as_json:
        return print_json([_plain(one) | {"messages": [_plain(message) for message in one.messages]}])
    print(f"{one.request} is {one.state}: {one.text}")
    for message in one.messages:
        _message(message)
    return None


def _line(name: str, value: object) -> None:
    if value:
        screen().print(f"{name:<10} {value}", soft_wrap=True, markup=False)


def _when(moment: dt.datetime) -> str:
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _message(one: Message) -> None:
    long = f", {one.segments} segment{'s' * (one.segments != 1)}" if one.segments else ""
    _line(one.channel, f"to {one.to}{long}")
    _line("", f"not sent: {one.why_not} ({one.fix})" if one.why_not else "")
    _line("", f"not before {_when(one.later)}" if one.later else "")
    _line("subject", one.subject)
    for text in one.text.splitlines():
        _line("", text)


def request(flow: Flow, one: Shown, reveal: bool, as_json: bool) -> None:
    """Print one request; what names people only with `reveal`."""
    row = _plain(one) | {"link": link(flow, one.facility, one.link)}
    row = {name: value for name, value in row.items() if reveal or name not in _PERSONAL}
    if as_json:
        return print_json([row])
    console = screen()
    for name, value in row.items():
        if value and not name.endswith("_minor"):
            console.print(f"{name.replace('_', ' '):<10} {_said(value)}", soft_wrap=True, markup=False)
    return None


def qr(one: Shown, address: str, files: Mapping[str, Path | None], as_json: bool) -> None:
    """Write the link as a QR code into files, else to the terminal. Ends with 1 where it has no address to lead to."""
    if not address:
        print("public_url: is not set and web has no fixed port, so no link can be made; set one", file=sys.stderr)
        raise typer.Exit(1)
    import segno

    code = segno.make(address, error="m", micro=False)
    for kind, path in files.items():
        if path is None:
            continue
        try:
            code.save(str(path), kind=kind, scale=8)
        except OSError as error:
            raise typer.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint=f"--{kind}") from None
    if as_json:
        print_json([{"request": one.request, "state": one.state, "link": address}])
    elif not any(files.values()):
        code.terminal(out=sys.stdout, compact=True)
        print(address)
    if one.state != "open":
        print(f"request {one.request} is {one.state}: its page says so and takes no payment", file=sys.stderr)


def link(flow: Flow, facility: str, address: str) -> str:
    """Return the address of a request's page, "" where nobody knows yet under which port it will be."""
    own = flow.settings.facilities[facility].pay_url if facility in flow.settings.facilities else None
    return address if own or urlsplit(flow.public_url).port != 0 else ""


def _plain(one: Any) -> dict[str, Any]:
    """Return a dataclass as plain values: amounts twice, times in ISO 8601."""
    from chartpost.adapter.views import iso, money
    from chartpost.mappings.model import Money

    row: dict[str, Any] = {}
    for part in dataclasses.fields(one):
        value = getattr(one, part.name)
        if isinstance(value, Money):
            row |= {part.name: money(value.minor, value.currency), f"{part.name}_minor": value.minor}
            row["currency"] = value.currency
        else:
            row[part.name] = iso(value) if isinstance(value, dt.datetime) else value
    return row


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['description']}: {value['total']}"
    return "; ".join(map(_said, value)) if isinstance(value, (list, tuple)) else str(value)
