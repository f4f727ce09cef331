"""`chartpost check`: could this configuration work, on this machine, now? Everything is looked at, nothing is changed.

checks.py reads what the configuration says; here the world is asked. What can be looked at is, however wrong the rest.
Each look runs in a thread of its own, because the slow ones wait for somebody else.
"""

from __future__ import annotations

import enum
import fcntl
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chartpost.adapter import checks, settings, smart
from chartpost.adapter.doctor import backends, folders, machine, mail_dns, outside, registration, words
from chartpost.adapter.doctor.finding import Finding, State
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.problems import Problems
from chartpost.adapter.yamlfile import YamlFile

#: Seconds that one look may take.
PATIENCE = 15.0
#: Seconds between two words on what is still being waited for.
GLANCE = 0.2

Look = Callable[[], Iterable[Finding]]
Waiting = Callable[[Sequence[str]], None]


class Outcome(enum.IntEnum):
    """What the command ends with."""

    WELL = 0  #: nothing stands in the way; there may be warnings
    PROBLEMS = 1
    NO_CONFIGURATION = 2  #: `serve` would not start with it


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found, in the order of the looks."""

    findings: Sequence[Finding]
    configured: bool

    @property
    def outcome(self) -> Outcome:
        if not self.configured:
            return Outcome.NO_CONFIGURATION
        return Outcome.PROBLEMS if any(one.state is State.PROBLEM for one in self.findings) else Outcome.WELL


def examine(
    config: Path | None, data: Path, environ: Mapping[str, str], waiting: Waiting = lambda names: None
) -> Report:
    """Look at everything; `waiting` is told now and then whose answer is still to come."""
    loaded: settings.Settings | None = None
    found: list[Finding] = []
    try:
        loaded = settings.load(config, environ)
        where = str(config) if config else "the embedded sample"
        found.append(Finding("configuration", State.OK, f"{where} and its maps make sense"))
    except ConfigurationError as error:
        found += [_problem(text) for text in error.problems]
    try:
        file = settings.read_file(config, environ)
    except ConfigurationError:  # no YAML: said above, and nothing else can be known
        return Report([*found, *run({"data": lambda: machine.data(data)}, waiting)], configured=False)
    checks.read_secrets(file, Problems(file))
    checks.map_paths(file)
    found += run(_looks(file, loaded, data), waiting)
    if not any(one.what == "clock" for one in found):
        found.append(Finding("clock", State.SKIPPED, "nobody to compare it with: no provider and no database server"))
    return Report(found, configured=loaded is not None)


def _problem(text: str) -> Finding:
    what, _, fix = text.partition("; ")
    return Finding("configuration", State.PROBLEM, what, fix)


def _looks(file: YamlFile, loaded: settings.Settings | None, data: Path) -> dict[str, Look]:
    """Return every look by the name of what it looks at. Parts of a broken configuration are looked at alone."""
    top: Mapping[str, Any] = file.data
    if (data / "link.key").exists():  # in use; before that there is no key to sign with, and none is made here
        smart.use(data)
    running = is_running(data)
    looks: dict[str, Look] = {"data": lambda: machine.data(data)}
    doors = _doors(top)
    for name, address in doors.items():
        looks[f"ports.{name}"] = _port(name, address, doors["internal"], running)
    database, broker = str(top.get("database", "sqlite")), str(top.get("broker", "memory://"))
    looks["database"] = lambda: backends.database(database, data)
    looks["broker"] = lambda: backends.broker(broker, loaded)
    looks["keys"] = lambda: outside.keys(top)
    for section, group in checks.GROUPS.items():
        for name, options in _parts(top, section).items():
            looks[f"{section}.{name}"] = _plugin(f"{section}.{name}", group, options)
    looks["registration"] = lambda: registration.senders(_parts(top, "facilities"), _parts(top, "notifiers"))
    for name, facility in _parts(top, "facilities").items():
        if (mail := facility.get("mail")) and (writers := _mailers(top, facility)) and isinstance(mail, dict):
            looks[f"facilities.{name}.mail"] = _mail(f"facilities.{name}.mail", mail, writers)
        looks[f"facilities.{name}.words"] = _words(f"facilities.{name}.words", facility, top)
    mailing = {name: bool(one.get("mail") and _mailers(top, one)) for name, one in _parts(top, "facilities").items()}
    looks["users"] = lambda: words.staff(_parts(top, "users"), mailing)
    for name, source in _parts(top, "sources").items():
        if source.get("type") == "directory":
            looks[f"sources.{name}.path"] = _folder(f"sources.{name}.path", source)
        if source.get("acks"):
            looks[f"sources.{name}.acks"] = _reach(f"sources.{name}.acks", source["acks"])
    return looks


def _parts(top: Mapping[str, Any], section: str) -> dict[str, dict[str, Any]]:
    """Return the named parts of a section that are mappings; of others the configuration's problems tell."""
    named = top.get(section)
    return {name: part for name, part in named.items() if isinstance(part, dict)} if isinstance(named, dict) else {}


def _doors(top: Mapping[str, Any]) -> dict[str, Any]:
    """Return the addresses to listen on, by their place in the configuration."""
    fields = settings.Settings.model_fields
    doors = {name: top.get(name, fields[name].default) for name in ("web", "internal")}
    for name, source in _parts(top, "sources").items():
        if "listen" in source:
            doors[f"sources.{name}.listen"] = source["listen"]
    sandbox = top.get("sandbox")
    if isinstance(sandbox, dict):
        doors |= {f"sandbox.{name}": address for name, address in sandbox.items()}
    return doors


def _port(name: str, address: Any, internal: Any, running: bool) -> Look:
    return lambda: machine.port(f"ports.{name}", address, internal, running)


def _plugin(what: str, group: str, options: Mapping[str, Any]) -> Look:
    return lambda: outside.plugin(what, group, options)


def _mailers(top: Mapping[str, Any], facility: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the notifiers by which a facility writes e-mail."""
    named, known = facility.get("notifiers"), _parts(top, "notifiers")
    found = [known.get(str(name), {}) for name in (named if isinstance(named, list) else ())]
    return [one for one in found if one.get("type") == "smtp" or one.get("channel") == "email"]


def _mail(what: str, mail: Mapping[str, Any], notifiers: Sequence[Mapping[str, Any]]) -> Look:
    return lambda: mail_dns.look(what, mail, notifiers)


def _words(what: str, facility: Mapping[str, Any], top: Mapping[str, Any]) -> Look:
    return lambda: words.texts(what, facility, str(top.get("public_url") or ""))


def _folder(what: str, options: Mapping[str, Any]) -> Look:
    return lambda: folders.source(what, options)


def _reach(what: str, address: Any) -> Look:
    return lambda: outside.reach(what, address)


def is_running(data: Path) -> bool:
    """Say whether `serve` runs on this data directory: it holds the lock."""
    try:
        with (data / "lock").open("r") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def run(looks: Mapping[str, Look], waiting: Waiting = lambda names: None, patience: float = PATIENCE) -> list[Finding]:
    """Run all looks at once; return what they found, in their order. What does not end within `patience` seconds is so
    described and left alone."""
    answers: queue.SimpleQueue[tuple[str, list[Finding]]] = queue.SimpleQueue()
    for name, look in looks.items():
        threading.Thread(target=_into, args=(answers, name, look), name=f"check {name}", daemon=True).start()
    found: dict[str, list[Finding]] = {}
    until = time.monotonic() + patience
    while len(found) < len(looks) and time.monotonic() < until:
        try:
            name, findings = answers.get(timeout=GLANCE)
            found[name] = findings
        except queue.Empty:
            waiting([name for name in looks if name not in found])
    late = f"no end within {patience:g} s"
    return [
        one
        for name in looks
        for one in found.get(name, [Finding(name, State.PROBLEM, late, "look at the network and the other side")])
    ]


def _into(answers: queue.SimpleQueue[tuple[str, list[Finding]]], name: str, look: Look) -> None:
    try:
        found = list(look())
    except Exception as error:  # a plugin's mistake, or ours: the other looks are worth as much as before
        text = f"an unexpected {type(error).__name__} while looking"
        found = [Finding(name, State.PROBLEM, text, "report this; it says nothing about the configuration")]
    answers.put((name, found))
