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
from schemathesis.specs.openapi.checks import positive_data_acceptance

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


schema = openapi.from_dict(described(), config=SchemathesisConfig.from_dict(CONFIG)).exclude(path="/metrics")


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
    case.call_and_validate(url, headers=AUTH, excluded_checks=[positive_data_acceptance])
