"""Schemathesis reads the OpenAPI document and tries what it says, and what it does not, on the running face."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fhir_face import TOKEN, served
from hypothesis import settings
from schemathesis import openapi
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from chartpost.adapter.ledger.store import Store
from chartpost.adapter.web.openapi import document

AUTH = {"Authorization": f"Bearer {TOKEN}"}
CONFIG: dict[str, Any] = {
    "generation": {"deterministic": True},
}


def described() -> dict[str, Any]:
    """The document, with the one source that there is: the document itself names none."""
    whole = document("http://127.0.0.1")
    for path in whole["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "source":
                    parameter["schema"] = {"enum": ["ehr"]}
    return whole


schema = openapi.from_dict(described(), config=SchemathesisConfig.from_dict(CONFIG))
schema = schema.exclude(path="/metrics").exclude(path_regex="^/api/")


@pytest.fixture(scope="module")
def url(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("ledger") / "chartpost.db"
    shutil.copy(migrated, path)
    store = Store.open(f"sqlite:///{path}", migrate=False)
    with served(store) as url:
        yield url
    store.close()


@schema.parametrize()
@settings(max_examples=20, derandomize=True, database=None, deadline=None)
def test_the_face_answers_as_the_document_says_it_does(case: Any, url: str) -> None:
    # That a date is one, or an entry's request fits its resource, is more than a schema says.
    excluded = [positive_data_acceptance]
    headers = case.meta.components.get(ParameterLocation.HEADER) if case.meta is not None else None
    # FHIR has a server pass over search parameters that it does not know (R4 §3.1.1.3); and a token that was left out
    # on purpose is put back here, which makes the request a good one.
    if case.method == "GET" or (headers is not None and headers.mode.is_negative):
        excluded.append(negative_data_rejection)
    case.call_and_validate(url, headers=AUTH, excluded_checks=excluded)
