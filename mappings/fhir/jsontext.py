"""FHIR's JSON as Python values and back, exactly: `10.00` is a Decimal of two decimals, and is written as 10.00.

Strict where leniency would change a meaning: a name that stands twice in one object has no agreed value, and NaN is no
number (FHIR R4 §2.6.2, RFC 8259). Says where a text is wrong, never what stood there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import msgspec

__all__ = ["MAX_DEPTH", "FhirError", "decode", "encode"]

MAX_DEPTH = 32  #: objects and lists inside one another; a real Invoice in a Bundle has about a dozen
_NAME = re.compile(r"_?[a-zA-Z][a-zA-Z0-9]{0,63}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class FhirError(ValueError):
    """The bytes are no FHIR that can be read. Says where and what, never a value."""


def decode(body: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Return the JSON value of a body: numbers with a point or exponent as Decimal, others as int.

    Raises FhirError, and nothing else: not UTF-8, not JSON, too deep, NaN or Infinity, a name twice in one object, text
    that cannot be stored (half of a surrogate pair, NUL).
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FhirError(f"byte {error.start}: not UTF-8") from None
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise FhirError(
            f"line {error.lineno}, column {error.colno}: not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
        ) from None
    except RecursionError:
        raise FhirError(f"nested more than {max_depth} deep") from None
    except FhirError:
        raise
    except (ValueError, ArithmeticError):
        raise FhirError("a number of more digits than can be read") from None
    _check(value, max_depth)
    return value


def encode(value: Any) -> bytes:
    """Return a value as JSON, UTF-8, without spaces; a Decimal has exactly its digits."""
    return _ENCODER.encode(value)


def _constant(name: str) -> NoReturn:
    raise FhirError(f"{name} is no number in JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise FhirError(f"{twice if _NAME.fullmatch(twice) else 'a name'} stands twice in one object")
    return found


def _check(value: Any, max_depth: int) -> None:
    """Raise FhirError for what is too deep, or holds text that no database takes."""
    level = [value]
    depth = 0
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if not item.isascii() and _SURROGATE.search(item):
                    raise FhirError("half of a surrogate pair in a text")
                if "\0" in item:
                    raise FhirError("a NUL character in a text")
            elif isinstance(item, (dict, list)):
                below.extend(_inside(item))
        if any(isinstance(item, (dict, list)) for item in level):
            depth += 1
            if depth > max_depth:
                raise FhirError(f"nested more than {max_depth} deep")
        level = below


def _inside(item: dict[str, Any] | list[Any]) -> Iterator[Any]:
    if isinstance(item, dict):
        yield from item
        yield from item.values()
    else:
        yield from item
