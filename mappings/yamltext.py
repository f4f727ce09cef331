"""YAML as plain text values with the place of each. Every scalar is a string: the codes `01`, `NO` and `1` stay so."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

#: Mappings and lists inside each other; our files need six, and an alias can point at its own parent.
_DEEPEST = 12
#: Values of one file, those that aliases repeat counted each time: ten lines of aliases can stand for millions.
_MOST = 100_000

Where = tuple[str | int, ...]
Place = tuple[int, int]  #: line and column, both from 1


class MapError(ValueError):
    """A map file cannot work. `problems` holds everything that is wrong.

    Each is "file:line:column: what, and what to do".
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Composer(Composer):
    """Stops at what is nested too deeply, before all of it is scanned."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST + 1:
            raise ComposerError(None, None, "nested too deeply", self.parser.peek_event().start_mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


class Document:
    """A parsed file: `data` (dicts, lists, strings, None), and the place of every key and item in it."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.problems: list[tuple[Place, str]] = []
        self._places: dict[Where, Place] = {}
        self.data: Any = {}
        self._values = 0
        reader = YAML(typ="rt", pure=True)
        reader.Composer = _Composer
        try:
            root = reader.compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.problems.append((_place(mark) if mark else (1, 1), f"not YAML: {error.problem or error.context}"))
        except (YAMLError, ValueError, RecursionError):
            self.problems.append(((1, 1), "not YAML"))
        else:
            self.data = self._plain(root, (), 0) if root is not None else {}

    def _plain(self, node: Node, where: Where, depth: int) -> Any:
        place = _place(node.start_mark)
        self._places.setdefault(where, place)
        self._values += 1
        if depth > _DEEPEST:
            self.problems.append((place, "nested too deeply"))
            return None
        if self._values > _MOST:
            if self._values == _MOST + 1:
                self.problems.append((place, f"more than {_MOST} values"))
            return None
        if isinstance(node, MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = str(key_node.value)
                inner = (*where, key)
                if key in result:
                    self.problems.append((_place(key_node.start_mark), f"`{key}` stands here a second time"))
                self._places[inner] = _place(key_node.start_mark)
                result[key] = self._plain(value_node, inner, depth + 1)
            return result
        if isinstance(node, SequenceNode):
            return [self._plain(item, (*where, index), depth + 1) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)
        plain_empty = node.value in ("", "~", "null") and node.style is None
        return None if plain_empty else str(node.value)

    def line(self, where: Where) -> int:
        """Return the line of a place, or of the nearest place around it."""
        return self.place(where)[0]

    def place(self, where: Where) -> Place:
        """Return line and column of a place, or of the nearest place around it."""
        while where and where not in self._places:
            where = where[:-1]
        return self._places.get(where, (1, 1))

    def report(self, where: Where, problem: str) -> None:
        """Note a problem at a place."""
        self.problems.append((self.place(where), problem))

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
        check(self)


def check(*documents: Document) -> None:
    """Raise MapError with every problem of these files, in their order."""
    problems = [
        f"{document.file}:{line}:{column}: {problem}"
        for document in documents
        for (line, column), problem in dict.fromkeys(sorted(document.problems))
    ]
    if problems:
        raise MapError(problems)


def _place(mark: Any) -> Place:
    return mark.line + 1, mark.column + 1
