"""HL7 v2 text as sites write it. Written here by hand, without the product's own writer: it must not prove itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

#: The delimiters that VistA has: component and repetition changed places.
_SWAPPED = str.maketrans("^~", "~^")


def segment(name: str, fields: Mapping[int, object]) -> str:
    """Return a segment in standard delimiters, without empty fields at its end."""
    values = [str(fields.get(number, "")) for number in range(1, max(fields, default=0) + 1)]
    return "|".join([name, *values])


def header(app: str, facility: str, time: str, kind: str, control_id: str, mode: str, version: str, **more: str) -> str:
    """Return an MSH. `more` is `f18="8859/1"` and the like."""
    fields: dict[int, object] = {3: app, 4: facility, 5: "CHARTPOST", 6: facility, 7: time, 9: kind}
    fields |= {10: control_id, 11: mode, 12: version} | {int(name[1:]): value for name, value in more.items()}
    values = [str(fields.get(number, "")) for number in range(3, max(fields) + 1)]
    return "|".join(["MSH", "^~\\&", *values])


def message(segments: Iterable[str], *, end: str = "\r", swapped: bool = False, encoding: str = "utf-8") -> bytes:
    """Return the bytes of a message."""
    text = "".join(one + end for one in segments)
    return (text.translate(_SWAPPED) if swapped else text).encode(encoding)


def numbered(name: str, groups: Sequence[Mapping[int, object]]) -> list[str]:
    """Return segments with their set ids."""
    return [segment(name, {1: number, **fields}) for number, fields in enumerate(groups, 1)]


def decimal(minor: int, point: str = ".", digits: int = 2) -> str:
    """Return minor units of a currency with two decimals as text: 1250 is 12.50."""
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 100}{point}{whole % 100:02d}" + "0" * (digits - 2)
