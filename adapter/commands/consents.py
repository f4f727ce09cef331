"""`chartpost consents`: who may be written to, by number or address; as others have it, and as people said it here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands.shared import (
    DATA,
    AsJson,
    Config,
    Data,
    Where,
    deciding,
    person,
    print_json,
    print_list,
    print_table,
    where,
)
from chartpost.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from chartpost.adapter.flow.context import Flow

consents = typer.Typer(rich_markup_mode=None, help="List who may be written to; record what people say.")

Whose = Annotated[str, typer.Argument(metavar="NUMBER", help="A phone number or an e-mail address.")]
Facility = Annotated[str, typer.Option("--facility", metavar="NAME", help="Only for this one; without it, for all.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; without it, who is logged in.")]
COLUMNS = ("facility", "through", "may", "why")
HISTORY = ("at", "state", "scope", "origin", "evidence", "by")


@consents.callback(invoke_without_command=True)
def _consents(context: typer.Context, data: Data = DATA, config: Config = None, as_json: AsJson = False) -> None:
    context.obj = (config, data)
    if context.invoked_subcommand is None:
        print_list("consents", config, data, as_json)


@consents.command("list")
def listed(
    context: typer.Context, data: Where = None, config: Config = None, as_json: AsJson = False
) -> None:  # fmt: skip
    """List every word of consent, oldest first. Numbers and addresses are masked."""
    print_list("consents", *where(context, config, data), as_json)


@consents.command()
def show(
    context: typer.Context, number: Whose, data: Where = None, config: Config = None, as_json: AsJson = False
) -> None:  # fmt: skip
    """Show who may write to one number or address, and why."""
    from chartpost.adapter.flow.telling import consent
    from chartpost.adapter.ledger import consents as words
    from chartpost.adapter.views import iso

    with deciding(*where(context, config, data)) as flow:
        channel, to = _whose(flow, number)
        may = []
        with flow.store.read() as connection:
            for source, configured in flow.settings.sources.items():
                facility = flow.facility(configured.facility)
                for name in facility.notifiers:
                    if flow.world.notifiers[name].channel != channel:
                        continue
                    why = consent.why_not(
                        connection, flow, source=source, facility=configured.facility, notifier=name, channel=channel,
                        recipient=to,
                    )  # fmt: skip
                    row = {"source": source, "facility": configured.facility, "through": name}
                    may.append(row | {"may": "no" if why else "yes", "why": why[1] if why else ""})
            history = [
                {
                    "at": iso(one.at), "state": one.state, "scope": one.scope, "origin": one.origin,
                    "evidence": one.evidence, "by": one.by,
                }
                for one in words.history(connection, channel, words.key(channel, to))
            ]  # fmt: skip
    if as_json:
        return print_json([{"channel": channel, "may": may, "history": history}])
    print_table(("source", *COLUMNS), may)
    print()
    return print_table(HISTORY, history, "word")


@consents.command("set")
def record(
    context: typer.Context,
    number: Whose,
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="The evidence; kept and shown, so name no patient.")
    ],
    granted: Annotated[bool, typer.Option("--granted", help="They may be written to.")] = False,
    revoked: Annotated[bool, typer.Option("--revoked", help="They want no more.")] = False,
    facility: Facility = "",
    by: By = "",
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Record what somebody has told you, with its evidence.

    It counts at once. A STOP is lifted by this, and by the person's own START, and by nothing else.
    """
    from chartpost.adapter.flow.answering import optout
    from chartpost.adapter.ledger import acts
    from chartpost.adapter.ledger.consents import GRANTED, REVOKED, Word

    if granted == revoked:
        raise typer.BadParameter("say one of --granted and --revoked")
    if not why.strip():
        raise typer.BadParameter("say what it rests on: a form, a call", param_hint="--why")
    with deciding(*where(context, config, data)) as flow:
        channel, to = _whose(flow, number)
        word = Word(GRANTED if granted else REVOKED, "staff", why.strip(), by or person())
        names = _facilities(flow, facility)
        with flow.store.write() as tx:
            added = optout.take(flow, tx, channel, to, word, facilities=names)
            acts.note(tx, word.by, f"consent {word.state}", f"consent:{added[0]}", why.strip())
    row = {"channel": channel, "state": word.state, "facilities": ", ".join(names), "by": word.by}
    if as_json:
        print_json([row])
    else:
        print_table(tuple(row), [row])


@consents.command("import")
def take_in(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: phone or email, state, date, evidence.")],
    facility: Facility = "",
    by: By = "",
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take over a table of consents, all of it or nothing.

    The same table again changes nothing. A person's own STOP is not lifted by a table.
    """
    from chartpost.adapter import consentfile
    from chartpost.adapter.flow.answering import optout
    from chartpost.adapter.ledger import acts
    from chartpost.adapter.ledger.consents import Word

    try:
        text = file.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"{file}: is no UTF-8 text; save it as CSV in UTF-8"]) from None
    with deciding(*where(context, config, data)) as flow:
        names, who = _facilities(flow, facility), by or person()
        region = flow.facility(names[0]).region
        today = flow.store.clock().astimezone(flow.facility(names[0]).zone).date()
        lines = consentfile.read(text, file.name, region, today)
        new = 0
        with flow.store.write() as tx:
            for line in lines:
                word = Word(line.state, "csv", line.evidence, who)
                new += bool(optout.take(flow, tx, line.channel, line.to, word, facilities=names))
            acts.note(tx, who, "consents import", f"consents:{file.name}", f"{new} of {len(lines)} lines were new")
    row = {"lines": len(lines), "new": new, "known": len(lines) - new, "facilities": ", ".join(names)}
    if as_json:
        print_json([row])
    else:
        print_table(tuple(row), [row])


def _whose(flow: Flow, number: str) -> tuple[str, str]:
    """Return channel and number or address. Raises BadParameter, which does not repeat it."""
    from chartpost.adapter.flow.deciding.decide import No
    from chartpost.adapter.flow.requests import wish

    facility = next(iter(flow.settings.facilities.values()))
    try:
        found: list[dict[str, Any]] = [dict(one) for one in wish.recipients(number, facility)]
    except No:
        said = f"is no phone number that can be called from {facility.region}, and no e-mail address"
        raise typer.BadParameter(f"{said}; write it as in +1 608 555 0142", param_hint="NUMBER") from None
    if len(found) != 1:
        raise typer.BadParameter("name one number or address", param_hint="NUMBER")
    return str(found[0]["channel"]), str(found[0]["to"])


def _facilities(flow: Flow, wanted: str) -> list[str]:
    known: Iterable[str] = flow.settings.facilities
    if wanted and wanted not in known:
        raise typer.BadParameter(
            f"there is no facility {wanted}; there are: {', '.join(known)}", param_hint="--facility"
        )
    return [wanted] if wanted else list(known)
