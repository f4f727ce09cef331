"""OperationOutcome: what FHIR says beside a resource, or instead of one (R4 and R5 alike). Pure."""

from __future__ import annotations

from typing import Any, NamedTuple


class Issue(NamedTuple):
    """One thing to say. `text` is for people and shows no person's value."""

    code: str  #: IssueType: "structure", "required", "invalid", "not-supported", "informational" …
    text: str
    where: str = ""  #: FHIRPath of the element: "Bundle.entry[2].request"
    severity: str = "error"  #: fatal, error, warning or information


def note(text: str, where: str = "") -> Issue:
    """Return an issue that is only for information."""
    return Issue("informational", text, where, "information")


def outcome(*issues: Issue) -> dict[str, Any]:
    """Return the OperationOutcome of at least one issue."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def _issue(issue: Issue) -> dict[str, Any]:
    said: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    return said | {"expression": [issue.where]} if issue.where else said
