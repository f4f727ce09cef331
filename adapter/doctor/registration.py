"""Senders that text the US must be registered with its carriers, which block what is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chartpost.adapter.doctor.finding import Finding, State

_CALLED = {"10dlc": "10DLC", "toll_free": "toll-free", "short_code": "short code"}


def senders(facilities: Mapping[str, Any], notifiers: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at every notifier of type twilio through which a facility in the US texts."""
    texting: dict[str, list[str]] = {}
    for name, facility in facilities.items():
        named = facility.get("notifiers")
        for notifier in named if isinstance(named, list) and facility.get("region") == "US" else ():
            options = notifiers.get(str(notifier), {})
            # A number of another country is registered there, if at all.
            if options.get("type") == "twilio" and str(options.get("sender")).startswith(("+1", "MG")):
                texting.setdefault(str(notifier), []).append(name)
    for notifier, names in texting.items():
        what, options = f"notifiers.{notifier}", notifiers[notifier]
        said = options.get("registration")
        pretended = "sandbox" in options.values()
        if isinstance(said, dict) and (pretended or said.get("id") != "sandbox"):
            kind = _CALLED.get(str(said.get("type")), "?")
            yield Finding(what, State.OK, f"registered in the US: {kind}, {said.get('id')}")
            continue
        text = f"{', '.join(names)} texts the US, and the sender is not registered: carriers block what is not"
        fix = "register it with Twilio, then say registration: {type: 10dlc, id: …}; toll_free or short_code alike"
        yield Finding(what, State.PROBLEM, text, fix)
