"""Read a YAML file and remember where every value stands, so that a problem can be shown as file:line.

Environment variables named `CHARTPOST_A__B` lie over the file: they replace the value at `a.b`, and a problem with
such a value names the variable instead of a line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from chartpost.adapter.errors import ConfigurationError

log = logging.getLogger(__name__)

PREFIX = "CHARTPOST_"
_NO_DAY = "a date stands here that no calendar has; write it as in 2026-12-25"


class YamlFile:
    """A mapping read from a file. `data` is plain dicts, lists and scalars; `where` says where a value came from."""

    def __init__(self, name: str, text: str) -> None:
        """Parse `text`; `name` is what problems call the file. Raises ConfigurationError when it is no YAML mapping."""
        self.name = name
        self._lines: dict[tuple[str, ...], int] = {(): 1}
        self._variables: dict[tuple[str, ...], str] = {}
        try:
            tree = YAML(typ="rt").load(text)
        except DuplicateKeyError as error:
            raise ConfigurationError([f"{self._mark(error)}: a key stands here twice; keep one of them"]) from None
        except MarkedYAMLError as error:
            raise ConfigurationError([f"{self._mark(error)}: this is not YAML: {error.problem}"]) from None
        except YAMLError:
            raise ConfigurationError([f"{name}:1: this is not YAML"]) from None
        except ValueError:  # what looks like a date is made one, and has no line
            raise ConfigurationError([f"{name}:1: {_NO_DAY}"]) from None
        if tree is None:
            tree = {}
        if not isinstance(tree, Mapping):
            raise ConfigurationError([f"{name}:1: the file must hold `key: value` lines at its top"])
        self.data: dict[str, Any] = self._plain(tree, ())

    @classmethod
    def read(cls, path: Path) -> YamlFile:
        """Read the file at `path`. Raises ConfigurationError when that is not possible."""
        try:
            return cls(str(path), path.read_text("utf-8"))
        except OSError as error:
            raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError:
            raise ConfigurationError([f"{path}: is not UTF-8 text"]) from None

    def where(self, path: Iterable[str | int]) -> str:
        """Return "file:line" (or the environment variable) of a value, or of the nearest thing around it."""
        at = tuple(str(part) for part in path)
        while at not in self._variables and at not in self._lines:
            at = at[:-1]
        return self._variables.get(at) or f"{self.name}:{self._lines[at]}"

    def override(self, environ: Mapping[str, str], known: Iterable[str]) -> None:
        """Lay the `CHARTPOST_…` variables over the data; `known` are the top-level keys. An empty value removes.

        A value that starts with [ or { is read as YAML; everything else is text.
        """
        for variable in sorted(environ):
            if not variable.startswith(PREFIX):
                continue
            names = variable.removeprefix(PREFIX).split("__")
            if len(names) == 1 and names[0].lower() not in known:
                # Kubernetes sets CHARTPOST_PORT and the like for a service of that name: not for us, not an error.
                log.warning("environment variable %s is no setting and is left alone", variable)
                continue
            self._put(names, environ[variable], variable)

    def _put(self, names: list[str], text: str, variable: str) -> None:
        at: tuple[str, ...] = ()
        place = self.data
        for name in names[:-1]:
            key = _key(place, name)
            at = (*at, key)
            if not isinstance(place.get(key), dict):
                place[key] = {}
                self._variables[at] = variable
            place = place[key]
        key = _key(place, names[-1])
        at = (*at, key)
        for line in [line for line in self._lines if line[: len(at)] == at]:
            del self._lines[line]
        self._variables[at] = variable
        if text == "":
            place.pop(key, None)
        elif text[0] in "[{":
            try:
                place[key] = YAML(typ="safe").load(text)
            except YAMLError:
                raise ConfigurationError([f"{variable}: this is not YAML"]) from None
            except ValueError:
                raise ConfigurationError([f"{variable}: {_NO_DAY}"]) from None
        else:
            place[key] = text

    def _plain(self, node: Any, at: tuple[str, ...]) -> Any:
        if isinstance(node, Mapping):
            mapping = {}
            for key, value in node.items():
                path = (*at, str(key))
                self._lines[path] = node.lc.key(key)[0] + 1  # type: ignore[attr-defined]
                mapping[str(key)] = self._plain(value, path)
            return mapping
        if isinstance(node, list):
            items = []
            for index, value in enumerate(node):
                path = (*at, str(index))
                self._lines[path] = node.lc.item(index)[0] + 1  # type: ignore[attr-defined]
                items.append(self._plain(value, path))
            return items
        return node

    def _mark(self, error: MarkedYAMLError) -> str:
        mark = error.problem_mark or error.context_mark
        return f"{self.name}:{mark.line + 1 if mark else 1}"


def _key(place: Mapping[str, Any], name: str) -> str:
    """Return the key that an upper-case name means: the one that is there, else the name in lower case."""
    wanted = name.lower()
    return next((key for key in place if key.lower().replace("-", "_") == wanted), wanted)
