"""What a line that corrects an earlier one does to it: kinds `void` and `replacement`, and `corrections` of the map.

A correction names what it corrects by its Transaction ID (FT1-2). It takes back exactly what of that still counts, the
patient's part, with an entry of its own; nothing is ever rewritten. Pure: lines in, a meaning out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from chartpost.adapter.ledger.reversals import Line, left, transaction
from chartpost.mappings.mapspec import SameReference
from chartpost.mappings.model import Charge, Kind, Reading

#: Kinds that raise, of which a sender may send the same number again.
_RAISES = frozenset({Kind.CHARGE, Kind.COPAY})
_NUMBER = "map `reference` to the field that holds the sender's own number of the line"

Why = tuple[str, str, str]  #: of a hold: cause, text, fix


@dataclass(frozen=True, slots=True)
class Correction:
    """What one line means for what was counted before it."""

    kind: Kind  #: as which the line itself is judged; VOID: it only takes back
    takes: Sequence[Line] = field(default=())  #: all of it is taken back
    problem: Why | None = None
    note: str = ""  #: not "": nothing is to be done, for this reason

    @property
    def amount(self) -> int:
        """What taking it back adds to the balance, in minor units: negative where a charge is taken back."""
        return -left(self.takes)

    def says_again(self, line: Line, amount: int | None) -> bool:
        """Say whether `line`, of which `amount` would count, is what it would replace."""
        return [one.likeness for one in self.takes] == [line.likeness] and left(self.takes) == (amount or 0)


def find(
    charge: Charge, line: Line, reading: Reading, rule: SameReference, lines: Sequence[Line], *, held: bool
) -> Correction:
    """Say what a line does to the counted `lines` of its account.

    `line` is the line itself, as the ledger would know it; `rule` is the map's `corrections.same_reference`; `held`: an
    earlier message of the account waits for a person.
    """
    kind = charge.kind
    usable = bool(line.reference) and charge.reference != reading.account
    if kind in _RAISES and charge.amount.minor >= 0 and rule != "add" and line.reference:
        before = transaction(lines, line.reference, line.message_id, within=False)
        gone = any(0 < one.voided_by < line.message_id for one in lines if one.reference == line.reference)
        if rule == "void" and gone and not before:
            text = "its Transaction ID (FT1-2) was counted and taken back before"
            return Correction(kind, problem=("same_reference", text, "ask the sender what a third line of it means"))
        if not before and not _newer(lines, line):
            return Correction(kind)
        if rule == "hold":
            text = "its Transaction ID (FT1-2) was counted before (corrections: hold)"
            return Correction(kind, problem=("same_reference", text, "ask the sender whether it corrects the earlier"))
        kind = Kind.VOID if rule == "void" else Kind.REPLACEMENT
    if kind not in (Kind.VOID, Kind.REPLACEMENT):
        return Correction(kind)
    if not usable:
        why = "is the account number" if line.reference else "is empty"
        return Correction(kind, problem=("no_reference", f"a {kind} whose Transaction ID (FT1-2) {why}", _NUMBER))
    if held:
        text = f"an earlier message of this account waits, and this {kind} may concern what is in it"
        return Correction(kind, problem=("behind_held", text, "settle the earlier hold first"))
    if kind is Kind.VOID:
        return _void(line, lines)
    return _replacement(charge, line, lines)


def _void(line: Line, lines: Sequence[Line]) -> Correction:
    takes = transaction(lines, line.reference, line.message_id)
    gone = any(one.voided_by for one in lines if one.reference == line.reference)
    return Correction(Kind.VOID, takes, note="" if takes or not gone else "taken back already")


def _replacement(charge: Charge, line: Line, lines: Sequence[Line]) -> Correction:
    if newer := _newer(lines, line):
        return Correction(charge.kind, note=f"M{newer} has stated this transaction since")
    takes = transaction(lines, line.reference, line.message_id, within=False)
    kind = charge.kind
    if kind is Kind.REPLACEMENT:  # of a co-payment it is one; all else it replaces is a charge
        owed = [one for one in takes if one.amount > 0]
        kind = Kind.COPAY if owed and all(one.kind == Kind.COPAY for one in owed) else Kind.CHARGE
    return Correction(kind, takes)


def _newer(lines: Sequence[Line], line: Line) -> int:
    """Return the newest later message that counted this transaction: it had waited less long than this one."""
    later = (one.message_id for one in lines if one.reference == line.reference and one.message_id > line.message_id)
    return max(later, default=0)
