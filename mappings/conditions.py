"""Conditions of a map and of a source's `share:`, in CEL, over values that were mapped already.

The Common Expression Language has no loops, no clock and no I/O. Its macros, which walk over lists, are refused: so the
cost of a condition is its length. Amounts are integers of minor units: 5000 is 50.00.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import cel

from chartpost.mappings.chain import Rejected
from chartpost.mappings.model import Charge, Reading

#: What a condition on a whole message may name, beside `my.…`.
MESSAGE = ("type", "account", "status", "financial_class", "balance", "has_guarantor", "my")
#: What one on a line may name besides.
CHARGE = (
    *MESSAGE, "kind", "amount", "currency", "insurance", "code", "description", "reference", "payment_reference",
    "service_date",
)  # fmt: skip
_LONGEST = 500  #: characters
_MACRO = re.compile(r"\.\s*(map|filter|all|exists|exists_one|existsOne)\s*\(")
_STRING = re.compile(r"""r?"(?:\\.|[^"\\])*"|r?'(?:\\.|[^'\\])*'""")
_MATCHES = re.compile(r"\bmatches\b(?!\s*\(\s*''\s*\))")
_MY = re.compile(r"\bmy\s*\.\s*([A-Za-z_]\w*)")
_ANY_MY = re.compile(r"\bmy\b")
_UNTYPED_MY = re.compile(r"\bmy\s*\[")
_FIX = "say in the condition what holds where a value is empty, as in `insurance != null && insurance > 0`"


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    text: str
    program: Any = field(compare=False, repr=False)
    names: tuple[str, ...] = ()  #: what it names: handing over the rest costs more than the condition itself
    mine: frozenset[str] | None = None  #: the same after `my.`; None: all of them

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Say whether it is true of these values. Raises Rejected when it cannot be told."""
        result = self._run(values)
        if not isinstance(result, bool):
            raise Rejected(f"the condition `{self.text}` is neither true nor false", _FIX)
        return result

    def amount(self, values: Mapping[str, Any]) -> int:
        """Return the integer of minor units that it gives. Raises Rejected."""
        result = self._run(values)
        if isinstance(result, bool) or not isinstance(result, int):
            raise Rejected(f"`{self.text}` gives no integer of minor units", _FIX)
        return result

    def _run(self, values: Mapping[str, Any]) -> Any:
        try:
            seen = {name: values[name] for name in self.names}
            if self.mine is not None:
                seen["my"] = {name: value for name, value in values["my"].items() if name in self.mine}
            return self.program.execute(seen)
        except Exception:  # whatever it raises: its text may hold a value
            empty = ", ".join(name for name in self.names if values.get(name) is None)
            why = f": empty is {empty}" if empty else ""
            raise Rejected(f"the condition `{self.text}` cannot be told{why}", _FIX) from None


@lru_cache(maxsize=512)
def compile_condition(text: str, known: tuple[str, ...], mine: frozenset[str] | None = None) -> Condition:
    """Return the compiled condition. `known` names what it may use, `mine` the names after `my.` (None: any).

    Raises ValueError that says what is wrong with it.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a condition has at most {_LONGEST} characters")
    bare = _STRING.sub("''", text)
    if macro := _MACRO.search(bare):
        raise ValueError(f"{text!r}: a condition cannot use {macro[1]}(): it looks at values, not at lists")
    if _MATCHES.search(bare):  # what a message brings must not be a pattern: it could take seconds
        raise ValueError(f"{text!r}: write the pattern of matches() out, as in code.matches('^99')")
    try:
        program = cel.compile(text)
    except Exception as error:
        raise ValueError(f"{text!r} is not CEL: {_reason(str(error))}") from None
    for name in program.variables():
        if name not in known:
            raise ValueError(f"{text!r}: there is no {name} here; known: {', '.join(known)}")
    if unknown := sorted(set(program.functions()) - _FUNCTIONS):
        raise ValueError(f"{text!r}: a condition cannot use {unknown[0]}()")
    if _UNTYPED_MY.search(bare):
        raise ValueError(f"{text!r}: write my.name")
    named = frozenset(_MY.findall(bare))
    for name in sorted(named):
        if mine is not None and name not in mine:
            raise ValueError(f"{text!r}: no row has the target my.{name}")
    plainly = bool(named) and len(_MY.findall(bare)) == len(_ANY_MY.findall(bare))  # and not `my` as a whole
    return Condition(text, program, tuple(program.variables()), named if plainly else None)


#: Operators, and functions that are plain and cheap.
_OPERATORS = "!_ -_ _&&_ _||_ _?_:_ _==_ _!=_ _<_ _<=_ _>_ _>=_ _+_ _-_ _*_ _/_ _%_ _[_] @in @not_strictly_false"
_PLAIN = "size startsWith endsWith contains matches int string has lowerAscii upperAscii"
_FUNCTIONS = frozenset(f"{_OPERATORS} {_PLAIN}".split())


def _reason(error: str) -> str:
    """Return what the parser says, without the text that it repeats."""
    found = re.search(r"ERROR: <input>:1:(\d+): ([^\n]*)", error)
    return f"at character {found[1]}: {found[2].removeprefix('Syntax error: ')[:120]}" if found else "it cannot be read"


def message_values(reading: Reading, mine: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a condition on a message sees. `mine` are names after `my.` that count as "" where nothing is."""
    return {
        "type": reading.type,
        "account": reading.account,
        "status": reading.status,
        "financial_class": reading.financial_class,
        "balance": None if reading.balance is None else reading.balance.minor,
        "has_guarantor": reading.guarantor is not None,
        "my": dict.fromkeys(mine, "") | reading.my,
    }


def charge_values(reading: Reading, charge: Charge, mine: Iterable[str] = ()) -> dict[str, Any]:
    """Return what a condition on a line sees."""
    values = message_values(reading, mine)
    values["my"] |= charge.my
    return values | {
        "kind": str(charge.kind),
        "amount": charge.amount.minor,
        "currency": charge.amount.currency,
        "insurance": None if charge.insurance is None else charge.insurance.minor,
        "code": charge.code,
        "description": charge.description,
        "reference": charge.reference,
        "payment_reference": charge.payment_reference,
        "service_date": charge.service_date.isoformat() if charge.service_date else "",
    }
