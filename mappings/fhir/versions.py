"""Know the structure of FHIR resources by version, and check what we send against it before it leaves.

The structure is that of fhir.resources; R4 stands for R4B there, and the resources that we write are the same in both.
It is not enough alone (tried): it passes any code for a required binding, any id, any currency, a Reference to the
wrong type, an empty object, a uri with spaces. Those are checked here; what is reported names places and rules only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.model import exponent

Version = Literal["R4", "R4B", "R5"]
_PACKAGES = {"R4": "fhir.resources.R4B", "R4B": "fhir.resources.R4B", "R5": "fhir.resources"}
_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_URIS = frozenset({"canonical", "oid", "uri", "url", "uuid"})
#: The type in a literal reference, relative or absolute, with or without a version: Patient/12/_history/3.
_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]{2,40})/[A-Za-z0-9.-]{1,64}(?:/_history/[A-Za-z0-9.-]{1,64})?$")

Shape = Literal["text", "decimal", "integer", "boolean"]
_SHAPES: dict[type, Shape] = {Decimal: "decimal", int: "integer", bool: "boolean"}


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """One element of a resource or data type, as a version defines it."""

    name: str
    datatype: str  #: "Money", "PaymentReconciliationDetail", "date", "code", …
    model: Any  #: the class of fhir.resources that an object of it must fit; None for a primitive
    shape: Shape  #: what a primitive is in JSON
    listed: bool
    required: bool
    codes: tuple[str, ...]  #: of a required binding; () where any will do
    targets: tuple[str, ...]  #: resource types that a Reference may lead to; () where any will do
    adapter: TypeAdapter[Any] | None


def root(version: str, resource: str) -> Any:
    """Return the class that a resource must fit. Raises ValueError when the version has no such resource."""
    # Some megabytes and a sixth of a second: only for those who write or check FHIR.
    return import_module(_PACKAGES[version]).get_fhir_model_class(resource)


@lru_cache(maxsize=256)
def elements(model: Any) -> Mapping[str, Element]:
    """Return the elements of a class by their names in JSON, without the `_name` twins of primitives."""
    found = {}
    for name, field in model.model_fields.items():
        if not name.endswith("__ext") and name != "fhir_comments":
            found[field.alias or name] = _element(field.alias or name, field)
    return found


def _element(name: str, field: Any) -> Element:
    inner, listed, optional = field.annotation, False, False
    while args := [arg for arg in get_args(inner) if arg is not type(None)]:
        optional = optional or type(None) in get_args(inner)
        if hasattr(inner, "__metadata__"):
            break
        listed = listed or get_origin(inner) is list
        inner = args[0]
    told = field.json_schema_extra or {}
    model = inner.get_model_klass() if hasattr(inner, "get_model_klass") else None
    base, marks = (get_args(inner)[0], inner.__metadata__) if hasattr(inner, "__metadata__") else (inner, ())
    primitive = type(marks[-1]).__name__ if marks else base.__name__.replace("bool", "Boolean")
    return Element(
        name=name,
        datatype=model.__name__ if model else primitive[:1].lower() + primitive[1:],
        model=model,
        shape=_SHAPES.get(base, "text"),
        listed=listed,
        required=not optional or bool(told.get("element_required")),
        codes=tuple(told.get("enum_values", ())) if primitive == "Code" else (),
        targets=tuple(type for type in told.get("enum_reference_types", ()) if type != "Resource"),
        adapter=None if model else TypeAdapter(inner),
    )


def unfit(element: Element, value: object) -> str:
    """Return why a value cannot stand in a primitive element, "" when it can. Never quotes the value."""
    if element.codes and value not in element.codes:
        return f"not one of {', '.join(element.codes)}"
    text = value if isinstance(value, str) else ""
    wanted: tuple[type, ...] = {
        "text": (str,), "decimal": (Decimal, int), "integer": (int,), "boolean": (bool,)
    }[element.shape]  # fmt: skip
    try:
        assert element.adapter is not None
        element.adapter.validate_python(value)
        fits = isinstance(value, wanted) and not (isinstance(value, bool) and element.shape != "boolean")
    except (ValidationError, ValueError, TypeError, OverflowError):
        fits = False
    if element.datatype == "id":
        fits = fits and bool(_ID.fullmatch(text))
    if element.datatype in _URIS:
        fits = fits and bool(text) and not re.search(r"\s", text)
    if element.shape == "text":
        fits = fits and not text.isspace()
    return "" if fits else f"not a valid {element.datatype}"


def check(body: bytes, resource: str, version: str) -> list[str]:
    """Return what is wrong with a resource for a version of FHIR; [] when nothing is.

    Each problem names an element and a rule, never a value. Raises nothing for bad bodies.
    """
    try:
        value = jsontext.decode(body)
    except jsontext.FhirError as error:
        return [str(error)]
    if not isinstance(value, dict) or value.get("resourceType") != resource:
        return [f"resourceType: this is no {resource}"]
    try:
        model = root(version, resource)
    except ValueError:
        return [f"resourceType: FHIR {version} has no {resource}"]
    problems = list(_rules(model, value, "", version))
    told = {problem.partition(": ")[0] for problem in problems}
    problems += [problem for problem in _schema(model, value, version) if problem.partition(": ")[0] not in told]
    return list(dict.fromkeys(problems))


def _schema(model: Any, value: dict[str, Any], version: str) -> Iterator[str]:
    """What fhir.resources finds: unknown elements, cardinality, formats."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            yield f"{_place(item['loc'])}: {_words(item['type'], version)}"
    except Exception as error:  # bare KeyErrors and RecursionErrors among them
        yield f"{model.__name__}: cannot be read ({type(error).__name__})"


def _words(kind: str, version: str) -> str:
    if kind == "extra_forbidden":
        return f"{version} has no such element"
    if kind.endswith("missing"):
        return f"missing, and {version} requires it"
    return {"list_type": "not a list", "model_validation_format": "not an object"}.get(kind, "not a valid value")


def _place(where: tuple[str | int, ...]) -> str:
    """Write a place as a map's target does: detail[0].amount."""
    place = ""
    for step in where:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step != "root":
            name = step if _NAME.fullmatch(step) else "?"
            place += f".{name}" if place else name
    return place or "resource"


def _rules(model: Any, value: dict[str, Any], path: str, version: str) -> Iterator[str]:
    """What fhir.resources passes over. Elements that it does not know are its own to report."""
    known = elements(model)
    for name, element in known.items():
        place = f"{path}.{name}" if path else name
        content = value.get(name)
        if content is None:  # fhir.resources looks for what is missing only where all else is right
            if element.required and f"_{name}" not in value:
                yield f"{place}: missing, and {version} requires it"
            continue
        if element.listed and content == []:
            yield f"{place}: a list must not be empty"
        items = content if element.listed and isinstance(content, list) else [content]
        for index, item in enumerate(items):
            here = f"{place}[{index}]" if element.listed else place
            if element.model is None:
                if item is not None and (wrong := unfit(element, item)):
                    yield f"{here}: {wrong}"
            elif isinstance(item, dict):
                yield from _object_rules(element, item, here, version)


def _object_rules(element: Element, value: dict[str, Any], place: str, version: str) -> Iterator[str]:
    if not value:
        yield f"{place}: an object must not be empty"
    if element.datatype == "Money":
        yield from _money_rules(value, place)
    if element.datatype == "Reference" and element.targets:
        literal = _LITERAL.search(str(value.get("reference", "")))
        named = re.fullmatch(r"[A-Z][A-Za-z]{2,40}", str(value.get("type", "")))
        said = {literal[1] if literal else "", named[0] if named else ""}
        for target in sorted(said - {"", *element.targets}):
            yield f"{place}: {version} lets it refer to {' or '.join(element.targets)}, not to {target}"
    if element.datatype != "Resource":  # a contained resource is whatever its own resourceType says
        yield from _rules(element.model, value, place, version)


def _money_rules(money: dict[str, Any], place: str) -> Iterator[str]:
    """A currency that exists (ISO 4217, a required binding), and exactly its decimals: 45.00, not 45 or 45.0."""
    try:
        digits = exponent(str(money.get("currency", "")))
    except ValueError:
        yield f"{place}.currency: not an ISO 4217 currency code"
        return
    amount = money.get("value")
    if isinstance(amount, Decimal) and amount.is_finite():
        written = -int(amount.as_tuple().exponent)
    elif isinstance(amount, int) and not isinstance(amount, bool):
        written = 0
    else:
        return
    if written != digits:
        yield f"{place}.value: must have {digits} decimals, as its currency has"
