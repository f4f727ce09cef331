"""`chartpost templates`: whether a facility's words may be sent, how long they are, and how they look filled in."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands.shared import AsJson, Config, print_json, print_table
from chartpost.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from chartpost.adapter.facility import Facility
    from chartpost.adapter.flow.wording.template import Catalogue, Template

templates = typer.Typer(rich_markup_mode=None, help="Check and preview what payers are written.", no_args_is_help=True)

Name = Annotated[str, typer.Option("--facility", metavar="NAME", help="A facility of the configuration.")]
#: The name of a file says its purpose, channel and language.
_COLUMNS = ("facility", "file", "encoding", "length", "segments")


@templates.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="A folder of templates; without it those in force.")
    ] = None,
    facility: Name = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Look whether words may be sent, and how long each SMS is.

    Nobody is written to. Ends with 1 where something may not be sent.
    """
    from chartpost.adapter.flow.wording import proofread

    rows: list[dict[str, Any]] = []
    problems: dict[str, None] = {}
    for name, part, base in _facilities(config, facility):
        words, wrong = _words(folder, part)
        problems |= dict.fromkeys(wrong)
        for one in _used(words, part):
            found = [f"{one.where}:{line}: {text}" for line, text in proofread.proofread(one, part, base)]
            problems |= dict.fromkeys(found)
            size = None if found else proofread.size(one, part, base)
            row: dict[str, Any] = {"facility": name, "purpose": one.purpose, "channel": one.channel}
            row |= {"language": one.language, "file": one.where}
            row |= size._asdict() if size else {"encoding": None, "length": None, "segments": None}
            rows.append(row | {"problems": found})
    if as_json:
        print_json(rows)
    else:
        print_table(_COLUMNS, rows, "template")
        for problem in problems:
            print(problem, file=sys.stderr)
    raise typer.Exit(int(bool(problems)))


@templates.command()
def show(
    facility: Name = "",
    purpose: Annotated[
        str, typer.Option("--purpose", metavar="WORD", help="request, reminder, receipt or code.")
    ] = "request",
    language: Annotated[
        str, typer.Option("--language", metavar="CODE", help="en or es; without it the facility's first.")
    ] = "",
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show the SMS and the e-mail as a payer would get them.

    Link, code and amount are invented.
    """
    from chartpost.adapter.flow.wording import compose as wording
    from chartpost.adapter.flow.wording import proofread
    from chartpost.adapter.flow.wording.template import LANGUAGES, PURPOSES

    name, part, base = next(_facilities(config, facility))
    spoken = language or part.languages[0]
    for given, known, option in ((purpose, PURPOSES, "--purpose"), (spoken, LANGUAGES, "--language")):
        if given not in known:
            raise typer.BadParameter(f"{given} is none; there are {', '.join(known)}", param_hint=option)
    words, wrong = _words(None, part)
    if wrong:
        raise ConfigurationError(wrong)
    values = proofread.example(base)
    text = wording.sms(part, words[purpose, "sms", spoken], values)
    size = proofread.size(words[purpose, "sms", spoken], part, base)
    assert size is not None  # an SMS has one
    letter = wording.letter(part, words[purpose, "email", spoken], values)
    sender = f"{part.mail.sender} <{part.mail.address}>" if part.mail else None
    if as_json:
        row: dict[str, Any] = {"facility": name, "purpose": purpose, "language": spoken}
        sms = {"channel": "sms", "text": text, **size._asdict()}
        email = {"channel": "email", "from": sender, "subject": letter.subject, "text": letter.text}
        print_json([row | sms, row | email | {"html": letter.html}])
        return
    print(f"SMS, {size.length} characters of {size.encoding}, {size.segments} segment{'s' * (size.segments != 1)}:\n")
    print(text)
    print(f"\nE-mail, from {sender or 'nobody: the facility has no mail'}, subject {letter.subject}:\n")
    print(letter.text, end="")


def _facilities(config: Path | None, wanted: str) -> Iterator[tuple[str, Facility, str]]:
    """Yield the facilities to look at: name, configuration, and the address that links begin with."""
    from chartpost.adapter import settings
    from chartpost.adapter.flow.wording.proofread import BASE

    loaded = settings.load(config, os.environ, maps=False)
    if wanted and wanted not in loaded.facilities:
        known = ", ".join(loaded.facilities)
        raise ConfigurationError([f"there is no facility called {wanted}; facilities: {known}"])
    for name, part in loaded.facilities.items():
        if wanted in ("", name):
            yield name, part, part.pay_url or loaded.public_url or BASE


def _words(folder: Path | None, part: Facility) -> tuple[Catalogue, list[str]]:
    from chartpost.adapter.flow.wording import template

    chosen = folder or (Path(part.templates) if part.templates else None)
    return template.look(chosen) if chosen is not None else (template.shipped(), [])


def _used(words: Catalogue, part: Facility) -> Iterator[Template]:
    for one in words.values():
        if one.language in part.languages:
            yield one
