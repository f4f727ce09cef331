"""Answers of the FHIR face: always JSON, and an OperationOutcome wherever there is something to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from chartpost.mappings.fhir import jsontext
from chartpost.mappings.fhir.outcome import Issue, outcome

FHIR_JSON = "application/fhir+json"
#: Seconds after which a sender may try again what could not be stored.
RETRY_AFTER = "5"


def fhir(resource: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a resource; Decimals keep their digits."""
    more = {"retry-after": RETRY_AFTER} if status == 503 else {}
    return Response(jsontext.encode(resource), status, more | dict(headers or {}), FHIR_JSON)


def said(status: int, *issues: Issue, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an OperationOutcome."""
    return fhir(outcome(*issues), status, headers)


def is_fhir(path: str) -> bool:
    """Say whether an address of the internal face is FHIR's, so that its failures are answered by `failed`."""
    return path == "/fhir" or path.startswith("/fhir/")


def failed(status: int, code: str) -> Response:
    """Answer for a failure of ours, which the log has under this code. 503: nothing was stored, send it again."""
    if status == 503:
        return said(503, Issue("transient", f"not stored for now ({code}); send it again"))
    return said(status, Issue("exception", f"failed on our side; the log has it under {code}", severity="fatal"))
