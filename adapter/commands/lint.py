"""`chartpost lint`: what the standard says of messages in files. No ledger, no configuration."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands.shared import AsJson, print_json, screen

if TYPE_CHECKING:
    from rich.console import Console

    from chartpost.mappings.finding import Finding

_FHIR = ("R4", "R4B", "R5")
_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}
#: Findings of one message that are printed for people; --json has all.
SHOWN = 50


def lint(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files with HL7 v2 messages or FHIR resources.")],
    version: Annotated[
        str,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Judge as this version: 2.1 to 2.9 instead of MSH-12; R4, R4B or R5 for FHIR (without it R4).",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Hold messages in files against the standard.

    What is missing, too long, of the wrong type, or not in its table. A file holds one HL7 v2 message, several, a
    batch, or one FHIR resource as JSON. Values are never shown. Ends with 0 when there is nothing but notes, with 1
    when there are errors or warnings, with 2 when a file, or a message in it, cannot be read.
    """
    from chartpost.mappings.finding import unreadable
    from chartpost.mappings.hl7.structure import nearest

    if version and version not in _FHIR and not nearest(version):
        raise typer.BadParameter(f"{version} is neither a version of HL7 v2 nor R4, R4B or R5", param_hint="--version")
    rows: list[dict[str, Any]] = []
    outcome = 0
    for file in files:
        try:
            judged = list(_messages(file.read_bytes(), version))
        except (OSError, ValueError) as error:
            outcome = 2
            why = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            print(f"{file}: {why}", file=sys.stderr)
            rows.append({"file": str(file), "message": None} | dataclasses.asdict(unreadable(why)))
            continue
        for number, findings in enumerate(judged, 1):
            if any(found.severity != "note" for found in findings):
                outcome = max(outcome, 2 if any(found.rule == "unreadable" for found in findings) else 1)
            rows += [{"file": str(file), "message": number} | dataclasses.asdict(found) for found in findings]
            if not as_json:
                _print(screen(), f"{file}" + (f" message {number}" if len(judged) > 1 else ""), findings)
    if as_json:
        print_json(rows)
    raise typer.Exit(outcome)


def _messages(raw: bytes, version: str) -> Iterator[list[Finding]]:
    """Judge each message of a file. Raises Er7Error or FhirError, which are ValueErrors, when it is none."""
    from chartpost.mappings import er7
    from chartpost.mappings.fhir.lint import lint as lint_fhir
    from chartpost.mappings.finding import finding, unreadable
    from chartpost.mappings.hl7.batch import miscounts
    from chartpost.mappings.hl7.lint import lint as lint_hl7

    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        yield lint_fhir(raw, version if version in _FHIR else "R4")
        return
    wrong = [finding("warning", "batch", "count", text, "see whether messages are lost") for text in miscounts(raw)]
    for body in (bodies := er7.split_batch(raw)):
        try:
            found = list(lint_hl7(body, "" if version in _FHIR else version))
        except er7.Er7Error as error:
            if len(bodies) == 1:
                raise
            found = [unreadable(f"cannot be read: {error}")]
        yield wrong + found
        wrong = []


def _print(console: Console, title: str, findings: list[Finding]) -> None:
    from rich.markup import escape

    from chartpost.mappings.finding import counted

    console.print(
        f"[bold]{escape(title)}[/]  [dim]{counted(Counter(one.severity for one in findings))}[/]", soft_wrap=True
    )
    width = max((len(one.place) for one in findings[:SHOWN]), default=0)
    for one in findings[:SHOWN]:
        style = _STYLES[one.severity]
        section = f"  ({one.section})" if one.section else ""
        line = f"{one.place:<{width}}  {one.rule}: {one.text}{section}"
        console.print(f"  [{style}]{one.severity:<7}[/] {escape(line)}", soft_wrap=True)
        console.print(f"  {'':<{8 + width}}  [dim]→ {escape(one.fix)}[/]", soft_wrap=True)
    if len(findings) > SHOWN:
        console.print(f"  [dim]and {len(findings) - SHOWN} more; --json shows all[/]")
