"""What a FHIR Consent says of texts about bills, R4 to R5. Pure.

Most Consents of a chart are about something else. One is about texts if a category, or a code of its provision, is one
of the source's codes or `urn:chartpost:consent|text-messages`. Read are: status, provision.type (in R5 decision),
policyRule (OPTIN, OPTOUT), the patient. Not read are: period, actor, verification, attachments. What has exceptions
(a provision in the provision) is for a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from chartpost.mappings import er7
from chartpost.mappings.chain import Context
from chartpost.mappings.fhir.fhirpath import Element
from chartpost.mappings.fhir.references import fetchable, objects, text
from chartpost.mappings.fhir.transforms import cx

OURS = "urn:chartpost:consent|text-messages"
#: Of these nothing is in force yet.
_NOT_YET = frozenset(["draft", "proposed"])
#: Of these nothing is in force any more.
_ENDED = frozenset(["inactive", "rejected", "entered-in-error", "not-done"])


class Said(NamedTuple):
    """What a Consent means."""

    granted: bool | None  #: None: nothing here, or nobody knows
    why: str  #: where `granted` is None
    unclear: bool = False  #: a person has to look


def read(consent: dict[str, Any], codes: Collection[str]) -> Said:
    """Say what a Consent means for texts; `codes` are the source's own, "system|code"."""
    if not {OURS, *codes} & set(_codes(consent)):
        return Said(None, "it is not about texts: none of its codes says so")
    status = text(consent.get("status"))
    if status in _NOT_YET:
        return Said(None, f"it is {status}, and not in force")
    if status in _ENDED:
        return Said(False, "")
    provisions = objects(consent.get("provision"))
    if any(objects(provision.get("provision")) for provision in provisions) or len(provisions) > 1:
        return Said(None, "it has exceptions", unclear=True)
    word = text(consent.get("decision")) or text(provisions[0].get("type") if provisions else "")
    if status == "active" and word in ("permit", "deny"):
        return Said(word == "permit", "")
    rules = [text(coding.get("code")) for rule in objects(consent.get("policyRule")) for coding in _codings(rule)]
    if status == "active" and not word and len(rules) == 1 and rules[0] in ("OPTIN", "OPTOUT"):
        return Said(rules[0] == "OPTIN", "")
    return Said(None, "it says neither permit nor deny", unclear=True)


def chart(consent: dict[str, Any], around: Collection[dict[str, Any]] = ()) -> dict[str, str]:
    """Return by what its patient is known, as in model.Reading: PID-3 and Patient.reference, "" for none.

    `around` are entries of its Bundle: a Patient there, or contained, tells who that is.
    """
    [reference] = objects(consent.get("patient") or consent.get("subject"))[:1] or [{}]
    named = text(reference.get("reference"))
    inside = {f"#{text(one.get('id'))}": one for one in objects(consent.get("contained"))}
    outside = {text(entry.get("fullUrl")): entry.get("resource") for entry in around}
    patient = inside.get(named) or outside.get(named) or {}
    found = [*objects(reference.get("identifier")), *objects(patient.get("identifier"))]
    plain = Context("", "", "")  # an Identifier needs nothing of it
    numbers = [cx(Element(one), plain) for one in sorted(found, key=_is_record, reverse=True) if text(one.get("value"))]
    return {"PID-3": er7.STANDARD.repetition.join(numbers), "Patient.reference": fetchable(reference)}


def _is_record(identifier: dict[str, Any]) -> bool:
    """Say whether an Identifier is the medical record number: that one stands first, as in fhir-invoice."""
    return any(
        text(coding.get("code")) == "MR" for kind in objects(identifier.get("type")) for coding in _codings(kind)
    )


def _codes(consent: dict[str, Any]) -> Iterator[str]:
    """Yield every "system|code" of the categories and of the provisions' codes."""
    concepts = objects(consent.get("category"))
    for provision in objects(consent.get("provision")):
        concepts += objects(provision.get("code"))
    for concept in concepts:
        for coding in _codings(concept):
            yield f"{text(coding.get('system'))}|{text(coding.get('code'))}"


def _codings(concept: dict[str, Any]) -> list[dict[str, Any]]:
    return objects(concept.get("coding"))
