"""Where the money stands: amount, unit price, quantity, what insurance pays, the balance. And how it is written.

A place counts for how often it holds an amount, for being where the standard has it, and for what it adds up to with
others: amount = quantity × price, whole = part + part. Where two readings are possible the smaller amount is proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import combinations

from chartpost.mappings.hl7.structure import name_of, type_of
from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row
from chartpost.mappings.transforms import is_currency
from chartpost.mappings.valuekinds import Written, first_date, written

__all__ = ["amounts", "balance", "money_columns"]

#: Datatypes in which the standard lets an amount or a number stand.
_NUMERIC = frozenset(["CP", "MO", "NM", "CM", "varies", None])
_NEEDED = 0.5  #: of the lines, for a place to be taken for the amount
_AGREES = 0.9  #: of the lines in which both have a number


def amounts(evidence: Evidence, draft: Draft) -> str:
    """Propose rows for amount, unit_price, quantity and insurance; return the path of the amount, "" without any."""
    standard, counted = ("FT1-10", "FT1-11") if evidence.old else ("FT1-11", "FT1-10")
    columns = money_columns(evidence)
    scored = sorted(((_score(evidence, column, standard), column) for column in columns), key=lambda one: -one[0])
    usual = evidence.line(standard)
    best = scored[0][1] if scored and scored[0][0] > 0 else None
    rest = [column for _, column in scored]
    if best is None:
        draft.saw("amount", standard, "standard", f"{standard} is an amount in {usual.of} lines, and nothing else is")
        draft.ask("Where does the price of a line stand? No field holds an amount: are the lines priced elsewhere?")
        return ""
    good = _fits(usual)
    price = _price(evidence, best, rest, standard)
    if good and best.path != standard and not _filler(usual) and _swapped(evidence, usual, counted) is None:
        best = usual
    if price and not good:
        _priced(evidence, draft, best, standard, counted)
        return best.path
    if best.path == standard:
        part = _part(evidence, usual, rest, draft)
        if part is not None:
            _amount_row(evidence, draft, part, standard)
            _quantity(evidence, draft, part, rest, counted)
            return part.path
    _amount_row(evidence, draft, best, standard)
    _quantity(evidence, draft, best, rest, counted)
    _insurance(evidence, draft, best, rest)
    for score, column in scored[:6]:
        if score > 4 and column.path != best.path and not any(one.path == column.path for one in draft.candidates):
            draft.saw("amount", column.path, "alternative", f"{_called(column.path)} is an amount in {column.of} lines")
    return best.path


def money_columns(evidence: Evidence) -> list[Column]:
    """Return the columns of lines that could be money: numbers that are no dates, and not part of a code."""
    found = []
    for path in evidence.line_paths:
        column = evidence.line(path)
        if path.count(".") > 1 or column.numeric < _AGREES or not any(column.numbers) or not evidence.tells(path):
            continue
        if sum(bool(first_date(value)) for value in column.given) > 0.5 * column.filled:
            continue
        if any(abs(number) >= 10**8 for number in column.numbers if number is not None):
            continue
        found.append(column)
    return found


def _fits(column: Column) -> bool:
    """Say whether the standard's own place holds amounts."""
    return column.filled > 0 and column.numeric >= _AGREES and column.fill >= _NEEDED


def _filler(column: Column) -> bool:
    return not any(column.numbers)


def _score(evidence: Evidence, column: Column, standard: str) -> float:
    """Return how much speaks for a column as the amount."""
    path, given = column.path, column.given
    decimals = sum("." in value or "," in value for value in given) / len(given)
    whole = all(abs(number) <= 20 for number in column.numbers if number is not None)
    score = 10 * column.fill * column.numeric + 4 * decimals
    score += 6 * (path == standard) - 8 * (whole and not decimals) - 8 * _filler(column)
    score += 3 * any(is_currency(value) for value in (*_parts(evidence, path, ".1.2"), *_parts(evidence, path, ".2")))
    if path.startswith("FT1") and type_of(path, "2.5.1") not in _NUMERIC and path != standard:
        score -= 5
    if path in ("FT1-12", "FT1-22"):
        score -= 1
    if path == "FT1-15":
        score -= 7  # what insurance pays is no price
    if "." not in path and any(len(value) > 1 and not is_currency(value) for value in _parts(evidence, path, ".2")):
        score -= 9  # a code with its text
    if "." in path and any(value and not is_currency(value) for value in evidence.line(path.partition(".")[0]).given):
        score -= 2  # a component, whose first one says something else
    if not decimals and len(column.counts) == column.filled and column.filled > 3 and _consecutive(column):
        score -= 8  # a serial number
    if not decimals and all(len(value) > 1 and value.startswith("0") for value in given) and not path.startswith("Z"):
        score -= 3
    if _products(evidence, column):
        score += 4
    return score


def _parts(evidence: Evidence, path: str, part: str) -> Sequence[str]:
    return evidence.line(path + part).given if "." not in path else ()


def _consecutive(column: Column) -> bool:
    values = sorted(number for number in column.numbers if number is not None)
    return all(b - a == 1 for a, b in zip(values, values[1:], strict=False))


def _products(evidence: Evidence, column: Column) -> bool:
    """Say whether it is quantity × price of others wherever the quantity is not 1."""
    for counts in ("FT1-10", "FT1-11"):
        quantity = evidence.line(counts).numbers
        for path in ("FT1-12", "FT1-22", "FT1-11"):
            if path not in (column.path, counts) and _is_product(column.numbers, quantity, evidence.line(path).numbers):
                return True
    return False


def _is_product(whole: Sequence[Decimal | None], count: Sequence[Decimal | None], price: Sequence[Decimal | None]) -> bool:
    """Say whether the first is the product of the others, in nine lines of ten where that says something."""
    told = [(a, q, p) for a, q, p in zip(whole, count, price, strict=True) if a and q and p and abs(q) != 1]
    return bool(told) and sum(abs(a) == abs(q * p) for a, q, p in told) >= _AGREES * len(told)


def _swapped(evidence: Evidence, usual: Column, counted: str) -> Column | None:
    """Return the place of the quantity if the amount stands there, and the quantity where the amount should be."""
    other = evidence.line(counted)
    if not _fits(other) or usual.fill < _NEEDED:
        return None
    small = all(abs(number) <= 99 and number == number.to_integral_value() for number in usual.numbers if number is not None)
    decimals = any("." in value or "," in value for value in other.given)
    plain = not any("." in value or "," in value for value in usual.given)
    return other if small and plain and decimals else None


# ------------------------------------------------------------------------------------------------------------- rows


def _how(evidence: Evidence, column: Column) -> Written:
    """Return how a column's amounts are written, compared with those that say their decimals."""
    plain: list[Decimal | None] = []
    if column.given and not any("." in value or "," in value for value in column.given):
        for other in money_columns(evidence):
            if other.path != column.path and any("." in value or "," in value for value in other.given):
                pairs = [(a, b) for a, b in zip(column.numbers, other.numbers, strict=True) if a and b]
                if pairs and sum(a in (b, b * 100) for a, b in pairs) >= _AGREES * len(pairs):
                    plain = [b for value, b in zip(column.values, other.numbers, strict=True) if value]
                    break
    return written(column.given, plain)


def _read(evidence: Evidence, draft: Draft, column: Column) -> tuple[str, tuple[str, ...], str]:
    """Return path, transforms and what is to be said about how amounts stand there."""
    how, path, steps, said = _how(evidence, column), column.path, None, []
    if how.why:
        said.append(how.why)
    if how.doubt:
        draft.ask(f"{path}: {how.doubt}")
    steps = how.steps
    field = path.partition(".")[0]
    wrong = [value for value in _parts(evidence, path, ".1.2") if not is_currency(value)]
    if wrong and "." not in path:
        path = f"{path}.1.1"
        said.append("what stands behind & is no currency code of ISO 4217")
    first = evidence.line(field).given
    if path == f"{field}.2" and first and all(is_currency(value) for value in first):
        if len(set(first)) == 1:
            steps = (*steps[:-1], f"{steps[-1]} {first[0]}")
            said.append(f"the currency {first[0]} stands before it")
        else:
            draft.ask(f"{field}: several currencies stand before the amounts, and a map can state one only; which counts?")
    return path, steps, "; ".join(said)


def _amount_row(evidence: Evidence, draft: Draft, column: Column, standard: str) -> None:
    path, steps, said = _read(evidence, draft, column)
    usual = evidence.line(standard)
    here = f"{_called(column.path)} is an amount in {column.of} lines"
    other = "" if path == standard else f"; {_called(standard)} {_lacks(usual)}"
    note = here + other + (f"; {said}" if said else "")
    if path == standard and steps == ("money",):
        draft.saw("amount", path, "standard", note)
    else:
        paths: tuple[str, ...] = (path,)
        if path != standard and usual.filled and column.fill < 1 and usual.numeric == 1 and not _filler(usual):
            both = [a for a, b in zip(usual.values, column.values, strict=True) if a and b]
            paths = (standard, path) if not both else paths
        instead = (f"{{target: amount, path: {standard}, transform: money}}",) if usual.filled and paths[0] != standard else ()
        draft.rows.append(Row("charge", "amount", paths, steps, note, required=False, instead=instead))
        draft.saw("amount", ", ".join(paths), "proposed", note)
    _currency(evidence, draft, column)


def _currency(evidence: Evidence, draft: Draft, column: Column) -> None:
    field = column.path.partition(".")[0]
    number = int(field.partition("-")[2])
    places = (f"{field}.1.2", f"{field}.2", f"{field[:3]}-{number + 1}", field)
    stated = {value for place in places for value in evidence.line(place).given if is_currency(value)}
    if not stated:
        draft.ask("The amounts state no currency: the source's own counts. Is there only one?")
    elif len(stated) > 1:
        draft.ask(f"The amounts state several currencies ({', '.join(sorted(stated))}): is that meant?")


def _lacks(column: Column) -> str:
    """Say what is wrong with a column, in words."""
    if not column.filled:
        return "is empty"
    if column.numeric < _AGREES:
        return f"is filled in {column.of} lines, and often no number"
    return "is always 0" if _filler(column) else f"is an amount in {column.of} lines"


def _price(evidence: Evidence, best: Column, rest: Sequence[Column], standard: str) -> bool:
    """Say whether the best place holds a price of one, so that quantity × price is the amount."""
    if best.path == standard:
        return False
    if best.path in ("FT1-12", "FT1-22"):
        return not _products(evidence, best)
    return any(_is_product(one.numbers, evidence.line("FT1-10").numbers, best.numbers) for one in rest if one is not best)


def _priced(evidence: Evidence, draft: Draft, price: Column, standard: str, counted: str) -> None:
    """Propose a unit price; the amount stays where the standard has it, for lines that have one."""
    path, steps, said = _read(evidence, draft, price)
    usual = evidence.line(standard)
    note = f"{_called(price.path)} is an amount in {price.of} lines; {_called(standard)} {_lacks(usual)}"
    note += f"; {said}" if said else ""
    extended = next(
        (one for one in money_columns(evidence)
         if one.path != price.path and _is_product(one.numbers, evidence.line(counted).numbers, price.numbers)), None,
    )  # fmt: skip
    if extended is not None:
        _amount_row(evidence, draft, extended, standard)
        draft.saw("unit_price", path, "alternative", f"{note}; {extended.path} is quantity × {price.path}")
        _quantity(evidence, draft, extended, [], counted)
        return
    if usual.filled and (usual.numeric < 1 or _filler(usual)):
        # What stands in the amount's own place would be read first, or hold the line.
        draft.rows.append(Row("charge", "amount", (path,), steps, note + "; it is the price of one"))
        draft.saw("amount", path, "proposed", note)
        draft.ask(f"Is {price.path} the price of one, or of all that the line counts? Some lines count several.")
        return
    if path == "FT1-12" and steps == ("money",):
        draft.saw("unit_price", path, "standard", note)
    else:
        paths = (path,) if path != "FT1-22" or not evidence.line("FT1-12").filled else ("FT1-12", path)
        instead = (f"{{target: amount, path: {path}, transform: {steps[-1]}}}   # if it is the price of all, not of one",)
        draft.rows.append(Row("charge", "unit_price", paths, steps, note, instead=instead))
        draft.saw("unit_price", ", ".join(paths), "proposed", note)
    draft.saw("amount", standard, "standard", f"{_called(standard)} {_lacks(usual)}; quantity × unit price counts")
    _currency(evidence, draft, price)
    _quantity(evidence, draft, price, [], counted)
    count = evidence.line(draft.path_of("quantity", counted))
    if any(number is not None and abs(number) != 1 for number in count.numbers):
        draft.ask(f"Is {price.path} the price of one, or of all that the line counts? Some lines count several.")


def _quantity(evidence: Evidence, draft: Draft, amount: Column, rest: Sequence[Column], counted: str) -> None:
    """Propose where the quantity stands, if not in its own place."""
    usual = evidence.line(counted)
    if amount.path.partition(".")[0] != counted and usual.filled and usual.numeric == 1:
        draft.saw("quantity", counted, "standard", f"{_called(counted)} is a number in {usual.of} lines")
        return
    near = _beside(evidence, amount)
    prices = ["FT1-12", "FT1-22", *(column.path for column in rest)]
    for path in dict.fromkeys([*near, *evidence.line_paths]):
        column = evidence.line(path)
        if path.partition(".")[0] == amount.path.partition(".")[0] or column.numeric < 1 or path == "FT1-1":
            continue
        counts = any(_is_product(amount.numbers, column.numbers, evidence.line(price).numbers) for price in prices)
        if counts or (path in near and _small(column)):
            why = "amount = quantity × price there" if counts else "small whole numbers beside the amount"
            note = f"{_called(path)} is a number in {column.of} lines: {why}; {_called(counted)} {_none(usual, amount)}"
            draft.rows.append(Row("charge", "quantity", (path,), ("number",), note, default="1"))
            draft.saw("quantity", path, "proposed", note)
            return
    if usual.filled and (usual.numeric < 1 or amount.path.partition(".")[0] == counted):
        note = f"{_called(counted)} {_none(usual, amount)}"
        draft.without.append("quantity")
        draft.saw("quantity", counted, "alternative", note + "; so every line counts once")
        if usual.numeric < 1:
            draft.ask(f"{counted}: some quantities are no numbers. What do they say?")
    else:
        draft.saw("quantity", counted, "standard", f"{_called(counted)} is empty: every line counts once")


def _none(usual: Column, amount: Column) -> str:
    same = amount.path.partition(".")[0] == usual.path
    return "holds the amount" if same else "is empty" if not usual.filled else f"is no number in all of {usual.of} lines"


def _small(column: Column) -> bool:
    return column.fill >= _NEEDED and all(
        number is not None and 0 < abs(number) <= 99 and number == number.to_integral_value() and "." not in value
        for number, value in zip(column.numbers, column.values, strict=True)
        if value
    )


def _beside(evidence: Evidence, amount: Column) -> list[str]:
    """Return the fields right beside the amount, behind it first."""
    if amount.path.startswith("Z") or "." in amount.path:
        return []
    name, _, number = amount.path.partition("-")
    return [f"{name}-{int(number) + 1}", f"{name}-{int(number) - 1}"] if int(number) > 3 else []


# ------------------------------------------------------------------------------------------- what is not the patient's


def _less(part: Column, whole: Column) -> bool:
    """Say whether one is a part of the other: never more, and less somewhere."""
    pairs = [(a, b) for a, b in zip(part.numbers, whole.numbers, strict=True) if a is not None and b is not None]
    real = [(abs(a), abs(b)) for a, b in pairs]
    return bool(real) and all(a <= b for a, b in real) and any(0 < a < b for a, b in real)


def _part(evidence: Evidence, whole: Column, rest: Sequence[Column], draft: Draft) -> Column | None:
    """Return the column of a Z segment that seems to be the patient's part of the whole, if there is one."""
    parts = [
        column for column in rest
        if column.path.startswith("Z") and evidence.per_line(column.path) and _money(column) and _less(column, whole)
    ]  # fmt: skip
    covered = evidence.line("FT1-15")
    if not parts:
        return None
    if any(covered.numbers):
        for column in parts:
            said = "is a part of it" + (", what FT1-15 leaves of it" if _sum(whole, column, covered) else "")
            draft.saw("amount", column.path, "alternative", f"{column.path} {said}")
        return None
    pair = next(((a, b) for a, b in combinations(parts, 2) if _sum(whole, a, b)), None)
    if pair is None and len(parts) > 1:
        for column in parts:
            draft.saw("amount", column.path, "alternative", f"{column.path} is a part of {whole.path}")
        draft.ask(f"{_named(parts)} are parts of {whole.path}: which is what the patient owes, which what insurance pays?")
        return None
    chosen = parts[0] if pair is None else min(pair, key=lambda one: sum(abs(n) for n in one.numbers if n is not None))
    if pair is not None:
        other = next(one for one in pair if one is not chosen)
        draft.saw("insurance", other.path, "alternative", f"{other.path} and {chosen.path} add up to {whole.path}")
        draft.ask(f"{other.path} and {chosen.path} add up to {whole.path}: which of them does the patient owe?")
    else:
        draft.ask(f"{chosen.path} is a part of {whole.path}: is it what the patient owes? If not, ask for that field.")
    draft.share.append(f"share: all   # if {chosen.path} is what the patient owes")
    return chosen


def _money(column: Column) -> bool:
    """Say whether a column is money rather than a number: with decimals, or large."""
    return any("." in value or "," in value for value in column.given) or all(
        number is None or number == 0 or abs(number) >= 100 for number in column.numbers
    )


def _sum(whole: Column, a: Column, b: Column) -> bool:
    told = [
        (w, x, y) for w, x, y in zip(whole.numbers, a.numbers, b.numbers, strict=True) if w and x is not None and y is not None
    ]
    return bool(told) and sum(abs(w) == abs(x) + abs(y) for w, x, y in told) >= _AGREES * len(told)


def _named(columns: Sequence[Column]) -> str:
    return ", ".join(column.path for column in columns)


def _insurance(evidence: Evidence, draft: Draft, amount: Column, rest: Sequence[Column]) -> None:
    usual = evidence.line("FT1-15")
    if amount.path == "FT1-15":
        draft.without.append("insurance")
    elif usual.filled and usual.numeric < 1:
        draft.without.append("insurance")
        draft.saw("insurance", "FT1-15", "alternative", f"FT1-15 is filled in {usual.of} lines, and not always an amount")
        draft.ask("FT1-15 does not always hold an amount. What does it say?")
    elif any(usual.numbers):
        steps = written(usual.given).steps
        same = draft.path_of("amount", "") and next(row.transforms for row in draft.rows if row.target == "amount")
        steps = same or steps
        draft.saw("insurance", "FT1-15", "standard", f"FT1-15 is an amount in {usual.of} lines")
        if steps != ("money",):
            note = f"FT1-15 is an amount in {usual.of} lines, written as the amounts are"
            draft.rows.append(Row("charge", "insurance", ("FT1-15",), steps, note))
        draft.share.append("share: net_of_insurance   # FT1-15 says what insurance pays")
        if any(a is not None and b is not None and abs(b) > abs(a) for a, b in zip(amount.numbers, usual.numbers, strict=True)):
            draft.ask(f"FT1-15 is larger than {amount.path} in some lines: is it really what insurance pays of them?")
    elif usual.filled:
        draft.saw("insurance", "FT1-15", "standard", "FT1-15 is always 0: a filler?")
        draft.ask("FT1-15 is always 0: does insurance pay nothing, or does nobody fill it in?")


def balance(evidence: Evidence, draft: Draft) -> None:
    """Propose where the account's balance stands, if anywhere."""
    usual = evidence.whole("PV1-46")
    if usual.filled and usual.numeric == 1 and any(usual.numbers):
        how = written(usual.given)
        note = f"PV1-46 (Current Patient Balance) is an amount in {usual.of} messages"
        draft.rows.append(Row("message", "balance", ("PV1-46",), how.steps, note))
        draft.saw("balance", "PV1-46", "proposed", note)
        draft.share.append("share: balance   # PV1-46 says what is owed now")
        draft.ask("Is PV1-46 what the patient owes now, after insurance and payments?")
        return
    taken = {path for row in draft.rows for path in row.paths}
    owed = evidence.line(draft.path_of("amount", "FT1-11")).numbers
    for path in evidence.whole_paths:
        column = evidence.whole(path)
        decimals = all("." in value or "," in value for value in column.given)
        if not path.startswith("Z") or path in taken or not decimals or column.numeric < 1 or column.fill < _NEEDED:
            continue
        if evidence.several and evidence.per_line(path):
            continue
        totals = _totals(evidence, owed)
        same = sum(a == b for a, b in zip(totals, column.numbers, strict=True) if b is not None)
        what = f"{path} is an amount in {column.of} messages"
        if same >= _AGREES * column.filled:
            draft.saw("balance", path, "alternative", f"{what}, and the sum of the lines")
            continue
        note = f"{what}, and not the sum of their lines"
        if not any(row.target == "balance" for row in draft.rows):
            draft.rows.append(Row("message", "balance", (path,), ("money",), note))
            draft.saw("balance", path, "proposed", note)
            draft.share.append(f"share: balance   # if {path} is what the patient owes now")
        else:
            draft.saw("balance", path, "alternative", note)
        draft.ask(f"What does {path} say: what the patient owes now, what was charged in all, or what was paid?")


def _totals(evidence: Evidence, amounts: Sequence[Decimal | None]) -> list[Decimal]:
    found, at = [], 0
    for case in evidence.cases:
        found.append(sum((one for one in amounts[at : at + len(case.lines)] if one is not None), Decimal(0)))
        at += len(case.lines)
    return found


def _called(path: str) -> str:
    """Return a path with its name by the standard."""
    name = name_of(path, "2.5.1") if not path.startswith("Z") else None
    return f"{path} ({name})" if name else path
