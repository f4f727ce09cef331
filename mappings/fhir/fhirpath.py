"""FHIRPath for maps: compiled once, checked to the last character, evaluated over an Invoice and those around it.

fhirpathpy reads as far as it understands and is silent about the rest, takes any function's name, prints what `trace`
is asked for, and answers odd data with whatever exception comes: all of that ends here (FHIRPath N1, HL7 FHIR R4 §2.7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import fhirpathpy
from antlr4 import CommonTokenStream, InputStream, ParseTreeWalker
from antlr4.error.ErrorListener import ErrorListener
from fhirpathpy.engine.invocations import invocation_registry
from fhirpathpy.engine.nodes import ResourceNode
from fhirpathpy.parser.ASTPathListener import ASTPathListener
from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.paths import Found
from chartpost.mappings.transforms import Rejected

#: What a path may name beside the Invoice, each one resource or nothing (people.py).
VARIABLES = ("subject", "recipient", "account", "patient", "guarantor", "bill_to", "payer")
#: A map knows no clock; `trace` prints people to the console, and `single` hides that there were several.
_FORBIDDEN = frozenset({"now", "today", "timeOfDay", "trace", "single"})
_RAW: Final = {"returnRawData": True}  # else every element is copied once more
_BESIDE = frozenset({"extension", "id"})  # what `_value` holds where `value` itself is absent


class Element:
    """A FHIR element for the first step of a row: an object, or a primitive value."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data

    @property
    def raw(self) -> str:
        """The element as JSON, for the trace."""
        return _shown(self.data)


class Scope:
    """Where paths look: one Invoice, and the resources that its references lead to. Asks each path once."""

    def __init__(self, invoice: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        self._invoice = _bare(invoice)
        named = {name: _bare(resource) for name, resource in variables.items()}
        self._variables = {**dict.fromkeys(VARIABLES), "resource": self._invoice, **named}
        self._found: dict[str, list[Any]] = {}

    def find(self, path: ElementPath) -> list[Any]:
        """Return what a path finds: objects and primitive values. Raises Rejected when it cannot be evaluated."""
        if path.needs and self._variables[path.needs] is None:
            return []  # most Invoices name no guarantor, and evaluating a path costs a tenth of a millisecond
        found = self._found.get(path.text)
        if found is None:
            try:
                items = fhirpathpy.apply_parsed_path(self._invoice, path.tree, self._variables, None, _RAW)
            except Exception as error:  # whatever it raises: its text may hold what stood in the resource
                raise Rejected(
                    f"the path does not fit what came ({type(error).__name__})",
                    "ask the sender to correct the element, or let the path allow for what stands there",
                ) from None
            self._found[path.text] = found = list(_values(items))
        return found


@dataclass(frozen=True, slots=True)
class ElementPath:
    """A compiled path."""

    text: str
    tree: dict[str, Any] = field(compare=False, repr=False)
    needs: str = ""  #: the variable without which it finds nothing

    def get(self, scope: Scope) -> str | None:
        """Return the first value as text; None when there is none. Raises Rejected for an object."""
        found = scope.find(self)
        return text_of(found[0]) or None if found else None

    def found(self, scope: Scope, whole: bool) -> Found | None:
        """Return the first element, or its text, for the first step of a row; None when there is none."""
        items = scope.find(self)
        given = (Element(items[0]) if items else None) if whole else self.get(scope)
        return Found(given, self.text, _shown(items[0])) if given is not None else None

    def items(self, scope: Scope, whole: bool) -> Iterator[tuple[str, str, Element | str]]:
        """Yield all elements, the preferred one first (ContactPoint.rank); objects only to a step that takes them."""
        found = list(enumerate(scope.find(self)))
        for index, data in sorted(found, key=lambda item: _rank(item[1])):
            if whole or not isinstance(data, dict):
                yield f"{self.text}[{index}]", _shown(data), Element(data) if whole else text_of(data)

    def raw(self, scope: Scope) -> str:
        """Return the first element as it stands, an object as JSON."""
        found = scope.find(self)
        return _shown(found[0]) if found else ""

    def located(self, scope: Scope) -> str:
        """Return the path: an Invoice is one."""
        return self.text


def text_of(data: Any) -> str:
    """Return a primitive value as text. Raises Rejected for an object."""
    if isinstance(data, dict):
        raise Rejected("an object stands there, and a text is wanted", "let the path name an element of it")
    if isinstance(data, bool):
        return "true" if data else "false"
    return str(data)


def _bare(data: Any) -> Any:
    """Return a copy without what stands beside values: of `use` and `_use` fhirpathpy makes two, equal to no code."""
    if isinstance(data, dict):
        return {name: _bare(value) for name, value in data.items() if name[:1] != "_" or data.get(name[1:]) is None}
    return [_bare(item) for item in data] if isinstance(data, list) else data


def _shown(data: Any) -> str:
    return jsontext.encode(data).decode() if isinstance(data, dict) else text_of(data)


def _rank(data: Any) -> int:
    rank = data.get("rank") if isinstance(data, dict) else None
    return rank if isinstance(rank, int) and rank > 0 else 10**9


def _values(items: Any) -> Iterator[Any]:
    """Yield plain values; what a primitive has beside it is none, nor is a list inside a list."""
    for item in items if isinstance(items, list) else [items]:
        data = item.data if isinstance(item, ResourceNode) else item
        if isinstance(data, dict):
            if not data.keys() <= _BESIDE:
                yield data
        elif isinstance(data, (str, bool, int, Decimal)):
            yield data
        elif isinstance(data, float):
            yield Decimal(str(data))
        elif data is not None and not isinstance(data, list):
            yield str(data)  # fhirpathpy's own dates and quantities


# -------------------------------------------------------------------------------------------------------- compiling


#: A variable and steps of which each finds nothing in nothing; exists() and the like find something.
_PLAIN = re.compile(r"%(\w+)(?:\.where\((?:[^()]|\([^()]*\))*\)|\.first\(\)|\.\w+(?!\w|\()|\[\d+\])*", re.ASCII)


@lru_cache(maxsize=1024)
def compile_path(text: str, root: str = "Invoice") -> ElementPath:
    """Return the compiled path over a resource of type `root`. Raises ValueError that says what is wrong with it."""
    tree = _parse(text)
    _check(text, tree, root)
    plain = _PLAIN.fullmatch(text)
    return ElementPath(text, tree, plain[1] if plain and plain[1] in VARIABLES else "")


def compile_account(text: str, root: str = "Invoice") -> ElementPath:
    """Return a path that needs the resource alone: what it is called must not depend on what else came along."""
    path = compile_path(text, root)
    if any(node["type"] == "ExternalConstantTerm" for node in _nodes(path.tree)):
        raise ValueError(f"{text!r}: an account is named by the {root} alone, without %variables")
    return path


class _Strict(ErrorListener):  # type: ignore[misc]  # antlr4 has no types
    def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, message: str, error: Any) -> None:
        raise ValueError(column)


def _parse(text: str) -> dict[str, Any]:
    """Parse the whole text; fhirpathpy's own `compile` takes `status junk` for `status`."""
    lexer = FHIRPathLexer(InputStream(text))
    lexer.removeErrorListeners()
    lexer.addErrorListener(_Strict())
    parser = FHIRPathParser(CommonTokenStream(lexer))
    parser.removeErrorListeners()
    parser.addErrorListener(_Strict())
    try:
        whole = parser.entireExpression()
    except ValueError as error:
        raise ValueError(f"{text!r} is not FHIRPath: it goes wrong at character {error.args[0] + 1}") from None
    except RecursionError:
        raise ValueError(f"{text[:40]!r}… is not FHIRPath: nested too deeply") from None
    listener = ASTPathListener()
    ParseTreeWalker().walk(listener, whole.expression())
    tree: dict[str, Any] = listener.parentStack[0]
    return tree


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for child in node.get("children", ()):
        yield child
        yield from _nodes(child)


def _check(text: str, tree: dict[str, Any], resource: str) -> None:
    """Raise ValueError for names that would only be noticed, or not even then, while a message is read."""
    for node in _nodes(tree):
        if node["type"] == "FunctionInvocation":
            name = _name(node["children"][0])
            if name in _FORBIDDEN:
                raise ValueError(f"{text!r}: a map cannot use {name}()")
            if name not in invocation_registry or not name.isidentifier():
                raise ValueError(f"{text!r}: there is no function {name}()")
        elif node["type"] == "ExternalConstantTerm":
            variable = _name(node["children"][0])
            if variable not in (*VARIABLES, "resource", "context"):
                known = ", ".join(f"%{name}" for name in VARIABLES)
                raise ValueError(f"{text!r}: there is no %{variable}; known: {known}")
    root = _root(tree)
    if root[:1].isupper() and root != resource:
        raise ValueError(f"{text!r}: a path begins at the {resource}, or at a variable such as %patient")


def _name(node: dict[str, Any]) -> str:
    inner = next((child for child in node.get("children", ()) if child["type"] == "Identifier"), None)
    return re.sub("[`\"']", "", inner["text"]) if inner else "it"


def _root(node: dict[str, Any]) -> str:
    """Return the element with which a path begins; "" where it begins with something else."""
    while children := node.get("children"):
        node = children[0]
        if node["type"] == "MemberInvocation":
            return _name(node)
        if node["type"] in ("FunctionInvocation", "ExternalConstantTerm"):
            break
    return ""
