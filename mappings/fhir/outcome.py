"""OperationOutcome: what FHIR says beside a resource, or instead of one (R4 and R5 alike). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

#: The codes of an issue, from R4 to R5 (http://hl7.org/fhir/issue-type): a closed list cannot name a person.
CODES = frozenset({
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired", "forbidden",
    "suppressed", "processing", "not-supported", "duplicate", "multiple-matches", "not-found", "deleted", "too-long",
    "code-invalid", "extension", "too-costly", "business-rule", "conflict", "limited-filter", "transient", "lock-error",
    "no-store", "exception", "timeout", "incomplete", "throttled", "informational", "success",
})  # fmt: skip
_HARMLESS = ("warning", "information", "success")
_ELEMENT = re.compile(r"[A-Z][A-Za-z]{1,63}(\.[a-z][A-Za-z0-9]{0,63}(\[[0-9]{1,4}\])?){1,12}")


class Issue(NamedTuple):
    """One thing to say. `text` is for people and shows no person's value."""

    code: str  #: IssueType: "structure", "required", "invalid", "not-supported", "informational" …
    text: str
    where: str = ""  #: FHIRPath of the element: "Bundle.entry[2].request"
    severity: str = "error"  #: fatal, error, warning or information

    @property
    def wrong(self) -> bool:
        """Say whether it tells of a failure (FHIR R4 §2.28.2). Whatever is not said to be harmless does."""
        return self.severity not in _HARMLESS


def note(text: str, where: str = "") -> Issue:
    """Return an issue that is only for information."""
    return Issue("informational", text, where, "information")


def outcome(*issues: Issue) -> dict[str, Any]:
    """Return the OperationOutcome of at least one issue."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    said: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    return said | {"expression": [issue.where]} if issue.where else said


def read(found: Any) -> list[Issue]:
    """Return the issues of an OperationOutcome that somebody else wrote; [] when it is none.

    Only code and elements are taken over. What stands beside them in words may name the patient.
    """
    if not isinstance(found, dict) or found.get("resourceType") != "OperationOutcome":
        return []
    return [_told(issue) for issue in _listed(found.get("issue")) if isinstance(issue, dict)]


def reasons(issues: Iterable[Issue]) -> str:
    """Say in one line, of 200 characters at most, what is wrong: "Invoice.status: required; business-rule"."""
    said = (": ".join(filter(None, [issue.where, issue.code])) for issue in issues if issue.wrong)
    return "; ".join(dict.fromkeys(filter(None, said)))[:200]


def _told(issue: dict[str, Any]) -> Issue:
    code, severity = issue.get("code"), issue.get("severity")
    elements = [x for x in _listed(issue.get("expression")) if isinstance(x, str) and _ELEMENT.fullmatch(x)]
    return Issue(
        code if isinstance(code, str) and code in CODES else "", "", ", ".join(elements),
        severity if isinstance(severity, str) else "error",
    )  # fmt: skip


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
