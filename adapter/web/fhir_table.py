"""What the FHIR face offers, as one table: routing, CapabilityStatement and OpenAPI document are made of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chartpost.adapter.flow.door.receive_fhir import Version
from chartpost.mappings.fhir.billed import BILLED

Handler = Literal["metadata", "create", "update", "consent", "bundle", "message", "search", "read", "other"]
RECONCILIATION = "PaymentReconciliation"


class Interaction(NamedTuple):
    """One way to call the face."""

    method: str
    path: str  #: under the base; "{id}" stands for one
    handler: Handler
    does: str


INTERACTIONS = (
    Interaction("GET", "metadata", "metadata", "Tell what this server does"),
    Interaction("POST", "", "bundle", "Take the Invoices of a Bundle, or a notification"),
    Interaction("POST", "Bundle", "bundle", "Take the Invoices of a Bundle"),
    Interaction("POST", "$process-message", "message", "Take the Invoices of a message"),
    Interaction("POST", "Invoice", "create", "Take an Invoice"),
    Interaction("PUT", "Invoice/{id}", "update", "Take the newest state of an Invoice"),
    Interaction("POST", "Invoice/{id}", "update", "The same, from a rest-hook that posts"),
    Interaction("POST", "ChargeItem", "create", "Take a ChargeItem, where the map reads these"),
    Interaction("PUT", "ChargeItem/{id}", "update", "Take the newest state of a ChargeItem"),
    Interaction("POST", "ChargeItem/{id}", "update", "The same, from a rest-hook that posts"),
    Interaction("POST", "Consent", "consent", "Take a Consent: whether its patient may be texted"),
    Interaction("PUT", "Consent/{id}", "consent", "Take the newest state of a Consent"),
    Interaction("GET", RECONCILIATION, "search", "Search payments"),
    Interaction("POST", f"{RECONCILIATION}/_search", "search", "Search payments"),
    Interaction("GET", f"{RECONCILIATION}/{{id}}", "read", "Read a payment"),
)


def offered(kind: str) -> tuple[Interaction, ...]:
    """Return what a source is offered whose map reads resources of this kind, and not those of the other one."""
    others = BILLED.keys() - {kind}
    return tuple(one for one in INTERACTIONS if one.path.partition("/")[0] not in others)


#: What becomes of a resource that no address takes: it is refused, and kept for a person to see what was tried.
KEPT = Interaction("", "", "other", "Keep and refuse")


class Parameter(NamedTuple):
    """A search parameter."""

    name: str
    type: str  #: SearchParamType
    means: str
    example: str


PARAMETERS = (
    Parameter("_id", "token", "the id", "P1A2B3C4D5E6"),
    Parameter("_lastUpdated", "date", "since when it can be read here as it is", "ge2026-05-04T00:00:00Z"),
    Parameter("identifier", "token", "the posting's identifier, in detail", "urn:chartpost:posting|P1A2B3C4D5E6"),
    Parameter(
        "invoice", "reference", "the Invoice that was paid: detail.request, in R5 allocation.target", "Invoice/12"
    ),
)

#: source's version → fhirVersion as it is stated, and the fhirVersion parameters of content types that agree with it.
VERSIONS: dict[Version, tuple[str, tuple[str, ...]]] = {
    "R4": ("4.0.1", ("4.0", "4.3")),  # the resources taken here are the same in R4 and R4B
    "R4B": ("4.3.0", ("4.0", "4.3")),
    "R5": ("5.0.0", ("5.0",)),
}


def fits(template: str, path: str) -> dict[str, str] | None:
    """Return what "{id}" stands for when the path is one of the template, else None."""
    head, hole, _ = template.partition("{id}")
    if not hole:
        return {} if path == template else None
    id = path.removeprefix(head)
    # What begins with _ or $ is never an id, but a search or an operation.
    return {"id": id} if path.startswith(head) and id and "/" not in id and id[0] not in "_$" else None
