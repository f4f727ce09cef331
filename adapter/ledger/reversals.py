"""Which lines of an account took which back: worked out from its entries, oldest first. Pure.

A credit takes back a line of its amount and code or Transaction ID; a payment pays the line of exactly its amount; an
entry of kind `void` takes back all that its Transaction ID (FT1-2) had counted. Nothing of this is stored: `pair` finds
it again from the entries, and whoever judges new lines marks them by the same functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Kind of the entries that take a whole transaction back.
VOID = "void"
#: Kinds of lines that are money paid elsewhere: they pay a charge, and do not make it undone.
MONEY = frozenset({"payment", "patient_payment"})
#: Kinds that say nothing of single lines.
_APART = frozenset({VOID, "card", "elsewhere", "balance"})
#: What stands as `item` of an entry of 0 that tells of money counted already, before its minor units (elsewhere.py).
TOLD = "elsewhere:"


@dataclass(slots=True, eq=False)
class Line:
    """What the rules need to know of one entry. Amounts are minor units."""

    amount: int
    kind: str
    reference: str
    likeness: str
    item: str
    message_id: int = 0  #: which brought it; 0: money through us
    taken_by: Line | None = field(default=None, repr=False)  #: a later credit
    paid_by: Line | None = field(default=None, repr=False)  #: a later payment of exactly this amount
    takes: Line | None = field(default=None, repr=False)  #: the line that this one takes back, or pays
    voided_by: int = 0  #: the message that took its transaction back

    @property
    def reversed(self) -> bool:
        """Say whether nothing of it counts any more."""
        return self.taken_by is not None or self.voided_by > 0

    @property
    def worth(self) -> int:
        """What taking it back takes back: its amount, or that of the entry of which it tells."""
        return -int(self.item.removeprefix(TOLD)) if self.item.startswith(TOLD) else self.amount


def pair(lines: Sequence[Line]) -> None:
    """Mark anew which lines were taken back or paid, and by which."""
    for line in lines:
        line.taken_by = line.paid_by = line.takes = None
        line.voided_by = 0
    for position, line in enumerate(lines):
        before = lines[:position]
        if line.kind == VOID:
            void(transaction(before, line.reference, line.message_id), line.message_id)
        elif line.amount < 0 and line.kind not in _APART:
            match(line, before)


def match(line: Line, before: Sequence[Line]) -> bool:
    """Let a negative line take back, or pay, the first earlier line that it can; say whether there is one."""
    for earlier in before:
        if reverses(line, earlier):
            line.takes = earlier
            if line.kind in MONEY:
                earlier.paid_by = line
            else:
                earlier.taken_by = line
            return True
    return False


def reverses(line: Line, earlier: Line) -> bool:
    """Say whether a negative line takes an earlier positive one back, or pays it.

    The same amount, and evidence that it is the same thing: Transaction ID (FT1-2) or code (FT1-7). For a payment made
    elsewhere the exact amount is the evidence, because desks do not know our lines.
    """
    if earlier.reversed or earlier.kind == VOID or earlier.amount != -line.amount:
        return False
    if line.kind in MONEY:
        return earlier.paid_by is None
    return bool(line.reference and line.reference == earlier.reference) or bool(line.item and line.item == earlier.item)


def transaction(lines: Sequence[Line], reference: str, message_id: int, *, within: bool = True) -> list[Line]:
    """Return the lines of a Transaction ID that count still and that message `message_id` may take back.

    Those of earlier messages. Only where there are none, and `within`, the ones that it brought itself, so that a
    reversal and its correction in one message may stand in either order; and where there never were any, those of a
    later message, which a reversal that came too early has waited for. Payments are taken back only where the
    transaction is a payment: some desks write the number of the charge.
    """
    ever = [line for line in lines if line.reference == reference and line.kind != VOID]
    same = [line for line in ever if not line.voided_by]
    found = [line for line in same if line.message_id < message_id]
    if not found and within:
        found = [line for line in same if line.message_id == message_id]
        if not found and not any(line.message_id <= message_id for line in ever):
            found = same
    return [line for line in found if line.kind not in MONEY] or found


def left(lines: Sequence[Line]) -> int:
    """Return what still counts of a transaction's lines, in minor units: what a void has to take back."""
    total = 0
    for line in lines:
        by, takes = line.taken_by, line.takes
        if by is not None and by not in lines:
            continue  # a credit of another number took it back already
        if takes is not None and takes not in lines and takes.voided_by and line.kind not in MONEY:
            continue  # what this credit took back is gone by itself
        total += line.worth
    return total


def void(lines: Sequence[Line], message_id: int) -> None:
    """Mark a transaction's lines as taken back by a message; what a voided credit had taken back counts again."""
    for line in lines:
        line.voided_by = message_id
        if line.takes is not None:
            line.takes.taken_by = None if line.takes.taken_by is line else line.takes.taken_by
            line.takes.paid_by = None if line.takes.paid_by is line else line.takes.paid_by
