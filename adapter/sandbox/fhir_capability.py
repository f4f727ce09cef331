"""What the clinic's FHIR server offers. The server looks here, and says it: the CapabilityStatement cannot be wrong."""

from __future__ import annotations

from .fhir_auth import ALGORITHMS
from .fhir_json import Resource
from .fhir_search import PARAMETERS

#: resource type → its interactions (FHIR's type-restful-interaction codes)
OFFERED: dict[str, tuple[str, ...]] = {
    "Consent": ("create", "read", "vread", "search-type"),
    "Invoice": ("read", "vread", "update", "search-type"),
    "Patient": ("read", "vread"),
    "PaymentNotice": ("create", "read", "vread", "search-type"),
    "PaymentReconciliation": ("create", "read", "vread", "search-type"),
    "RelatedPerson": ("read", "vread"),
    "Subscription": ("create", "read", "vread"),
}
#: the letter of a SMART scope that an interaction needs
LETTERS = {"create": "c", "read": "r", "vread": "r", "update": "u", "search-type": "s"}
_STARTED = "2026-04-19"


def statement(base: str, conditional: bool) -> Resource:
    """Write the CapabilityStatement (R4); `conditional`: with conditional create."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _STARTED,
        "kind": "instance",
        "software": {"name": "Chartpost sandbox clinic"},
        "implementation": {"description": "An invented clinic, for trying things out", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "extension": [_oauth(base)],
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                }
                            ]
                        }
                    ],
                },
                "resource": [_resource(type, conditional) for type in OFFERED],
            }
        ],
    }


def _oauth(base: str) -> Resource:
    return {
        "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
        "extension": [{"url": "token", "valueUri": f"{base}/auth/token"}],
    }


def _resource(type: str, conditional: bool) -> Resource:
    offered = OFFERED[type]
    made: Resource = {
        "type": type,
        "interaction": [{"code": code} for code in offered],
        "versioning": "versioned",
        "readHistory": True,
    }
    if "update" in offered:
        made["updateCreate"] = False
    if "create" in offered:
        made["conditionalCreate"] = conditional
    if "search-type" in offered:
        made["searchParam"] = [{"name": name, "type": kind} for name, kind in PARAMETERS.items()]
    return made


def smart(base: str) -> Resource:
    """Write `.well-known/smart-configuration` for backend services (SMART App Launch 2.2)."""
    return {
        "token_endpoint": f"{base}/auth/token",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": [
            f"system/{type}.{''.join(sorted({LETTERS[code] for code in codes}, key='cruds'.index))}"
            for type, codes in OFFERED.items()
        ],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
