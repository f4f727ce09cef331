"""What a server is answered that notifies us: 200 once it is stored, so that it does not tell us again."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from chartpost.adapter.errors import Transient
from chartpost.adapter.flow.door.notified import Subscriptions
from chartpost.adapter.web.fhir_outcome import said
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.fhir.notification import notification
from chartpost.mappings.fhir.outcome import Issue, note


def heard(subscriptions: Subscriptions, bundle: Any, body: bytes, now: int) -> Response:
    """Take a notification and return its answer; `now` is in microseconds since 1970."""
    told = notification(bundle)
    assert told is not None, "the judge has looked"
    try:
        taken = subscriptions.hear(bundle, body, told, now)
    except FhirError as error:
        return said(400, Issue("structure", str(error), "Bundle"))
    except Transient as error:
        return said(503, Issue("transient", f"{error}; send it again"))
    return said(200, note(f"{told.kind}: {taken} new states of Invoices are stored"))
