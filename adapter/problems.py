"""Everything that is wrong with a file, found one by one and told at once, each with its place."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from chartpost.adapter.yamlfile import YamlFile

Model = typing.TypeVar("Model", bound=BaseModel)

#: Said where a key is missing or wrong and the bare rule would not help.
_HELP = {
    "share": (
        "say which part of the charges is the patient's, it is never guessed: all (a private practice: patients pay"
        " everything), copay (only co-payment lines), self_pay (everything, for the PV1-20 classes listed in"
        " self_pay_classes), net_of_insurance (FT1-11 minus FT1-15), balance (the message states what is owed), or a"
        " rule of your own as {when: …, amount: …}"
    ),
}
#: What pydantic calls a value that is of another kind, and what people call it.
_KINDS = {
    "bool_": "must be true or false",
    "int_": "must be a whole number",
    "decimal_": "must be an amount, as in 5.00",
    "date_": "must be a date, as in 2026-12-25",
    "string_type": "must be text",
    "tuple_type": "must be a list, in brackets: [a, b]",
    "too_short": "must name one at least",
}
#: What a part says of one of its keys: "amounts.minimum: must be above zero".
_OF_A_KEY = re.compile(r"([a-z_]+(?:\.[a-z_]+)*): (.+)", re.DOTALL)


class Problems:
    """Findings about one file, each with the place it is at."""

    def __init__(self, file: YamlFile) -> None:
        self.file = file
        self._found: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, path: Iterable[str | int], text: str) -> None:
        at = tuple(path)
        self._found.append((self.file.where(at), f"{'.'.join(map(str, at))}: {text}"))

    def sorted(self) -> list[str]:
        """Return all, in the order of the file, each once."""

        def line(found: tuple[str, str]) -> tuple[str, int]:
            name, _, number = found[0].rpartition(":")
            return (name, int(number)) if number.isdigit() else (found[0], 0)

        ordered = sorted(dict.fromkeys(self._found), key=line)
        return [f"{where}: {text}" for where, text in ordered]

    def validate(self, model: type[Model], data: Mapping[str, Any], at: tuple[str, ...] = ()) -> Model | None:
        """Return the validated model, or None after adding what is wrong; the value itself stays out of the text."""
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False, include_context=False)
            inner = {detail["loc"][:-1] for detail in details if detail["loc"]}
            for detail in details:
                if detail["type"] == "too_short" and detail["loc"] in inner:
                    continue  # of what stands there each is told already
                loc = _without_tags(detail["loc"], data)
                if detail["type"] in ("union_tag_not_found", "union_tag_invalid"):
                    loc = (*loc, "type")
                text = _explain(model, detail["type"], detail["loc"], detail["msg"])
                keyed = _OF_A_KEY.fullmatch(text) if detail["type"] == "value_error" else None
                if keyed and keyed[1].split(".")[0] in _model_at(model, detail["loc"]).model_fields:
                    loc, text = (*loc, *keyed[1].split(".")), keyed[2]
                self.add((*at, *loc), text)
            return None


def _without_tags(loc: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """Leave out what pydantic puts between for the kind of a part (`sources.his.mllp.listen`): no file has it."""
    kept: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(data, Mapping) and part not in data and not last:
            continue
        if kept and isinstance(data, (str, int, float)):
            continue
        kept.append(part)
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = None
    return tuple(kept)


def _explain(model: type[BaseModel], kind: str, loc: tuple[str | int, ...], message: str) -> str:
    key = str(loc[-1]) if loc else ""
    if kind == "missing":
        return f"is missing; {_HELP[key]}" if key in _HELP else "is missing"
    if kind == "extra_forbidden":
        known = sorted(_model_at(model, loc[:-1]).model_fields)
        close = difflib.get_close_matches(key, known, 1)
        return f"is no setting; did you mean {close[0]}?" if close else f"is no setting; known here: {', '.join(known)}"
    if kind == "union_tag_not_found":
        return f"is missing; write {_tags(model, loc)}"
    if kind == "union_tag_invalid":
        return f"is none of the known kinds; write {_tags(model, loc)}"
    if key in _HELP:
        return f"is none of the known words; {_HELP[key]}"
    if kind == "model_type":
        return f"must have keys of its own: {', '.join(sorted(_model_at(model, loc).model_fields))}"
    if told := next((text for start, text in _KINDS.items() if kind.startswith(start)), ""):
        return told
    message = message.removeprefix("Value error, ")
    return message.replace("Input should be", "must be", 1)


def _tags(model: type[BaseModel], loc: tuple[str | int, ...]) -> str:
    """Name the kinds that a part may be of: "mllp, fhir or broker"."""
    *most, last = map(_kind_of, _models_in(model.model_fields[str(loc[0])].annotation))
    return f"{', '.join(most)} or {last}" if most else last


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    kinds: list[type[BaseModel]] = []
    for part in loc:
        if part in model.model_fields:
            kinds = _models_in(model.model_fields[str(part)].annotation)
            model = kinds[0] if kinds else model
        else:  # the name of a part, or its kind
            model = next((kind for kind in kinds if _kind_of(kind) == part), model)
    return model


def _kind_of(model: type[BaseModel]) -> str:
    field = model.model_fields.get("type")
    return str(next(iter(typing.get_args(field.annotation)), "")) if field else ""


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models_in(argument)]
