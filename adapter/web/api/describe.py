"""The API's part of the OpenAPI document, made of the same table that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from chartpost.adapter.web.api.operations import OPERATIONS
from chartpost.adapter.web.api.problem import CONTENT_TYPE, ProblemDetails
from chartpost.adapter.web.api.table import Operation

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_REFUSALS = {
    400: "It is no JSON",
    401: "No token, or nobody's",
    403: "This user may not do that",
    404: "There is no such thing, or it is not this user's to see",
    409: "It cannot be done as things stand: the sentence says why",
    413: "It is too large",
    415: "Only application/json is taken",
    422: "Some of it cannot be taken: each field with its problem",
    429: "Too many wrong tokens",
    503: "The ledger does not answer: try again",
}
#: What stands in a path.
_NAMES = {
    "request": "^R[0-9A-Z]{11}$", "account": "^A[0-9]{1,17}$", "hold": "^H[0-9]{1,17}$",
}  # fmt: skip


def paths() -> Json:
    """Return the paths below /api."""
    found: Json = {}
    for one in OPERATIONS:
        found.setdefault(f"/api{one.path}", {})[one.method.lower()] = _operation(one)
    return found


def schemas() -> Json:
    """Return every model that the paths name."""
    models: dict[type[BaseModel], Any] = {ProblemDetails: "serialization"}
    for one in OPERATIONS:
        models[one.answer] = "serialization"
        if one.body is not None:
            models[one.body] = "validation"
    _, document = models_json_schema(list(models.items()), ref_template=_REF)
    return dict(document["$defs"])


def _operation(one: Operation) -> Json:
    parameters: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": _NAMES[name]}}
        for name in re.findall(r"\{(\w+)\}", one.path)
    ]
    if one.query is not None:
        schema = one.query.model_json_schema(ref_template=_REF)
        for name, means in schema["properties"].items():
            parameters.append({"name": name, "in": "query", "schema": _without_null(means)})
    refusals: Iterable[int] = {401, 403, 429, 503, *one.refusals}
    if one.body is not None:
        refusals = {*refusals, 400, 413, 415, 422}
    if one.query is not None:
        refusals = {*refusals, 422}
    answer = {"application/json": {"schema": _model(one.answer)}}
    operation: Json = {
        "summary": one.does,
        "description": f"Needs the scope `{one.scope}`." if one.scope else "For every user.",
        "parameters": parameters,
        "responses": {str(one.status): {"description": "Done", "content": answer}}
        | {
            str(status): {
                "description": _REFUSALS[status], "content": {CONTENT_TYPE: {"schema": _model(ProblemDetails)}},
            }
            for status in sorted(refusals)
        },
        "security": [{"token": []}],
    }  # fmt: skip
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _model(one.body)}}}
    return operation


def _model(model: type[BaseModel]) -> Json:
    return {"$ref": _REF.format(model=model.__name__)}


def _without_null(schema: Json) -> Json:
    """A parameter that is left out is not null."""
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return options[0] if len(options) == 1 else {key: value for key, value in schema.items() if key != "default"}
