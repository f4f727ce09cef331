"""`chartpost map profile` and `chartpost map new`: what a folder of messages holds, and a first map for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands.shared import AsJson, print_json, print_table
from chartpost.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from chartpost.mappings.profile import Place
    from chartpost.mappings.propose import Draft
    from chartpost.mappings.propose.trial import Tried
    from chartpost.mappings.specimens import Specimens, Trouble

Folder = Annotated[
    list[Path], typer.Argument(metavar="DIR", help="A folder with messages, or files of them.", exists=True)
]
#: Seconds of silence, after which progress is told.
_PATIENCE = 2.0
#: Messages whose comparison may take longer than that.
_MANY = 1000
#: Problems of files that are printed for people; --json has all.
_SHOWN = 20


def profile(
    folder: Folder,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show examples of values, which may be a person's.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which fields are filled in a folder of messages, how often, and with what kind of values.

    HL7 v2 of any version, in batches too, and FHIR resources as JSON. No value of a person is shown: A-99999 stands for
    a letter and five digits. Only codes of which there are few are shown as they are. Ends with 1 when a file could not
    be read.
    """
    from chartpost.mappings import profile as profiles

    found = _collected(folder)
    made = profiles.make(found, reveal=reveal, progress=_teller("messages counted"))
    if as_json:
        head = {
            "files": made.files,
            "messages": made.messages,
            "types": dict(made.types),
            "versions": dict(made.versions),
        }
        troubles = [{"file": one.file, "text": one.text} for one in made.troubles]
        print_json([head | {"troubles": troubles}, *(place.row() for place in made.places)])
    else:
        if made.places:
            columns = ("path", "field", "filled", "in", "kind", "different", "looks like")
            print_table([*columns, "examples"] if reveal else columns, [_place_row(place) for place in made.places])
        types = ", ".join(f"{name} {count}" for name, count in made.types.most_common())
        versions = ", ".join(f"{name} {count}" for name, count in made.versions.most_common())
        print(f"{made.messages} messages in {made.files} files: {types or 'nothing that could be read'}")
        if versions:
            print(f"versions of HL7 v2: {versions}")
        _tell_troubles(made.troubles)
    raise typer.Exit(1 if made.troubles else 0)


def _place_row(place: Place) -> dict[str, Any]:
    looks = ", ".join(f"{code} ({count})" for code, count in place.codes.items())
    return {
        "path": place.path, "field": place.name, "filled": f"{place.filled} of {place.of}",
        "in": f"{place.messages} messages", "kind": place.kind, "different": str(place.distinct),
        "looks like": looks or "  ".join(text for text, _ in place.shapes.most_common(3)),
        "examples": "  ".join(place.examples),
    }  # fmt: skip


def new(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write the map, as in site.yaml.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217, where a message does not say.")] = "USD",
    region: Annotated[str, typer.Option("--region", help="Country code: how phone numbers are read.")] = "US",
    timezone: Annotated[str, typer.Option("--timezone", help="In which the clinic has its days.")] = "UTC",
    as_json: AsJson = False,
) -> None:
    """Propose a map for a folder of messages, and say why, and what it could not tell.

    The map extends a shipped one and holds only what differs. Then it is tried on the same messages. Nothing is guessed
    that would ask people for money: what a code means is left to you where the amounts do not say it. Without --out the
    map is printed. Ends with 1 when a file could not be read.
    """
    from chartpost.mappings import propose
    from chartpost.mappings.mapfile import parse
    from chartpost.mappings.propose import trial, written

    _check_terms(currency, region, timezone)
    if out is not None and out.exists() and not force:
        raise ConfigurationError(
            [f"{out}: is there already, and is not overwritten; name another with --out, or add --force"]
        )
    found = _collected(folder)
    if not found.messages and not found.invoices:
        why = [f"{one.file}: {one.text}" for one in found.troubles[:_SHOWN]]
        raise ConfigurationError(
            [f"{', '.join(str(one) for one in folder)}: no message in it that could be read", *why]
        )
    if len(found.items) > _MANY:
        print(f"{len(found.items)} messages are compared …", file=sys.stderr)
    draft = propose.draft(found, region)
    count = len(found.invoices) if draft.dialect == "fhir" else len(found.messages)
    text = written.text(draft, f"{count} {'Invoices' if draft.dialect == 'fhir' else 'messages'}")
    safe = [one.code for one in draft.codes]
    map = parse(text, str(out or "site.yaml"))
    tried = trial.try_on(found, map, currency=currency, region=region, timezone=timezone, safe=safe)
    if out is not None:
        try:
            out.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigurationError([f"{out}: cannot be written: {error.strerror}"]) from None
    if as_json:
        print_json(_rows(draft, tried, found, text))
    else:
        _print(draft, tried, found, text, out)
    raise typer.Exit(1 if found.troubles else 0)


def _check_terms(currency: str, region: str, timezone: str) -> None:
    from zoneinfo import ZoneInfo

    from phonenumbers import SUPPORTED_REGIONS

    from chartpost.mappings.transforms import is_currency

    if not is_currency(currency):
        raise typer.BadParameter("is no code of ISO 4217, such as USD", param_hint="--currency")
    if region not in SUPPORTED_REGIONS:
        raise typer.BadParameter("is no code of a country, such as US", param_hint="--region")
    try:
        ZoneInfo(timezone)
    except (ValueError, OSError):
        raise typer.BadParameter("is no time zone, such as America/Chicago", param_hint="--timezone") from None


def _rows(draft: Draft, tried: Tried, found: Specimens, text: str) -> Iterator[dict[str, Any]]:
    yield {"what": "map", "extends": draft.extends, "text": text}
    for one in draft.candidates:
        yield {
            "what": "candidate",
            "target": one.target,
            "path": one.path,
            "choice": one.choice,
            "evidence": one.evidence,
        }
    for code in draft.codes:
        meaning = {"meaning": code.meaning, "proposed": code.sure, "evidence": code.evidence}
        yield {"what": "code", "table": draft.table, "code": code.code} | meaning
    yield from ({"what": "question", "text": question} for question in draft.questions)
    yield from ({"what": "share", "text": one} for one in draft.share)
    yield {
        "what": "trial", "read": tried.read, "held": tried.held, "other": tried.other, "lines": tried.lines,
        "with_account": tried.with_account, "reached": tried.reached, "reasons": dict(tried.reasons.most_common()),
    }  # fmt: skip
    yield from ({"what": "trouble", "file": one.file, "text": one.text} for one in found.troubles)


def _print(draft: Draft, tried: Tried, found: Specimens, text: str, out: Path | None) -> None:
    rows = [
        {"target": one.target, "path": one.path, "choice": one.choice, "text": one.evidence} for one in draft.candidates
    ]
    if rows:
        print_table(("target", "path", "choice", "text"), rows)
    if out is None:
        print(f"\n{text}")
    if draft.codes:
        print(f"\nCodes, in table {draft.table}:")
        for code in draft.codes:
            said = (
                code.meaning if code.sure else f"for you to decide{f'; perhaps {code.meaning}' if code.meaning else ''}"
            )
            print(f"  {code.code}: {said} ({code.evidence})")
    if draft.questions:
        print("\nTo be asked of the sending side:")
        for question in draft.questions:
            print(f"  ? {question}")
    _print_trial(tried, draft)
    _tell_troubles(found.troubles)
    if out is not None:
        print(f"\n{out} is written. Read it, decide what is left, then: chartpost map try {out} DIR --share RULE")


def _print_trial(tried: Tried, draft: Draft) -> None:
    print(f"\nTried on these messages: {tried.read} read ({tried.lines} lines), {tried.held} held", end="")
    print(f", {tried.other} of other types" if tried.other else "")
    for reason, count in tried.reasons.most_common(_SHOWN):
        print(f"  ✗ {count} × {reason}")
    if tried.with_account < tried.read:
        print(f"  ! {tried.read - tried.with_account} have no account number, and would be held")
    if tried.reached < tried.read:
        print(f"  ! {tried.read - tried.reached} have no number and no address, so nobody could be written to")


# ------------------------------------------------------------------------------------------------------- the folder


def _collected(folder: list[Path]) -> Specimens:
    from chartpost.adapter.trial import files_of
    from chartpost.mappings.specimens import Specimens, Trouble, take

    found = Specimens()
    files = files_of(folder)
    tell = _teller("files read")
    for number, file in enumerate(files, 1):
        try:
            raw = file.read_bytes()
        except OSError as error:
            found.files += 1
            found.troubles.append(Trouble(str(file), error.strerror or type(error).__name__))
        else:
            take(found, str(file), raw)
        tell(number, len(files))
    return found


def _teller(what: str) -> Callable[[int, int], None]:
    """Return what tells progress on standard error, once it takes longer than people wait."""
    last = time.monotonic()

    def tell(done: int, all: int) -> None:
        nonlocal last
        if done < all and time.monotonic() - last > _PATIENCE:
            last = time.monotonic()
            print(f"{done} of {all} {what} …", file=sys.stderr)

    return tell


def _tell_troubles(troubles: list[Trouble]) -> None:
    for one in troubles[:_SHOWN]:
        print(f"✗ {one.file}: {one.text}")
    if len(troubles) > _SHOWN:
        print(f"✗ and {len(troubles) - _SHOWN} more; --json tells all")
