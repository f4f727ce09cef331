"""What the parts of a configuration mean together. Every check reads the raw file: one mistake hides no other.

Each function adds to `Problems`; none stops at its first finding.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from chartpost.adapter.problems import Problems
from chartpost.adapter.values import is_loopback
from chartpost.adapter.yamlfile import YamlFile

#: Where plugins are configured, and the entry-point group they are found in.
GROUPS = {
    "destinations": "chartpost.senders",
    "providers": "chartpost.providers",
    "notifiers": "chartpost.notifiers",
}

#: What `sandbox` stands for, by plugin type and option: key in the sandbox's ready line, and what follows it.
IN_SANDBOX = {
    ("stripe", "base_url"): ("http", "/stripe"),
    ("stripe", "secret_key"): ("stripe_key", ""),
    ("stripe", "webhook_secret"): ("stripe_webhook_secret", ""),
    ("twilio", "base_url"): ("http", "/twilio"),
    ("twilio", "account_sid"): ("twilio_sid", ""),
    ("twilio", "auth_token"): ("twilio_token", ""),
    ("http", "url"): ("http", "/gateway/messages"),
    ("http", "secret"): ("gateway_secret", ""),
    ("smtp", "address"): ("smtp", ""),
    ("smtp", "bounce_secret"): ("bounce_secret", ""),
    ("mllp", "address"): ("mllp", ""),
    ("fhir", "base_url"): ("http", "/fhir"),
    ("fhir", "token"): ("fhir_token", ""),
}

#: What a sandbox says when it is ready; these stand in for it while nothing runs yet.
SUPPOSED = {
    "http": "http://127.0.0.1:8090",
    "mllp": "127.0.0.1:2576",
    "smtp": "127.0.0.1:1025",
    "stripe_key": "sk_test_sandbox",
    "stripe_webhook_secret": "whsec_sandbox",
    "twilio_sid": "AC" + "0" * 32,
    "twilio_token": "0" * 32,
    "fhir_token": "0" * 32,
    "invoice_token": "0" * 32,
    "gateway_secret": "0" * 32,
    "bounce_secret": "0" * 32,
}
#: The same for options of sources: what the sandbox's clinic sends with.
SOURCES_IN_SANDBOX = {"token": "invoice_token"}


#: The map of a source that names none.
_DEFAULT_MAPS = {"mllp": "hl7v2-dft", "fhir": "fhir-invoice"}
#: What a type carries, where it carries one thing only.
_CARRIES = {"mllp": "hl7v2", "fhir": "fhir", "pull": "fhir"}
_FORMS = {"hl7v2": "HL7 v2", "fhir": "FHIR", "flat": "flat files"}

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")


def _section(file: YamlFile, name: str) -> dict[str, dict[str, Any]]:
    """Return the named parts of a section that are mappings; what is not is found by the models."""
    section = file.data.get(name)
    return {k: v for k, v in section.items() if isinstance(v, dict)} if isinstance(section, dict) else {}


def _plugins(file: YamlFile) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for section in GROUPS:
        for name, options in _section(file, section).items():
            yield section, name, options


def read_secrets(file: YamlFile, problems: Problems) -> None:
    """Replace every `x_file` of a part by `x`, the stripped text of that file (relative to the configuration)."""
    for section in ("sources", "users", *GROUPS):
        for name, options in _section(file, section).items():
            _read_secrets(file, problems, (section, name), options)


def _read_secrets(file: YamlFile, problems: Problems, at: tuple[str, ...], options: dict[str, Any]) -> None:
    for key, value in list(options.items()):
        if isinstance(value, dict):
            _read_secrets(file, problems, (*at, key), value)
            continue
        plain = key.removesuffix("_file")
        if plain == key:
            continue
        del options[key]
        if plain in options:
            problems.add((*at, key), f"{plain} is given too; keep one of the two")
            continue
        path = Path(file.name).parent / str(value)
        try:
            text, reason = path.read_text("utf-8").strip(), "it is empty"
        except OSError as error:
            text, reason = "", error.strerror or type(error).__name__
        except UnicodeDecodeError:
            text, reason = "", "it is no text"
        if not text:
            problems.add((*at, key), f"{path} cannot be used: {reason}")
        options[plain] = text or "unreadable-or-empty"


def names(file: YamlFile, problems: Problems) -> None:
    """Names become queue names and parts of variables: lower case, digits, single - or _ between."""
    for section in ("facilities", "sources", "users", *GROUPS):
        for name in _section(file, section):
            if section == "users" and name == "payer":
                problems.add((section, name), "stands for whoever uses the patient's page; take another name")
            if section == "destinations" and name == "receipt":
                problems.add((section, name), "stands for receipts in the names of queues; take another name")
            if not _NAME.fullmatch(name):
                problems.add((section, name), "is no name; use a-z, 0-9 and single - or _ between them")


def references(file: YamlFile, problems: Problems) -> None:
    """Whatever is named must be there."""

    def check(at: tuple[str, ...], names: Any, section: str, noun: str) -> None:
        known = sorted(_section(file, section))
        for name in names if isinstance(names, list) else [names]:
            if isinstance(name, str) and name not in known:
                problems.add(at, f"there is no {noun} called {name}; {section}: {', '.join(known) or 'none'}")

    for name, facility in _section(file, "facilities").items():
        check(("facilities", name, "provider"), facility.get("provider"), "providers", "provider")
        check(("facilities", name, "notifiers"), facility.get("notifiers", []), "notifiers", "notifier")
        writers = [_section(file, "notifiers").get(str(one), {}) for one in facility.get("notifiers") or []]
        mails = any(one.get("type") == "smtp" or one.get("channel") == "email" for one in writers)
        if mails and not facility.get("mail"):
            problems.add(
                ("facilities", name, "mail"),
                "is missing, and a notifier of the facility sends e-mail: say who signs it (sender, address, reply_to)",
            )
    owners: dict[str, str] = {}
    for name, user in _section(file, "users").items():
        check(("users", name, "facilities"), user.get("facilities", []), "facilities", "facility")
        for key in ("token", "token_previous"):
            if isinstance(token := user.get(key), str) and (owner := owners.setdefault(token, name)) != name:
                problems.add(("users", name, key), f"is {owner}'s too; everybody needs one of their own")
    for name, source in _section(file, "sources").items():
        check(("sources", name, "facility"), source.get("facility"), "facilities", "facility")
        check(("sources", name, "destinations"), source.get("destinations", []), "destinations", "destination")
        check(("sources", name, "fetch"), source.get("fetch"), "destinations", "destination")
        server = _section(file, "destinations").get(str(source.get("fetch")), {})
        if server.get("type", "fhir") != "fhir":
            problems.add(("sources", name, "fetch"), "is no destination of type fhir: nothing can be read there")
        poll = source.get("poll")
        if isinstance(poll, dict):
            check(("sources", name, "poll", "server"), poll.get("server"), "destinations", "destination")
            if _section(file, "destinations").get(str(poll.get("server")), {}).get("type", "fhir") != "fhir":
                problems.add(
                    ("sources", name, "poll", "server"), "is no destination of type fhir: nothing is found there"
                )
        if (source.get("share") == "self_pay") != bool(source.get("self_pay_classes")):
            problems.add(
                ("sources", name, "self_pay_classes"),
                "belongs to `share: self_pay` and to nothing else: list the PV1-20 codes that mean the patient pays",
            )
    if str(file.data.get("broker", "memory://")).startswith("memory://"):
        for section in ("sources", "destinations"):
            for name, part in _section(file, section).items():
                if part.get("type") == "broker":
                    problems.add(
                        (section, name, "type"),
                        "nobody else reaches memory://; set broker: amqp://… or take another type",
                    )


def doors(file: YamlFile, problems: Problems) -> None:
    """Two doors cannot share a port, and links need a public address where the pages' own one leads nowhere."""
    wanted: list[tuple[tuple[str, ...], Any]] = [
        (("web",), file.data.get("web", "127.0.0.1:8080")),
        (("internal",), file.data.get("internal", "127.0.0.1:8081")),
    ]
    wanted += [(("sources", name, "listen"), part.get("listen")) for name, part in _section(file, "sources").items()]
    sandbox = file.data.get("sandbox")
    if isinstance(sandbox, dict):
        wanted += [(("sandbox", key), sandbox.get(key)) for key in ("http", "mllp", "smtp")]
    taken: list[tuple[str, str, str]] = []
    for path, address in wanted:
        host, _, port = str(address).rpartition(":")
        if not port.isdigit() or int(port) == 0:
            continue
        for other, other_host, other_port in taken:
            if port == other_port and (host == other_host or {host, other_host} & {"0.0.0.0", "[::]"}):  # noqa: S104
                problems.add(path, f"port {port} is already used by {other}; choose another")
        taken.append((".".join(path), host, port))
    if wanted[0][1] in {f"{any_}:{str(wanted[0][1]).rpartition(':')[2]}" for any_ in ("0.0.0.0", "[::]")} and (  # noqa: S104
        not file.data.get("public_url")
    ):
        problems.add(("web",), "listens everywhere, so links need the address that patients see: set public_url")


def folders(file: YamlFile, problems: Problems) -> None:
    """Each folder has one purpose: what one part writes there, no other may read as charges."""
    taken: dict[str, str] = {}
    for section in ("sources", "destinations"):
        for name, part in _section(file, section).items():
            if part.get("type") != "directory" or not isinstance(part.get("path"), str):
                continue
            path = Path(part["path"])
            places = {"path": path}
            if section == "sources":
                places |= {key: path / str(part.get(key, key)) for key in ("done", "failed")}
            for key, place in places.items():
                where, folder = f"{section}.{name}.{key}", os.path.abspath(place)
                if (other := taken.setdefault(folder, where)) != where:
                    problems.add((section, name, key), f"is the folder of {other}, too; give each a folder of its own")
                    break


def batches(file: YamlFile, problems: Problems) -> None:
    """Two facilities whose batches have one name at a destination would have one total there."""
    by_day = [name for name, part in _section(file, "destinations").items() if part.get("batch") == "day"]
    if not by_day:
        return
    from chartpost.adapter.flow.posting.batch import short

    for destination in by_day:
        named: dict[str, str] = {}
        for source in _section(file, "sources").values():
            told, facility = source.get("destinations"), str(source.get("facility"))
            if isinstance(told, list) and destination in told:
                other = named.setdefault(short(facility), facility)
                if other != facility:
                    problems.add(
                        ("destinations", destination, "batch"),
                        f"the batches of {other} and {facility} would both be called {short(facility)} and the day; "
                        "let a destination of its own tell the chart of one of them, or leave batch out",
                    )


def sandbox(file: YamlFile, problems: Problems) -> None:
    """Play money and real people never meet."""
    present = file.data.get("sandbox") is not None
    sources = (("sources", name, options) for name, options in _section(file, "sources").items())
    for section, name, options in [*sources, *_plugins(file)]:
        for key, value in options.items():
            if value == "sandbox" and not present:
                problems.add((section, name, key), "there is no sandbox; add `sandbox:` or give the real value")
            if present and str(value).startswith(("sk_live_", "rk_live_")):
                problems.add((section, name, key), "a live key beside a sandbox; use a test key or remove `sandbox:`")
    if not present:
        return
    host = re.sub(r"^https?://(\[[^]]*\]|[^:/]*).*$", r"\1", str(file.data.get("public_url") or "")).strip("[]")
    if host and not is_loopback(host):
        problems.add(("sandbox",), "patients would meet a pretended card page at public_url; remove `sandbox:`")
    for key, address in (file.data["sandbox"] if isinstance(file.data["sandbox"], dict) else {}).items():
        if ":" in str(address) and not is_loopback(str(address).rpartition(":")[0].strip("[]")):
            problems.add(("sandbox", key), "the sandbox serves this machine only; use 127.0.0.1")


def in_sandbox(options: Mapping[str, Any], ready: Mapping[str, str]) -> dict[str, Any]:
    """Return plugin options with `sandbox` replaced by what stands in the sandbox's ready line."""
    resolved = dict(options)
    for key, value in options.items():
        place = IN_SANDBOX.get((str(options.get("type")), key))
        if value == "sandbox" and place is not None:
            resolved[key] = ready[place[0]] + place[1]
    return resolved


def plugins(file: YamlFile, problems: Problems) -> None:
    """Each plugin checks its own options, with the sandbox supposed to run."""
    from chartpost.adapter.plugins import options_model, own

    for section, name, options in _plugins(file):
        if not isinstance(options.get("type"), str):
            continue
        try:
            model = options_model(GROUPS[section], options["type"])
        except Exception as error:
            problems.add((section, name, "type"), str(error))
            continue
        problems.validate(model, in_sandbox(own(GROUPS[section], options), SUPPOSED), (section, name))


def map_paths(file: YamlFile) -> None:
    """Make the paths of maps and folders hold wherever the process runs: they are relative to the configuration."""
    for section in ("sources", "destinations"):
        for part in _section(file, section).values():
            if part.get("type") == "directory" and isinstance(part.get("path"), str):
                part["path"] = str(Path(file.name).parent / part["path"])
            for place in (part, part.get("shadow")):
                if not isinstance(place, dict):
                    continue
                name = place.get("map")
                if isinstance(name, str) and ("/" in name or name.endswith((".yaml", ".yml"))):
                    place["map"] = str(Path(file.name).parent / name)
    for facility in _section(file, "facilities").values():
        if isinstance(facility.get("templates"), str):
            facility["templates"] = str(Path(file.name).parent / facility["templates"])


def maps(file: YamlFile, problems: Problems) -> None:
    """Each map that is named must be there and make sense; a map's own problems name its own file and line."""
    from chartpost.mappings import mapfile, postingmap

    loaders: dict[str, Callable[[str], object]] = {"sources": mapfile.load, "destinations": postingmap.load}
    for section, load in loaders.items():
        for name, part in _section(file, section).items():
            wanted = part.get("map", _DEFAULT_MAPS.get(str(part.get("type"))) if section == "sources" else None)
            if not isinstance(wanted, str):
                continue
            try:
                _fits(section, part, wanted, load(wanted), (section, name), "map", problems)
            except mapfile.MapError as error:
                for problem in error.problems:
                    problems.add((section, name, "map"), problem)
    for name, part in _section(file, "sources").items():
        shadow = part.get("shadow")
        wanted = shadow.get("map") if isinstance(shadow, dict) else None
        if not isinstance(wanted, str):
            continue
        try:
            loaded = mapfile.load(wanted)
            _fits("sources", part, wanted, loaded, ("sources", name, "shadow"), "map", problems)
            with suppress(mapfile.MapError):  # told above
                live = mapfile.load(str(part.get("map", _DEFAULT_MAPS.get(str(part.get("type"))))))
                if live.dialect != loaded.dialect:
                    text = f"{wanted} is a map for {_FORMS[loaded.dialect]}, and the source's own one is not"
                    problems.add(("sources", name, "shadow", "map"), text)
        except mapfile.MapError as error:
            for problem in error.problems:
                problems.add(("sources", name, "shadow", "map"), problem)


def _fits(
    section: str, part: Mapping[str, Any], wanted: str, loaded: object, where: tuple[str, ...], key: str,
    problems: Problems,
) -> None:  # fmt: skip
    for place, text in misfits(section, str(part.get("type")), part.get("share"), wanted, loaded):
        # What a rule of the share lacks is said at the rule, of whichever map.
        problems.add((*where, key) if place == ("map",) else (section, where[1], *place), text)
    if section == "destinations" and part.get("consents"):
        from chartpost.adapter.flow.posting.preference import untold

        if text := untold(part, loaded):
            problems.add((section, where[1], "consents"), text)
    if section == "sources" and part.get("poll") and "ChargeItem" in getattr(loaded, "messages", ()):
        text = f"looks for Invoices, and {wanted} reads ChargeItems: let their server send them, or tell of them"
        problems.add((section, where[1], "poll"), text)


def misfits(section: str, kind: str, share: Any, wanted: str, loaded: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield why a map does not fit the source or destination that names it: the key that is wrong, and what is.

    `kind` is its type, `share` the source's rule as it is written, `wanted` the map's name as it is written.
    """
    form = getattr(loaded, "dialect" if section == "sources" else "format", "hl7v2")
    if (carries := _CARRIES.get(kind, form)) != form:
        yield ("map",), f"{wanted} is a map for {_FORMS[form]}, and type: {kind} carries {_FORMS[carries]}"
    if share == "balance" and not _reads_balance(loaded):
        yield (
            ("map",),
            f"{wanted} has no row for the target balance, which share: balance needs; use a map that has",
        )
    yield from _share_rule(share, loaded)


def _share_rule(rule: Any, loaded: object) -> Iterator[tuple[tuple[str, ...], str]]:
    """What a rule of the site's own calls `my.…` must be read by a row of the map."""
    from chartpost.mappings.conditions import CHARGE, compile_condition

    for key, text in rule.items() if isinstance(rule, dict) else ():
        with suppress(ValueError):  # what is no CEL at all was told with the settings
            compile_condition(str(text), CHARGE)
            try:
                compile_condition(str(text), CHARGE, getattr(loaded, "my", frozenset()))
            except ValueError as error:
                yield ("share", key), str(error)


def _reads_balance(loaded: object) -> bool:
    return any(row.target == "balance" for row in getattr(loaded, "message", ()))


def templates(file: YamlFile, problems: Problems) -> None:
    """A facility's own words must be there and say nothing that they may not, in languages that we speak."""
    from chartpost.adapter.flow.wording import proofread

    for name, part in _section(file, "facilities").items():
        for key, text in proofread.configured(part, str(part.get("pay_url") or file.data.get("public_url") or "")):
            problems.add(("facilities", name, key), text)
