"""`chartpost map`: look at a map, try it on messages, compare it with another, and keep what it is known to do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.commands import mapnew, mapshadow
from chartpost.adapter.commands.shared import DATA, AsJson, Config, Data, deciding, print_json, print_table, screen
from chartpost.adapter.commands.tried import as_row, show
from chartpost.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from chartpost.adapter.goldens import Terms
    from chartpost.mappings.mapfile import Map

maps = typer.Typer(rich_markup_mode=None, help="Make, try, compare and check maps.", no_args_is_help=True)

maps.command()(mapnew.profile)
maps.command()(mapnew.new)
maps.command()(mapshadow.shadow)

MapName = Annotated[str, typer.Argument(metavar="MAP", help="A map file, or a shipped map by name.")]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="Files with messages, or folders of them.", exists=True)
]
Share = Annotated[
    str,
    typer.Option("--share", metavar="RULE", help="The patient's share, as a source states it; or a condition in CEL."),
]
SourceName = Annotated[
    str, typer.Option("--source", metavar="NAME", help="On the terms of this source of the configuration.")
]
Classes = Annotated[list[str] | None, typer.Option("--self-pay", metavar="CLASS", help="For --share self_pay.")]
Currency = Annotated[str, typer.Option("--currency", help="ISO 4217, where a message does not say.")]
Region = Annotated[str, typer.Option("--region", help="Country code: how phone numbers are read.")]
Zone = Annotated[str, typer.Option("--timezone", help="In which the clinic has its days.")]


@maps.command("try")
def try_(
    map: MapName,
    files: Files,
    share: Share = "",
    source: SourceName = "",
    classes: Classes = None,
    currency: Currency = "USD",
    region: Region = "US",
    timezone: Zone = "UTC",
    inbound: Annotated[
        str, typer.Option("--with", metavar="MAP", help="For a map of postings: the map that reads the charges.")
    ] = "",
    golden: Annotated[
        bool, typer.Option("--golden", help="Keep the result beside each file, as NAME.expected.json.")
    ] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show what a map makes of messages, value by value, and what would happen.

    Nothing is stored and nobody is written to. Each file is taken by itself; several messages in one file are a story.
    For a map of postings: what would be sent to the chart when the payer pays what is asked.
    """
    from chartpost.adapter import goldens, trial

    if _writes(map):
        _try_outbound(map, files, inbound, share, source, classes, config, as_json)
        return
    loaded = _loaded(map)
    terms = _terms(loaded, share, source, classes, currency, region, timezone, config)
    taken = trial.files_of(files)
    if not taken:
        raise ConfigurationError([f"{', '.join(str(one) for one in files)}: no message in it"])
    rows: list[dict[str, Any]] = []
    held = 0
    for file, found in zip(taken, goldens.outcomes(loaded, terms, taken), strict=True):
        held += sum(one.state in ("held", "unreadable") for one in found)
        made = goldens.golden(loaded, terms, found)
        if as_json:
            rows += [as_row(one) for one in found]
        else:
            for number, one in enumerate(found, 1):
                show(screen(), one, f" message {number}" if len(found) > 1 else "")
        if golden:
            said = goldens.write(file, made)
            print(f"{goldens.beside(file)}: {said}; read it before you trust it", file=sys.stderr)
    if as_json:
        print_json(rows)
    raise typer.Exit(1 if held and not golden else 0)


@maps.command()
def check(
    map: MapName,
    version: Annotated[
        list[str] | None, typer.Option("--version", metavar="VERSION", help="Of HL7 v2 that the sender uses: 2.3 …")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a map: what cannot work, what looks like a mistake, and whether it keeps its goldens.

    Goldens lie in a folder beside the map that has its name: site.yaml and site/. Ends with 1 when a golden differs.
    """
    from chartpost.adapter import goldens
    from chartpost.mappings import mapcheck

    if _writes(map):
        from chartpost.mappings import postingmap

        _tell_errors(lambda: postingmap.load(map))
        print(f"{map}: a map of postings without a mistake in it") if not as_json else print_json([])
        return
    loaded = _loaded(map)
    remarks = [str(one) for one in mapcheck.remarks(loaded, version or ())]
    folder = goldens.folder_of(map)
    broken = goldens.problems(loaded, folder)
    if as_json:
        print_json(
            [{"severity": "remark", "text": one} for one in remarks]
            + [{"severity": "problem", "text": one} for one in broken]
        )
    else:
        for one in remarks:
            print(f"! {one}")
        for one in broken:
            print(f"✗ {one}")
        count = len(list(folder.glob(f"*{goldens.ENDING}"))) if folder.is_dir() else 0
        said = (
            f"{count} goldens in {folder}/"
            if count
            else f"no goldens; `chartpost map try --golden` makes them in {folder}/"
        )
        print(f"{loaded.label}: {said}, {len(broken)} differences, {len(remarks)} remarks")
    raise typer.Exit(1 if broken else 0)


@maps.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A map file, or a shipped map by name.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The other one.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]", help="Files with messages, or folders of them.", exists=True),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=0, help="Instead: what --source sent within so many days.")] = 0,
    source: SourceName = "",
    share: Share = "",
    classes: Classes = None,
    currency: Currency = "USD",
    region: Region = "US",
    timezone: Zone = "UTC",
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show which messages two maps understand differently, in files or in what a source has sent.

    Ends with 1 when any does.
    """
    from chartpost.adapter import mapdiff, trial

    if bool(files) == bool(days) or (days and not source):
        raise typer.BadParameter("name files or folders, or --days and --source for what is stored")
    before, after = _loaded(old), _loaded(new)
    if before.dialect != after.dialect:
        raise typer.BadParameter(
            f"{old} is for {before.dialect}, {new} for {after.dialect}: they read nothing in common"
        )
    if days:
        with deciding(config, data) as flow:
            since = flow.store.clock() - dt.timedelta(days=days)
            total, changed = mapdiff.count(mapdiff.of_store(flow, source, before, after, since))
    else:
        terms = _terms(before, share or "all", source, classes, currency, region, timezone, config)
        with trial.throwaway(terms.settings) as flow:
            taken = trial.files_of(files or [])
            total, changed = mapdiff.count(mapdiff.of_files(flow, terms.source, before, after, taken))
    rows = [{"message": one.message} | dataclasses.asdict(each) for one in changed for each in one.differences]
    if as_json:
        print_json(rows)
    else:
        if rows:
            print_table(("message", "target", "before", "after"), rows)
        print(f"{len(changed)} of {total} messages come out differently: {before.label} → {after.label}")
    raise typer.Exit(1 if changed else 0)


@maps.command()
def schema(
    postings: Annotated[bool, typer.Option("--postings", help="For maps of postings.")] = False,
) -> None:
    """Print the JSON Schema of map files, for editors that complete and check while one writes."""
    if postings:
        from chartpost.mappings.postingmap import schema as of_postings

        print(json.dumps(of_postings(), indent=2))
        return
    from chartpost.mappings.mapspec import schema as of_charges

    print(json.dumps(of_charges(), indent=2))


# ------------------------------------------------------------------------------------------------------- the parts


def _loaded(name: str) -> Map:
    from chartpost.mappings import layers, mapfile

    found: Map = _tell_errors(lambda: mapfile.compile_map(layers.read(name)))
    return found


def _tell_errors(load: Callable[[], Any]) -> Any:
    from chartpost.mappings.mapfile import MapError

    try:
        return load()
    except MapError as error:
        raise ConfigurationError(error.problems) from None


def _writes(name: str) -> bool:
    """Say whether a map is one of postings."""
    from chartpost.mappings.layers import layers, read_file

    def look() -> bool:
        return any(isinstance(one.data, dict) and "writes" in one.data for one in layers(*read_file(name)).documents)

    return bool(_tell_errors(look))


def _terms(
    map: Map, share: str, source: str, classes: Sequence[str] | None, currency: str, region: str, timezone: str,
    config: Path | None,
) -> Terms:  # fmt: skip
    """Return the terms of the trial: those of a configured source, or as the options say."""
    from chartpost.adapter import goldens, settings

    if source:
        loaded = settings.load(config, os.environ)
        if source not in loaded.sources:
            raise typer.BadParameter(
                f"no source {source}; there are {', '.join(loaded.sources)}", param_hint="--source"
            )
        return goldens.Terms(loaded, source)
    if not share:
        raise typer.BadParameter(
            "say what part of the charges is the patient's, it is never guessed: all, copay, self_pay, "
            "net_of_insurance, balance, or a condition in CEL; or name a --source of your configuration",
            param_hint="--share",
        )
    words = ("all", "copay", "self_pay", "net_of_insurance", "balance")
    rule: Any = share if share in words else {"when": share}
    try:
        return goldens.terms(
            map, rule, self_pay_classes=classes or (), currency=currency, region=region, timezone=timezone
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# ------------------------------------------------------------------------------------------------- what would go out


def _try_outbound(
    name: str, files: Sequence[Path], inbound: str, share: str, source: str, classes: Sequence[str] | None,
    config: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what a map of postings would send when what these messages ask for is paid."""
    from chartpost.adapter import goldens, trial
    from chartpost.adapter.outgoing import example
    from chartpost.mappings import postingmap, write

    map = _tell_errors(lambda: postingmap.load(name))
    rows = []
    wrong = 0
    for file in trial.files_of(files):
        is_json = file.read_bytes().lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"["))
        reads = _loaded(inbound or ("fhir-invoice" if is_json else "hl7v2-dft"))
        terms = _terms(reads, share or "all", source, classes, "USD", "US", "UTC", config)
        [found] = goldens.outcomes(reads, terms, [file])
        row: dict[str, Any] = {"file": str(file), "map": map.name, "body": "", "problems": []}
        try:
            posting = example(found, terms)
            body = write.write(posting, map)
            row |= {"body": body.decode("utf-8"), "problems": write.check(body, map)}
        except ValueError as error:
            row["problems"] = [str(error)]
        wrong += bool(row["problems"])
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            screen().print(f"[bold]{row['file']}[/]", soft_wrap=True)
            print(row["body"].replace("\r", "\n"), end="" if row["body"].endswith(("\r", "\n")) else "\n")
            for problem in row["problems"]:
                print(f"✗ {problem}")
            if not row["problems"]:
                print("✓ conforms to the standard")
    raise typer.Exit(1 if wrong else 0)
