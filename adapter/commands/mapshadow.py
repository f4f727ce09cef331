"""`chartpost map shadow`: what has come of a source, a map or a destination that is only tried."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from chartpost.adapter.commands.shared import DATA, Config, Data, print_table, reading

#: As for `chartpost status`.
OneJson = Annotated[bool, typer.Option("--json", help="Print a JSON object, one line.")]


def shadow(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A source or a destination of the configuration.")],
    data: Data = DATA,
    config: Config = None,
    as_json: OneJson = False,
) -> None:
    """Show what came of a source or a destination that is only tried (`shadow` in the configuration).

    Of a source with another map: which messages that one reads differently, by target. Of a source alone: what it
    would have counted, and what would have been asked. Of a destination: what it was not sent, and what of that a
    person has typed into the chart. Messages are named, and nothing of a person.
    """
    from chartpost.adapter import settings, shadows

    loaded = settings.load(config, os.environ, maps=False)
    uses = [noun for noun, part in (("source", loaded.sources), ("destination", loaded.destinations)) if name in part]
    if not uses:
        known = ", ".join([*loaded.sources, *loaded.destinations])
        raise typer.BadParameter(f"there is no source or destination {name}; there are {known}", param_hint="NAME")
    tried = [noun for noun, one, _ in shadows.configured(loaded) if one == name]
    report = {"source": shadows.of_source, "destination": shadows.of_destination}
    with reading(config, data) as connection:
        found = [report[noun](connection, name) for noun in tried or uses[:1]]
    for one in found:
        if as_json:
            print(json.dumps(one, ensure_ascii=False))
        elif "source" in one:
            _show_source(one)
        else:
            _show_destination(one)


def _show_source(found: dict[str, Any]) -> None:
    print(f"source {found['source']}, tried since {found['since'] or 'the next start of serve'}")
    if found["targets"]:
        rows = [row | {"examples": " ".join(row["examples"])} for row in found["targets"]]
        print_table(("target", "messages", "examples"), rows)
    if found["maps"]:
        print(f"{found['differ']} of {found['messages']} messages come out differently by {', '.join(found['maps'])}")
        return
    for line in _would(found):
        print(line)


def _would(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['messages']} messages"
    for what, count in found["would"].items():
        yield f"  {count} would be {what}"
    yield f"{found['requests']} requests would have been opened"
    for how, count in found["told"].items():
        yield f"  {count} by {how}" if how in ("sms", "email") else f"  {count} told to nobody: {how}"
    owed = ", ".join(f"{amount} {currency}" for currency, amount in found["asked"].items())
    yield f"asked for in all: {owed or 'nothing'}"


def _show_destination(found: dict[str, Any]) -> None:
    print(f"destination {found['destination']}, tried since {found['since'] or 'the next start of serve'}")
    if found["list"]:
        print_table(("posting", "state", "amount", "currency", "at", "typed"), found["list"])
    missing = found["postings"] - found["typed"]
    print(
        f"{found['postings']} postings were not sent: {found['typed']} typed by a person, {missing} not seen in the "
        f"chart; {found['refused']} of them could not be written"
    )
