"""What kind of line each code means. A code is proposed only where it is a well-known one and the amounts agree.

What nobody could tell is left to a person: as a comment with its evidence, and `unknown: hold` until then. A wrong
guess here would ask people for money.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from decimal import Decimal

from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Code, Draft, Row

__all__ = ["kinds"]

#: As the shipped map has them (HL7 table 0017).
WELL_KNOWN = {"CG": "charge", "CD": "credit", "PY": "payment", "AJ": "adjustment", "CO": "copay"}
#: What other codes and words are likely to mean; never proposed, only told.
_LIKELY = {
    "charge": "CH C CHG CHRG CHARGE CHARGES D DB DR DEBIT DEB P POST NEW N 1 01 + S SERVICE",
    "credit": "CR CRD CRED CREDIT REV REVERSAL R RV -1 2 02 X - CX CXL CANCEL V VOID REFUND",
    "payment": "PAY PMT PYMT PAYMENT PM RCPT RECEIPT 3 03",
    "adjustment": "ADJ ADJUST ADJUSTMENT WO WRITEOFF DISC DISCOUNT A 4 04",
    "copay": "COP COPAY CPY CP PATRESP COPAYMENT",
}
_MEANINGS = {word: meaning for meaning, words in _LIKELY.items() for word in words.split()}
#: Codes that, beside CG, make it likely that the site counts in a way of its own.
_RIVALS = {word for word, meaning in _MEANINGS.items() if meaning == "charge"} - {"P", "N", "S", "NEW"}
_CODE = re.compile(r"[A-Za-z0-9+_-][A-Za-z0-9+_ -]{0,19}")
_MOST = 30  #: different codes; with more it is no type of transaction


@dataclass
class _Use:
    """How one code is used."""

    lines: int = 0
    negative: int = 0
    positive: int = 0
    zero: int = 0
    least: Decimal | None = None
    most: Decimal | None = None
    takes_back: str = ""  #: the code whose lines it takes back
    taken: int = 0  #: how many of its lines do
    text: str = ""  #: what stands beside the code

    def said(self, code: str) -> str:
        counted = f"{self.lines} {'line' if self.lines == 1 else 'lines'}"
        if self.least is None or self.most is None:
            return f"{counted}, without amounts"
        amounts = f"amounts {self.least} to {self.most}" if self.least != self.most else f"amount {self.most}"
        sign = (
            "always negative"
            if self.negative and not self.positive
            else "of both signs"
            if self.negative
            else "never negative"
        )
        said = f"{counted}, {amounts}, {sign}"
        return said + (f", {self.taken} of them take back lines of {self.takes_back}" if self.takes_back else "")


def kinds(evidence: Evidence, draft: Draft, amount: str) -> None:
    """Propose where the kind stands, and what its codes mean."""
    column = _where(evidence)
    if column is None:
        draft.saw("kind", "FT1-6", "standard", "FT1-6 (Transaction Type) is empty in every line")
        draft.ask(
            "FT1-6 is empty in every line: is each of them a charge, and how are credits and payments told apart?"
        )
        note = "FT1-6 is empty everywhere, and no other field says what kind a line is: every line is held"
        instead = ("{target: kind, path: FT1-6, transform: table kinds, default: CG}   # if every line is a charge",)
        draft.rows.append(Row("charge", "kind", ("FT1-6",), ("table kinds",), note, required=True, instead=instead))
        return
    uses = _uses(evidence, column, amount)
    for code in [code for code in uses if code.upper() not in _MEANINGS and evidence.people.knows(code)]:
        del uses[code]  # a name is no code, and is not shown
        draft.ask(f"{column.path} holds words of people in some lines: what belongs there?")
    draft.codes = [_code(code, use, uses) for code, use in uses.items()]
    wrong = [one for one in draft.codes if one.code in WELL_KNOWN and not one.sure]
    draft.table = "kinds_here" if wrong else "kinds"
    evident = f"{column.path} is filled in {column.of} lines with {len(uses)} different codes"
    if column.fill < 1:
        draft.ask(f"{column.path} is empty in {len(column.values) - column.filled} lines: what are they?")
    if column.path == "FT1-6" and not wrong:
        draft.saw("kind", "FT1-6", "standard", evident)
    else:
        usual = evidence.line("FT1-6")
        note = evident if column.path == "FT1-6" else f"{evident}; FT1-6 {_lacks(usual)}"
        if wrong:
            note += f"; a table of its own, because {_and(one.code for one in wrong)} cannot mean here what is usual"
        steps = (f"table {draft.table}",)
        draft.rows.append(Row("charge", "kind", (column.path,), steps, note, required=True))
        draft.saw("kind", column.path, "proposed", note)
    _questions(draft, uses, column)


def _lacks(usual: Column) -> str:
    return "is empty" if not usual.filled else f"holds no code of the kind in {usual.of} lines"


def _and(words: object) -> str:
    return " and ".join(words)  # type: ignore[arg-type]


def _where(evidence: Evidence) -> Column | None:
    """Return the column that says the kind: FT1-6, else the one whose values are known words for kinds."""
    usual = evidence.line("FT1-6")
    if usual.filled and _codes(usual):
        return usual
    best, most = None, 0.0
    for path in evidence.line_paths:
        column = evidence.line(path)
        if path == "FT1-1" or not column.filled or not _codes(column) or not evidence.tells(path):
            continue
        known = sum(count for code, count in column.counts.items() if _known(code, path))
        score = known / column.filled * column.fill + 0.2 * path.startswith("FT1-6") + 0.1 * (len(column.counts) > 1)
        if known >= 0.5 * column.filled and score > most:
            best, most = column, score
    return best


def _known(code: str, path: str) -> bool:
    """Say whether a code is a word for a kind; a bare letter or figure says nothing outside of FT1-6."""
    word = code.upper()
    return word in WELL_KNOWN or (word in _MEANINGS and (len(word) > 2 or path.startswith("FT1-6") or word == "CH"))


def _codes(column: Column) -> bool:
    """Say whether a column holds codes: short ones, and few."""
    counts = column.counts
    return len(counts) <= _MOST and all(_CODE.fullmatch(code) for code in counts)


def _uses(evidence: Evidence, column: Column, amount: str) -> dict[str, _Use]:
    """Return how each code is used, most used first."""
    amounts: list[Decimal | None] = [None] * len(column.values)
    if amount:
        amounts = evidence.line(amount).numbers
    beside = evidence.line("FT1-6.2").values if column.path == "FT1-6" else ()
    counts = evidence.line("FT1-11" if evidence.old else "FT1-10").numbers
    found: dict[str, _Use] = defaultdict(_Use)
    for at, (code, value) in enumerate(zip(column.values, amounts, strict=True)):
        if not code:
            continue
        use = found[code]
        use.lines += 1
        if beside and _word(beside[at]) in _MEANINGS:
            use.text = beside[at]
        if value is None:
            continue
        count = counts[at]
        signed = -abs(value) if value < 0 or (count is not None and count < 0) else value
        use.negative += signed < 0
        use.positive += signed > 0
        use.zero += signed == 0
        use.least = signed if use.least is None else min(use.least, signed)
        use.most = signed if use.most is None else max(use.most, signed)
    _reversals(evidence, column, amounts, found)
    return dict(sorted(found.items(), key=lambda item: -item[1].lines))


def _reversals(evidence: Evidence, column: Column, amounts: list[Decimal | None], uses: dict[str, _Use]) -> None:
    """Note which codes take back lines of which: the same account, the same service, the same amount, and later."""
    services = evidence.line("FT1-7").values
    owners = [case.message.text("PID", 18) or case.message.text("PV1", 19) or case.message.text("PID", 3)
              for case in evidence.owners]  # fmt: skip
    order = sorted(range(len(column.values)), key=lambda at: evidence.owners[at].message.text("MSH", 7)[:14])
    open_lines: dict[tuple[str, str, Decimal], list[str]] = defaultdict(list)
    pairs: Counter[tuple[str, str]] = Counter()
    for at in order:
        code, value = column.values[at], amounts[at]
        if not code or not value or not owners[at] or not services[at]:
            continue
        key = (owners[at], services[at], abs(value))
        other = next((earlier for earlier in open_lines[key] if earlier != code), None)
        if other is not None:
            open_lines[key].remove(other)
            pairs[code, other] += 1
        else:
            open_lines[key].append(code)
    for (code, other), count in pairs.most_common():
        if not uses[code].takes_back and count >= 0.3 * uses[code].lines and count > pairs[other, code]:
            uses[code].takes_back, uses[code].taken = other, count


def _word(text: str) -> str:
    return re.sub(r"[^A-Z]", "", text.upper())


def _code(code: str, use: _Use, uses: dict[str, _Use]) -> Code:
    """Judge one code."""
    said = use.said(code) + (f', called "{use.text}"' if use.text else "")
    meaning = WELL_KNOWN.get(code.upper(), "")
    rivals = sorted(other for other in uses if other.upper() in _RIVALS and other != code)
    against = ""
    if meaning and use.text and (other := _MEANINGS.get(_word(use.text))) and other != meaning:
        return Code(code, other, False, f"{said}; the standard would have it mean {meaning}")
    if meaning in ("charge", "copay"):
        if use.negative and not use.positive:
            against = f"a {meaning} is not always negative"
        elif use.takes_back:
            against = f"it takes back lines of {use.takes_back}, as a credit does"
        elif rivals and meaning == "charge":
            against = f"{_and(rivals)} may be the charges here"
    elif meaning == "credit":
        others = sum(other.lines for other in uses.values()) - use.lines
        if not others:
            against = "there are no charges that it could take back"
        elif any(other.takes_back == code for other in uses.values()):
            against = "its lines are taken back by others, as charges are"
    if meaning and not against:
        return Code(code, meaning, True, said)
    named = _MEANINGS.get(_word(use.text)) if use.text else None
    if named and not meaning:
        return Code(code, named, False, said)
    guess = (
        "credit" if use.takes_back or (meaning in ("charge", "copay") and against) else _MEANINGS.get(code.upper(), "")
    )
    if meaning == "copay" and against:
        guess = "ignore"
    if guess == "charge" and use.negative and not use.positive:
        guess = "credit"
    return Code(code, guess, False, said + (f"; {against}" if against else ""))


def _questions(draft: Draft, uses: dict[str, _Use], column: Column) -> None:
    where = column.path
    for one in draft.codes:
        if not one.sure:
            draft.ask(f"What does {where} = {one.code} mean? ({one.evidence})")
    if any(one.sure and one.meaning == "copay" for one in draft.codes):
        code = next(one.code for one in draft.codes if one.sure and one.meaning == "copay")
        draft.ask(f"Does {where} = {code} mean a co-payment that is owed, or one that was collected at the desk?")
        draft.share.append(f"share: copay   # if {code} is owed: only these lines are the patient's")
    for code, use in uses.items():
        if WELL_KNOWN.get(code.upper()) == "adjustment" and use.positive:
            draft.ask(f"Some amounts of {where} = {code} are positive: does such a line lower or raise what is owed?")
        if WELL_KNOWN.get(code.upper()) == "charge" and use.negative and use.positive:
            draft.ask(f"Some amounts of {where} = {code} are negative: do they take back an earlier charge?")
