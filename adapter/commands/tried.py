"""What `chartpost map try` shows of one message: for machines, and value by value for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from chartpost.adapter.commands.shared import print_table

if TYPE_CHECKING:
    from rich.console import Console

    from chartpost.adapter.trial import Outcome

STYLES = {"translated": "green", "held": "yellow", "unreadable": "red"}


def as_row(found: Outcome) -> dict[str, Any]:
    """Return one message as an object of JSON."""
    row = {name: getattr(found, name) for name in ("file", "type", "state", "reason", "cause", "fix", "account")}
    return row | {
        "targets": [dataclasses.asdict(step) for step in found.targets],
        "decided": list(found.notes),
        "entries": [{"kind": kind, "amount": str(amount)} for kind, amount in found.entries],
        "asked": str(found.asked or ""), "request": found.request, "told": found.told, "text": found.text,
        "not_told": found.not_told,
    }  # fmt: skip


def show(console: Console, found: Outcome, which: str) -> None:
    """Print one message for people."""
    from rich.markup import escape
    from rich.text import Text

    style = STYLES.get(found.state, "dim")
    console.print(
        f"[bold]{escape(found.file)}[/]{which}  {escape(found.type)}  [{style}]{found.state}[/]", soft_wrap=True
    )
    if found.targets:
        names = _names(found)
        rows = [
            {
                "target": step.target, "path": step.path or "(default)", "field": names(step.path), "raw": step.raw,
                "steps": " → ".join(step.steps), "value": step.value,
            }
            for step in found.targets
        ]  # fmt: skip
        print_table(("target", "path", "field", "raw", "steps", "value"), rows)
    for label, text in _said(found):
        console.print(Text(f"  {label:<9} ", "dim").append(text, "" if label != "fix" else "yellow"), soft_wrap=True)
    console.print()


def _names(found: Outcome) -> Callable[[str], str]:
    """Return what the standard calls a field."""
    from chartpost.mappings.hl7.structure import name_of
    from chartpost.mappings.paths import compile_path

    def name(path: str) -> str:
        try:
            return name_of(compile_path(path), "2.5.1") or "" if found.type != "Invoice" else ""
        except ValueError:
            return ""

    return name


def _said(found: Outcome) -> Iterator[tuple[str, str]]:
    yield "so", found.reason or found.state
    for note in found.notes:
        yield "decided", note
    if found.fix:
        yield "fix", found.fix
    for kind, amount in found.entries:
        yield "entry", f"{kind} {amount}"
    if found.request:
        yield "request", f"{found.request}, asks for {found.asked}" if found.asked else found.request
    if found.told:
        yield "to", found.told
        yield "reads", found.text
    if found.not_told:
        yield "nobody", found.not_told
