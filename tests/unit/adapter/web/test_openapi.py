"""The OpenAPI document says what is served."""

from __future__ import annotations

from typing import Any

from schemathesis import openapi
from starlette.applications import Starlette
from starlette.testclient import TestClient

from chartpost.adapter.web.fhir_table import INTERACTIONS
from chartpost.adapter.web.openapi import OpenApi, document

URL = "http://inside.example.org"


def test_the_document_is_served_and_is_openapi() -> None:
    client = TestClient(Starlette(routes=OpenApi(URL).routes()))
    served = client.get("/openapi.json").json()
    assert served == document(URL)
    openapi.from_dict(served).validate()


def test_every_interaction_of_fhir_is_in_it_and_each_has_its_own_refusals() -> None:
    paths: dict[str, Any] = document(URL)["paths"]
    for one in INTERACTIONS:
        operation = paths[f"/fhir/{{source}}/{one.path}"][one.method.lower()]
        assert operation["summary"] == one.does
        assert ("401" in operation["responses"]) == (one.handler != "metadata")


def test_what_is_said_in_references_is_there() -> None:
    whole = document(URL)
    wanted = {word for word in str(whole).split("'") if word.startswith("#/components/schemas/")}
    assert wanted == {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}
