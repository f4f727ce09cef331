"""Providers, notifiers and destinations: do they answer, and take our keys? Asked in ways that change nothing there."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from chartpost.adapter import plugins, ports
from chartpost.adapter.doctor.finding import Finding, State, drift
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.ledger.store import utc_now
from chartpost.adapter.outbound import in_words, is_loopback

#: Seconds for one connection, and for one call of a plugin.
SECONDS = 5.0
#: What a secret says that could not be read (checks.read_secrets); the configuration's problems name it.
_UNREAD = "unreadable-or-empty"
_LIVE, _TEST = ("sk_live_", "rk_live_"), ("sk_test_", "rk_test_")


def reach(what: str, value: Any) -> Iterator[Finding]:
    """Something that listens elsewhere: does it accept a connection? `value` is host:port or a URL."""
    url = urlsplit(value if "//" in str(value) else f"//{value}")
    try:
        host, number = url.hostname or "", url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
        socket.create_connection((host, number), timeout=SECONDS).close()
    except (OSError, ValueError) as error:
        fix = "check address, network and whether the other side listens"
        yield Finding(what, State.PROBLEM, f"{url.netloc}: no connection ({in_words(error)})", fix)
        return
    yield Finding(what, State.OK, f"{url.netloc} accepts connections")


def plugin(what: str, group: str, options: Mapping[str, Any]) -> Iterator[Finding]:
    """A provider, notifier or destination: its own `check`, else whether its address accepts connections."""
    kind = str(options.get("type", ""))
    if "sandbox" in options.values():
        yield Finding(what, State.SKIPPED, "belongs to the sandbox, which `serve` starts")
        return
    try:
        if _UNREAD in options.values():
            raise ConfigurationError(["a secret could not be read"])
        made = _made(group, kind, options)
    except (ConfigurationError, ValidationError):
        yield Finding(what, State.SKIPPED, "its options are wrong; see the configuration's problems")
        return
    if not isinstance(made, ports.Checkable):
        at = options.get("address") or options.get("base_url")
        yield from reach(what, at) if at else [Finding(what, State.OK, f"{kind}: nothing outside to reach")]
        return
    problems = made.check()
    for problem in problems:
        text, _, fix = problem.partition("; ")
        yield Finding(what, State.PROBLEM, text, fix or "check its address, keys and options")
    if not problems:
        yield Finding(what, State.OK, f"{kind} answers" + (", and takes our keys" if group != plugins.SENDERS else ""))
    if isinstance(made, ports.Clocked):
        before = utc_now()
        theirs = made.clock()
        if theirs is not None:
            yield drift(what, theirs, before)


def _made(group: str, kind: str, options: Mapping[str, Any]) -> Any:
    """Make the plugin, with a short time-out."""
    checked = plugins.options_model(group, kind).model_validate(plugins.own(group, options))
    timeout = getattr(checked, "timeout_seconds", None)
    if isinstance(timeout, float) and timeout > SECONDS:
        checked = checked.model_copy(update={"timeout_seconds": SECONDS})
    return plugins.load(group, kind)(checked)


def keys(top: Mapping[str, Any]) -> Iterator[Finding]:
    """Keys for play and an address for patients, or the other way round."""
    public = str(top.get("public_url") or "")
    open_to_all = bool(public) and not is_loopback(public)
    providers = top.get("providers")
    for name, options in (providers if isinstance(providers, dict) else {}).items():
        values = [str(value) for value in options.values()] if isinstance(options, dict) else []
        if any(value.startswith(_LIVE) for value in values) and not open_to_all:
            text = "a live key, and links lead to this machine only: no patient can open one"
            yield Finding(f"providers.{name}", State.PROBLEM, text, "set public_url, or use a test key")
        if any(value.startswith(_TEST) for value in values) and open_to_all:
            text = "a test key, and public_url is for patients: no real card can pay"
            yield Finding(f"providers.{name}", State.WARNING, text, "use the live key before the first patient")
