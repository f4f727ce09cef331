"""The CapabilityStatement: what the face does, made of the table that routes it. Pure."""

from __future__ import annotations

import datetime as dt
from importlib.metadata import version as version_of
from typing import Any

from chartpost.adapter.flow.door.receive_fhir import BUNDLES, Version
from chartpost.adapter.web.fhir_outcome import FHIR_JSON
from chartpost.adapter.web.fhir_table import PARAMETERS, RECONCILIATION, VERSIONS, offered

#: handler → FHIR's word for it (code systems restful-interaction of types).
_CODES = {"create": "create", "update": "update", "search": "search-type", "read": "read"}
_TAKEN = (
    "Each states what is owed now; the newest counts. It is known by its first business identifier, else by its id: "
    "a create with an identifier that is known is an update (200). An id in a create is kept. If-None-Exist takes "
    "identifier=system|value. If-Match is honoured. What was taken is not read back here."
)
_CONSENTS = (
    "Whether the patient's numbers may be texted about bills: where a category or a code of the provision says that it "
    "is about that. Read are status, provision.type (R5 decision), policyRule and the patient; not period, actor, "
    "verification. What was taken is not read back here."
)
_BUNDLES = (
    f"Bundles are taken at the base and at /Bundle: {', '.join(BUNDLES)}. All but a batch are all or nothing. "
    "Resources other than {kind} are kept for those in the same Bundle that refer to them, and answered 202. "
    "At the base also notifications of subscriptions (R4 rest-hook, R4 and R4B Backport, R5), answered 200."
)


def capability(version: Version, base: str, since: dt.datetime, kind: str = "Invoice") -> dict[str, Any]:
    """Return the statement of one source's face at `base`; `since` is when this process began to offer it.

    `kind` is what the source's map reads: "Invoice" or "ChargeItem".
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": since.astimezone(dt.UTC).isoformat(timespec="seconds"),
        "kind": "instance",
        "software": {"name": "Chartpost", "version": version_of("chartpost")},
        "implementation": {"description": "Charges in, payments out", "url": base},
        "fhirVersion": VERSIONS[version][0],
        "format": [FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "documentation": _BUNDLES.format(kind=kind),
                "security": {"description": "Authorization: Bearer with the token of this source; metadata is open"},
                "resource": [
                    {
                        "type": kind, "documentation": _TAKEN, "interaction": _interactions(kind, kind),
                        "versioning": "versioned", "readHistory": False, "updateCreate": True,
                        "conditionalCreate": True, "conditionalUpdate": False, "conditionalDelete": "not-supported",
                    },
                    {
                        "type": RECONCILIATION, "interaction": _interactions(kind, RECONCILIATION),
                        "versioning": "versioned", "readHistory": False, "updateCreate": False,
                        "conditionalCreate": False, "conditionalUpdate": False, "conditionalDelete": "not-supported",
                        "searchParam": [
                            {"name": one.name, "type": one.type, "documentation": one.means} for one in PARAMETERS
                        ],
                    },
                    {
                        "type": "Consent", "documentation": _CONSENTS,
                        "interaction": [{"code": "create"}, {"code": "update"}], "versioning": "no-version",
                        "readHistory": False, "updateCreate": True, "conditionalCreate": False,
                        "conditionalUpdate": False, "conditionalDelete": "not-supported",
                    },
                ],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [
                    {
                        "name": "process-message",
                        "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
                    }
                ],
            }
        ],
    }  # fmt: skip


def _interactions(kind: str, resource: str) -> list[dict[str, str]]:
    mine = [one.handler for one in offered(kind) if one.path.split("/")[0] == resource]
    return [{"code": _CODES[handler]} for handler in dict.fromkeys(mine)]
