"""What lint found, as it is kept with a message (message.report), and as `chartpost trace` tells it. Never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from chartpost.mappings.finding import SEVERITIES, Finding, counted

#: Findings that are kept of one message.
KEPT = 50
_SHOWN = ("severity", "place", "rule", "text")

Report = dict[str, Any]


def kept(findings: Sequence[Finding]) -> Report:
    """Return what is kept: how many of each severity there are, and the first of them."""
    counts = Counter(one.severity for one in findings)
    first = [{name: getattr(one, name) for name in _SHOWN} for one in findings[:KEPT]]
    return {"counts": {severity: counts[severity] for severity in SEVERITIES}, "findings": first}


def is_clean(report: Report) -> bool:
    """Say whether there is nothing but notes."""
    return not report["counts"]["error"] and not report["counts"]["warning"]


def said(report: Report) -> tuple[str, tuple[str, ...]]:
    """Return "lint: 2 errors, 1 note", and a line for each finding that was kept."""
    lines = [" ".join(filter(None, (one["severity"], one["place"], one["rule"]))) for one in report["findings"]]
    lines = [f"{line}: {one['text']}" for line, one in zip(lines, report["findings"], strict=True)]
    if (more := sum(report["counts"].values()) - len(lines)) > 0:
        lines.append(f"and {more} more")
    return f"lint: {counted(report['counts'])}", tuple(lines)
