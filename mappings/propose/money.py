"""Where the money stands: amount, unit price, quantity, what insurance pays, the balance. And how it is written.

A place counts for how often it holds an amount, for being where the standard has it, and for what it adds up to with
others: amount = quantity × price, whole = part + part. Where two readings are possible the smaller amount is proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from chartpost.mappings.propose.columns import (
    AGREES,
    NEEDED,
    filler,
    fits,
    is_product,
    money_columns,
    parts,
    products,
    score,
)  # fmt: skip
from chartpost.mappings.propose.lines import Column, Evidence
from chartpost.mappings.propose.model import Draft, Row, called
from chartpost.mappings.propose.parts import insurance, patients_part
from chartpost.mappings.transforms import is_currency
from chartpost.mappings.valuekinds import Written, written

__all__ = ["amounts"]


def amounts(evidence: Evidence, draft: Draft) -> str:
    """Propose rows for amount, unit_price, quantity and insurance; return the path of the amount, "" without any."""
    standard, counted = ("FT1-10", "FT1-11") if evidence.old else ("FT1-11", "FT1-10")
    columns = money_columns(evidence)
    scored = sorted(((score(evidence, column, standard), column) for column in columns), key=lambda one: -one[0])
    usual = evidence.line(standard)
    best = scored[0][1] if scored and scored[0][0] > 0 else None
    rest = [column for _, column in scored]
    if best is None:
        draft.saw("amount", standard, "standard", f"{standard} is an amount in {usual.of} lines, and nothing else is")
        draft.ask("Where does the price of a line stand? No field holds an amount: are the lines priced elsewhere?")
        return ""
    good = fits(usual)
    if good and (whole := _extended(evidence, usual, rest, counted)) is not None:
        _amount_row(evidence, draft, whole, standard)
        draft.without.append("unit_price")
        draft.ask(
            f"{whole.path} is {counted} times {standard}: is {standard} the price of one, and {whole.path} that of all?"
        )
        _quantity(evidence, draft, whole, rest, counted)
        return whole.path
    price = _price(evidence, best, rest, standard)
    if good and best.path != standard and not filler(usual) and _swapped(evidence, usual, counted) is None:
        best = usual
    if price and not good:
        _priced(evidence, draft, best, standard, counted)
        return best.path
    if best.path == standard:
        part = patients_part(evidence, usual, rest, draft)
        if part is not None:
            _amount_row(evidence, draft, part, standard)
            _quantity(evidence, draft, part, rest, counted)
            return part.path
    _amount_row(evidence, draft, best, standard)
    _quantity(evidence, draft, best, rest, counted)
    insurance(evidence, draft, best, rest)
    for points, column in scored[:6]:
        if points > 4 and column.path != best.path and not any(one.path == column.path for one in draft.candidates):
            draft.saw("amount", column.path, "alternative", f"{called(column.path)} is an amount in {column.of} lines")
    return best.path


def _swapped(evidence: Evidence, usual: Column, counted: str) -> Column | None:
    """Return the place of the quantity if the amount stands there, and the quantity where the amount should be."""
    other = evidence.line(counted)
    if not fits(other) or usual.fill < NEEDED:
        return None
    small = all(
        abs(number) <= 99 and number == number.to_integral_value() for number in usual.numbers if number is not None
    )
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
                if pairs and sum(a in (b, b * 100) for a, b in pairs) >= AGREES * len(pairs):
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
    wrong = [value for value in parts(evidence, path, ".1.2") if not is_currency(value)]
    if wrong and "." not in path:
        path = f"{path}.1.1"
        said.append("what stands behind & is no currency code of ISO 4217")
    first = evidence.line(field).given
    if path == f"{field}.2" and first and all(is_currency(value) for value in first):
        if len(set(first)) == 1:
            steps = (*steps[:-1], f"{steps[-1]} {first[0]}")
            said.append(f"the currency {first[0]} stands before it")
        else:
            draft.ask(
                f"{field}: several currencies stand before the amounts, and a map can state one only; which counts?"
            )
    return path, steps, "; ".join(said)


def _amount_row(evidence: Evidence, draft: Draft, column: Column, standard: str) -> None:
    path, steps, said = _read(evidence, draft, column)
    usual = evidence.line(standard)
    here = f"{called(column.path)} is an amount in {column.of} lines"
    other = "" if path == standard else f"; {called(standard)} {_lacks(usual)}"
    note = here + other + (f"; {said}" if said else "")
    if path == standard and steps == ("money",):
        draft.saw("amount", path, "standard", note)
    else:
        paths: tuple[str, ...] = (path,)
        if path != standard and usual.filled and column.fill < 1 and usual.numeric == 1 and not filler(usual):
            both = [a for a, b in zip(usual.values, column.values, strict=True) if a and b]
            paths = (standard, path) if not both else paths
        instead = (
            (f"{{target: amount, path: {standard}, transform: money}}",)
            if usual.filled and paths[0] != standard
            else ()
        )
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
    if column.numeric < AGREES:
        return f"is filled in {column.of} lines, and often no number"
    return "is always 0" if filler(column) else f"is an amount in {column.of} lines"


def _extended(evidence: Evidence, usual: Column, rest: Sequence[Column], counted: str) -> Column | None:
    """Return the column that is quantity × what stands where the amount should: then that is the price of one."""
    counts = evidence.line(counted).numbers
    return next(
        (one for one in rest if one.path != usual.path and is_product(one.numbers, counts, usual.numbers)), None
    )


def _price(evidence: Evidence, best: Column, rest: Sequence[Column], standard: str) -> bool:
    """Say whether the best place holds a price of one, so that quantity × price is the amount."""
    if best.path == standard:
        return False
    if best.path in ("FT1-12", "FT1-22"):
        return not products(evidence, best)
    return any(
        is_product(one.numbers, evidence.line("FT1-10").numbers, best.numbers) for one in rest if one is not best
    )


def _priced(evidence: Evidence, draft: Draft, price: Column, standard: str, counted: str) -> None:
    """Propose a unit price; the amount stays where the standard has it, for lines that have one."""
    path, steps, said = _read(evidence, draft, price)
    usual = evidence.line(standard)
    note = f"{called(price.path)} is an amount in {price.of} lines; {called(standard)} {_lacks(usual)}"
    note += f"; {said}" if said else ""
    extended = next(
        (one for one in money_columns(evidence)
         if one.path != price.path and is_product(one.numbers, evidence.line(counted).numbers, price.numbers)), None,
    )  # fmt: skip
    if extended is not None:
        _amount_row(evidence, draft, extended, standard)
        draft.saw("unit_price", path, "alternative", f"{note}; {extended.path} is quantity × {price.path}")
        _quantity(evidence, draft, extended, [], counted)
        return
    if usual.filled and (usual.numeric < 1 or filler(usual)):
        # What stands in the amount's own place would be read first, or hold the line.
        draft.rows.append(Row("charge", "amount", (path,), steps, note + "; it is the price of one"))
        draft.saw("amount", path, "proposed", note)
        draft.ask(f"Is {price.path} the price of one, or of all that the line counts? Some lines count several.")
        return
    if path == "FT1-12" and steps == ("money",):
        draft.saw("unit_price", path, "standard", note)
    else:
        paths = (path,) if path != "FT1-22" or not evidence.line("FT1-12").filled else ("FT1-12", path)
        instead = (
            f"{{target: amount, path: {path}, transform: {steps[-1]}}}   # if it is the price of all, not of one",
        )
        draft.rows.append(Row("charge", "unit_price", paths, steps, note, instead=instead))
        draft.saw("unit_price", ", ".join(paths), "proposed", note)
    draft.saw("amount", standard, "standard", f"{called(standard)} {_lacks(usual)}; quantity × unit price counts")
    _currency(evidence, draft, price)
    _quantity(evidence, draft, price, [], counted)
    count = evidence.line(draft.path_of("quantity", counted))
    if any(number is not None and abs(number) != 1 for number in count.numbers):
        draft.ask(f"Is {price.path} the price of one, or of all that the line counts? Some lines count several.")


def _quantity(evidence: Evidence, draft: Draft, amount: Column, rest: Sequence[Column], counted: str) -> None:
    """Propose where the quantity stands, if not in its own place."""
    usual = evidence.line(counted)
    if amount.path.partition(".")[0] != counted and usual.filled and usual.numeric == 1:
        draft.saw("quantity", counted, "standard", f"{called(counted)} is a number in {usual.of} lines")
        return
    near = _beside(evidence, amount)
    prices = ["FT1-12", "FT1-22", *(column.path for column in rest)]
    for path in dict.fromkeys([*near, *evidence.line_paths]):
        column = evidence.line(path)
        if path.partition(".")[0] == amount.path.partition(".")[0] or column.numeric < 1 or path == "FT1-1":
            continue
        counts = any(is_product(amount.numbers, column.numbers, evidence.line(price).numbers) for price in prices)
        if counts or (path in near and _small(column)):
            why = "amount = quantity × price there" if counts else "small whole numbers beside the amount"
            note = f"{called(path)} is a number in {column.of} lines: {why}; {called(counted)} {_none(usual, amount)}"
            draft.rows.append(Row("charge", "quantity", (path,), ("number",), note, default="1"))
            draft.saw("quantity", path, "proposed", note)
            return
    if usual.filled and (usual.numeric < 1 or amount.path.partition(".")[0] == counted):
        note = f"{called(counted)} {_none(usual, amount)}"
        draft.without.append("quantity")
        draft.saw("quantity", counted, "alternative", note + "; so every line counts once")
        if usual.numeric < 1:
            draft.ask(f"{counted}: some quantities are no numbers. What do they say?")
    else:
        draft.saw("quantity", counted, "standard", f"{called(counted)} is empty: every line counts once")


def _none(usual: Column, amount: Column) -> str:
    same = amount.path.partition(".")[0] == usual.path
    return (
        "holds the amount" if same else "is empty" if not usual.filled else f"is no number in all of {usual.of} lines"
    )


def _small(column: Column) -> bool:
    return column.fill >= NEEDED and all(
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
