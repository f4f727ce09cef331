"""Everything that is wrong with a file, found one by one and told at once, each with its place."""

from __future__ import annotations

import difflib
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
        " self_pay_classes), net_of_insurance (FT1-11 minus FT1-15) or balance (the message states what is owed)"
    ),
}


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
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                self.add((*at, *detail["loc"]), _explain(model, detail["type"], detail["loc"], detail["msg"]))
            return None


def _explain(model: type[BaseModel], kind: str, loc: tuple[str | int, ...], message: str) -> str:
    key = str(loc[-1]) if loc else ""
    if kind == "missing":
        return f"is missing; {_HELP[key]}" if key in _HELP else "is missing"
    if kind == "extra_forbidden":
        known = sorted(_model_at(model, loc[:-1]).model_fields)
        close = difflib.get_close_matches(key, known, 1)
        return f"is no setting; did you mean {close[0]}?" if close else f"is no setting; known here: {', '.join(known)}"
    if key in _HELP:
        return f"is none of the known words; {_HELP[key]}"
    message = message.removeprefix("Value error, ")
    return message.replace("Input should be", "must be", 1)


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    for part in loc:
        if part in model.model_fields:
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
