"""A template: the words of one purpose, channel and language, with fields in braces. Pure.

A facility's own words stand in a folder of the shipped files' names, `request.sms.en.txt`, and replace them one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from pathlib import Path

from chartpost.adapter.errors import ConfigurationError

PURPOSES = ("request", "reminder", "receipt", "code")
CHANNELS = ("sms", "email")
LANGUAGES = ("en", "es")
#: All that words may name; `code` and `amount` only where they may.
FIELDS = ("practice", "link", "stop", "contact", "amount", "code")
#: Bytes: no template is that long.
LONGEST = 8_000

Key = tuple[str, str, str]  #: purpose, channel, language
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Template:
    """The text as it stands in its file."""

    purpose: str
    channel: str
    language: str
    text: str
    where: str  #: the file

    @property
    def fields(self) -> list[str]:
        """What stands in braces, in order, as it is written."""
        return _FIELD.findall(self.text)

    def fill(self, values: Mapping[str, str], text: str | None = None) -> str:
        """Return the text (or this part of it) with its fields; braces within a value stay as they are."""
        return _FIELD.sub(lambda match: values[match[1]], self.text if text is None else text)

    @property
    def paragraphs(self) -> list[str]:
        """The text cut at its empty lines; a line break within a paragraph is a space."""
        return [" ".join(one.split()) for one in re.split(r"\n\s*\n", self.text) if one.strip()]


Catalogue = Mapping[Key, Template]


@cache
def shipped() -> Catalogue:
    """Return the words that come with Chartpost."""
    folder = files(__package__) / "templates"
    return {
        key: Template(*key, (folder / name_of(key)).read_text("utf-8").strip(), name_of(key))
        for key in product(PURPOSES, CHANNELS, LANGUAGES)
    }


def name_of(key: Key) -> str:
    """Return the name of a template's file."""
    return f"{'.'.join(key)}.txt"


def read(folder: Path) -> Catalogue:
    """Return the words of a facility: those in its folder, else the shipped ones. Raises ConfigurationError."""
    words, problems = look(folder)
    if problems:
        raise ConfigurationError(problems)
    return words


def look(folder: Path) -> tuple[Catalogue, list[str]]:
    """Return these words as far as they can be read, and what is wrong with the files. Raises ConfigurationError."""
    problems: list[str] = []
    own: dict[Key, Template] = {}
    for path in _found(folder):
        key: Key = (*path.name.split(".")[:3],) if path.name.count(".") == 3 else ("", "", "")  # type: ignore[assignment]
        if key not in shipped() or path.name != name_of(key):
            problems.append(f"{path}: is the name of no template; write it as in request.sms.en.txt")
            continue
        try:
            data = path.read_bytes()
            text = data.decode("utf-8-sig").replace("\r\n", "\n").strip()
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror or type(error).__name__}")
        except UnicodeDecodeError:
            problems.append(f"{path}: is no UTF-8 text; save it as UTF-8")
        else:
            if len(data) > LONGEST:
                problems.append(f"{path}: is longer than {LONGEST} bytes; nobody reads that")
            own[key] = Template(*key, text, str(path))
    return {**shipped(), **own}, problems


def _found(folder: Path) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError([f"{folder}: is no folder of templates: {reason}"]) from None
