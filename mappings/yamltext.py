"""YAML as plain text values with the line of each. Every scalar is a string: the codes `01`, `NO` and `1` stay so."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Where = tuple[str | int, ...]


class MapError(ValueError):
    """A map file cannot work. `problems` holds everything that is wrong, each "file:line: what, and what to do"."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Document:
    """A parsed file: `data` (dicts, lists, strings, None), and the line of every key and item in it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.problems: list[tuple[int, str]] = []
        self._lines: dict[Where, int] = {}
        self.data: Any = {}
        try:
            root = YAML(typ="rt", pure=True).compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.problems.append((mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}"))
        except (YAMLError, ValueError, RecursionError):
            self.problems.append((1, "not YAML"))
        else:
            self.data = self._plain(root, (), 0) if root is not None else {}

    def _plain(self, node: Node, where: Where, depth: int) -> Any:
        line = node.start_mark.line + 1
        self._lines.setdefault(where, line)
        if depth > 12:  # our files need six; an alias can point at its own parent
            self.problems.append((line, "nested too deeply"))
            return None
        if isinstance(node, MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                inner = (*where, key)
                if key in result:
                    self.problems.append((key_node.start_mark.line + 1, f"`{key}` stands here a second time"))
                self._lines[inner] = key_node.start_mark.line + 1
                result[key] = self._plain(value_node, inner, depth + 1)
            return result
        if isinstance(node, SequenceNode):
            return [self._plain(item, (*where, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        plain_empty = node.value in ("", "~", "null") and node.style is None
        return None if plain_empty else str(node.value)

    def line(self, where: Where) -> int:
        """Return the line of a place, or of the nearest place around it."""
        while where and where not in self._lines:
            where = where[:-1]
        return self._lines.get(where, 1)

    def report(self, where: Where, problem: str) -> None:
        """Note a problem at a place."""
        self.problems.append((self.line(where), problem))

    def report_schema(self, error: ValidationError) -> None:
        """Note all that pydantic found, in words for an administrator."""
        for item in error.errors():
            where, kind = item["loc"], item["type"]
            name = where[-1] if where else "file"
            if kind == "extra_forbidden":
                self.report(where, f"`{name}` is not known here")
            elif kind == "missing":
                self.report(where, f"`{name}` is missing")
            else:
                said = item["msg"].removeprefix("Value error, ")
                self.report(where, f"`{name}`: {said[:1].lower()}{said[1:]}")

    def check(self) -> None:
        """Raise MapError with every problem noted so far, in the order of the file."""
        if self.problems:
            raise MapError([f"{self.file}:{line}: {problem}" for line, problem in dict.fromkeys(sorted(self.problems))])
