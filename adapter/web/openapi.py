"""The internal face as an OpenAPI 3.1 document, for tools that test or draw it, made of the tables that serve it."""

from __future__ import annotations

from importlib.metadata import version as version_of
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chartpost.adapter.flow.door.receive_fhir import BUNDLES
from chartpost.adapter.web.api import describe
from chartpost.adapter.web.fhir_outcome import FHIR_JSON
from chartpost.adapter.web.fhir_table import INTERACTIONS, PARAMETERS, RECONCILIATION, Interaction
from chartpost.mappings.fhir.billed import BILLED

Json = dict[str, Any]

_ID = {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}
#: handler → what it answers when all is well: status → resource; and the body that it takes.
_ANSWERS: dict[str, dict[str, str]] = {
    "metadata": {"200": "CapabilityStatement"},
    "create": {"200": "OperationOutcome", "201": "OperationOutcome"},
    "update": {"200": "OperationOutcome", "201": "OperationOutcome"},
    "consent": {"200": "OperationOutcome", "201": "OperationOutcome"},
    "bundle": {"200": "Bundle", "202": "OperationOutcome"},
    "message": {"200": "Bundle"},
    "search": {"200": "Bundle"},
    "read": {"200": RECONCILIATION},
}
_BODIES = {"bundle": "Charges", "message": "Message", "consent": "Consent"}
_ANSWERED = ["transaction-response", "batch-response", "message", "searchset"]
_REFUSALS = {
    "400": "It is not what this address takes",
    "404": "There is no such address, source or resource",
    "406": "Only JSON is answered",
    "412": "The version in If-Match is not the newest",
    "413": "It is too large, or too much at once",
    "415": "Only JSON in UTF-8, of the source's version of FHIR, is taken",
    "422": "It would bill one Invoice or ChargeItem on two accounts",
    "503": "It could not be stored: send it again",
}
#: handler → the refusals that it knows, besides 401 for everybody.
_REFUSED = {
    "metadata": ("404", "406"),
    "read": ("404", "406", "503"),
    "search": ("400", "404", "406", "413", "415", "503"),
    "consent": ("400", "404", "406", "413", "415", "503"),
    "bundle": (*_REFUSALS,),
    "message": (*_REFUSALS,),
    "create": (*_REFUSALS,),
    "update": (*_REFUSALS,),
}


def document(url: str) -> Json:
    """Return the document of the face at `url`."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chartpost, inside", "version": version_of("chartpost"), "license": {"name": "Apache-2.0"}},
        "servers": [{"url": url}],
        "paths": _paths() | describe.paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                **{name: _resource(name, id={"type": "string", "pattern": "^[A-Za-z0-9.-]{0,64}$"}) for name in BILLED},
                "Consent": _resource("Consent", id={"type": "string", "pattern": "^[A-Za-z0-9.-]{0,64}$"}),
                "Charges": _resource("Bundle", type={"enum": [*BUNDLES]}),
                "Bundle": _resource("Bundle", type={"enum": _ANSWERED}),
                "Message": _resource("Bundle", type={"const": "message"}),
                "CapabilityStatement": _resource("CapabilityStatement", fhirVersion={"type": "string"}),
                RECONCILIATION: _resource(RECONCILIATION, id=_ID, meta={"type": "object"}),
                "OperationOutcome": _resource("OperationOutcome", issue=_list(_ISSUE)),
                **describe.schemas(),
            },
        },
    }


class OpenApi:
    """Serves the document."""

    def __init__(self, url: str) -> None:
        self._document = document(url)

    def routes(self) -> list[Route]:
        return [Route("/openapi.json", self.read, methods=["GET"])]

    def read(self, request: Request) -> Response:
        return JSONResponse(self._document)


_ISSUE = {
    "type": "object",
    "required": ["severity", "code", "diagnostics"],
    "properties": {
        "severity": {"enum": ["fatal", "error", "warning", "information"]},
        "code": {"type": "string"},
        "diagnostics": {"type": "string"},
        "expression": {"type": "array", "minItems": 1, "items": {"type": "string"}},
    },
}


def _paths() -> Json:
    text, page = {"text/plain": {"schema": {"type": "string"}}}, {"text/html": {"schema": {"type": "string"}}}
    paths: Json = {
        "/": _plain("Say what this face is", {"200": ("The page", page)}),
        "/healthz": _plain("Is the process alive", {"200": ("It is", text)}),
        "/readyz": _plain("Does the database answer", {"200": ("It does", text), "503": ("It does not", text)}),
        "/metrics": _plain("Figures for Prometheus", {"200": ("The figures", text)}),
        "/openapi.json": _plain(
            "This document", {"200": ("The document", {"application/json": {"schema": {"type": "object"}}})}
        ),
    }
    for one in INTERACTIONS:
        path = f"/fhir/{{source}}/{one.path}"
        paths.setdefault(path, {})[one.method.lower()] = _operation(one)
    return paths


def _plain(summary: str, answers: dict[str, tuple[str, Json]]) -> Json:
    responses = {status: {"description": text, "content": content} for status, (text, content) in answers.items()}
    return {"get": {"summary": summary, "security": [], "responses": responses}}


def _operation(one: Interaction) -> Json:
    source = {"name": "source", "in": "path", "required": True, "description": "a source of type fhir"}
    parameters: list[Json] = [source | {"schema": {"type": "string", "pattern": "^[a-z0-9]+([-_][a-z0-9]+)*$"}}]
    if "{id}" in one.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": _ID})
    if one.handler == "create":
        parameters.append(_header("If-None-Exist", "identifier=urn:example:invoice|17"))
    if one.handler == "update":
        parameters.append(_header("If-Match", 'W/"17"'))
    if one.handler == "search" and one.method == "GET":
        parameters += [
            {"name": name, "in": "query", "description": means, "schema": {"type": "string"}, "example": example}
            for name, _, means, example in PARAMETERS
        ]
        parameters.append({"name": "_count", "in": "query", "schema": {"type": "integer", "minimum": 0}})
    responses = {status: _says(kind, kind) for status, kind in _ANSWERS[one.handler].items()}
    responses |= {status: _says(_REFUSALS[status], "OperationOutcome") for status in _REFUSED[one.handler]}
    operation: Json = {"summary": one.does, "parameters": parameters, "responses": responses}
    if one.handler == "metadata":
        return operation | {"security": []}
    responses["401"] = _says("No token, or not this source's", "OperationOutcome")
    taken = one.path.partition("/")[0]
    if one.handler in _BODIES or taken in BILLED:
        schema = {"$ref": f"#/components/schemas/{_BODIES.get(one.handler, taken)}"}
        operation["requestBody"] = {"required": True, "content": {FHIR_JSON: {"schema": schema}}}
    elif one.method == "POST":
        form = {"type": "object", "properties": {name: {"type": "string"} for name, *_ in PARAMETERS}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": form}}}
    return operation | {"security": [{"token": []}]}


def _says(description: str, resource: str) -> Json:
    content = {FHIR_JSON: {"schema": {"$ref": f"#/components/schemas/{resource}"}}}
    return {"description": description, "content": content}


def _header(name: str, example: str) -> Json:
    return {"name": name, "in": "header", "schema": {"type": "string"}, "example": example}


def _resource(kind: str, **properties: Any) -> Json:
    required = ["resourceType", *(name for name in properties if name not in ("id", "meta"))]
    return {
        "type": "object", "required": required, "properties": {"resourceType": {"const": kind}, **properties},
    }  # fmt: skip


def _list(items: Json) -> Json:
    return {"type": "array", "minItems": 1, "items": items}
