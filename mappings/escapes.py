"""Delimiters and escapes of HL7 v2 text: what keeps a value from becoming another field or segment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Delimiters:
    """MSH-1 and MSH-2. A character that MSH-2 leaves out is ""."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""  #: from 2.7, usually #

    @property
    def encoding(self) -> str:
        """MSH-2 as it stands."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Delimiters()


_NAMED = {"F": "field", "S": "component", "T": "subcomponent", "R": "repetition", "E": "escape", "P": "truncation"}
#: What no value may hold on the wire: C0 controls (CR ends a segment, 0B and 1C frame MLLP), Unicode's line ends.
_UNSAFE = "\x00-\x1f\x7f\x85\u2028\u2029"


@lru_cache(maxsize=64)
def _escapes(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, str]]:
    """Return the pattern of known escapes and what the named ones stand for. Unknown ones do not match, so stay."""
    named = {name: getattr(delimiters, attribute) for name, attribute in _NAMED.items()}
    known = {name: char for name, char in named.items() if char} | {"H": "", "N": "", ".br": "\n"}
    mark = re.escape(delimiters.escape)
    names = "|".join(re.escape(name) for name in known)
    return re.compile(f"{mark}(?:({names})|X((?:[0-9A-Fa-f]{{2}})+)){mark}"), known


def unescape(text: str, delimiters: Delimiters = STANDARD, codec: str = "utf-8") -> str:
    r"""Resolve \F\ \S\ \T\ \R\ \E\ \P\, \X..\ (bytes in the message's charset) and \.br\; drop \H\ \N\ (highlighting).

    Call it after splitting (HL7 v2.5.1 §2.7). What is no known escape, such as \Zxx\, stays as it is.
    """
    if not delimiters.escape or delimiters.escape not in text:
        return text
    pattern, known = _escapes(delimiters)

    def resolve(match: re.Match[str]) -> str:
        name = match[1]
        if name is not None:
            return known[name]
        try:
            return bytes.fromhex(match[2]).decode(codec)
        except (UnicodeDecodeError, LookupError):
            return match[0]

    return pattern.sub(resolve, text)


@lru_cache(maxsize=64)
def _specials(delimiters: Delimiters) -> tuple[re.Pattern[str], dict[str, str]]:
    named = {getattr(delimiters, attribute): name for name, attribute in _NAMED.items()}
    named.pop("", None)
    return re.compile("[" + "".join(map(re.escape, named)) + _UNSAFE + "]"), named


def escape(text: str, delimiters: Delimiters = STANDARD, codec: str = "utf-8") -> str:
    r"""Make text safe as a value: delimiters become \F\ and so on, control characters and line ends \X0D\.

    `unescape(escape(t)) == t` for every text. Where MSH-2 names no escape character, what cannot be said is a space.
    """
    pattern, named = _specials(delimiters)
    if not pattern.search(text):
        return text
    mark = delimiters.escape
    if not mark:
        return pattern.sub(" ", text)

    def replace(match: re.Match[str]) -> str:
        char = match[0]
        return f"{mark}{named[char] if char in named else 'X' + char.encode(codec).hex().upper()}{mark}"

    return pattern.sub(replace, text)


@lru_cache(maxsize=64)
def _ends(field: str) -> re.Pattern[str]:
    return re.compile(f"[{re.escape(field)}{_UNSAFE}]")


def recode(text: str, source: Delimiters = STANDARD, target: Delimiters = STANDARD, codec: str = "utf-8") -> str:
    """Rewrite a field's ER7 text for other delimiters. Structure and values stay; nothing in it can end the field.

    Text that is already safe in the same delimiters comes back unchanged.
    """
    if source == target:
        ends = _ends(target.field)
        return ends.sub(lambda match: escape(match[0], target, codec), text) if ends.search(text) else text

    def split(value: str, mark: str) -> list[str]:
        return value.split(mark) if mark else [value]

    def leaf(value: str) -> str:
        return escape(unescape(value, source, codec), target, codec)

    return target.repetition.join(
        target.component.join(
            target.subcomponent.join(leaf(sub) for sub in split(component, source.subcomponent))
            for component in split(repetition, source.component)
        )
        for repetition in split(text, source.repetition)
    )
