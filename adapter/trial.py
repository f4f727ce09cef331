"""What messages would come to: the real doors and the real flow, on a ledger that is thrown away. Nobody is called.

For trying a map, for its goldens, and before a changed map goes live.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import select

from chartpost.adapter import assembly, checks
from chartpost.adapter.flow.charges import reading, translate
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.wording import compose as wording
from chartpost.adapter.keys import Keys
from chartpost.adapter.ledger import states
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.store import Clock, Store, utc_now
from chartpost.adapter.ledger.tables import account, entry, hold, message, metadata, notice, request
from chartpost.adapter.settings import Settings, Source
from chartpost.mappings import er7
from chartpost.mappings.fhir.jsontext import FhirError
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Money, Reading
from chartpost.mappings.read import Unreadable

#: Targets of what was decided, beside the lines.
_TOLD = ("ignored", "invoice", "chargeitem", "balance")
#: Stands where a real notice has its link.
LINK = "https://pay.example.org/p/…"


@dataclass(frozen=True, slots=True)
class Step:
    """One target: where its value stood, what each transform made of it, and what it is."""

    target: str
    path: str
    raw: str
    steps: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one message of a file came to."""

    file: str
    type: str
    state: str  #: translated, held, ignored, duplicate, unreadable
    reason: str
    cause: str = ""  #: of the hold
    fix: str = ""
    account: str = ""
    targets: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()  #: what was decided about each line
    entries: tuple[tuple[str, Money], ...] = ()  #: kind and amount of each entry that it made
    asked: Money | None = None  #: what the account's request asks for after it; None: nobody is asked
    request: str = ""  #: opened, raised, lowered, settled …, "" when nothing happened to it
    told: str = ""  #: channel and number or address of a new notice: "sms +16085550101"
    text: str = ""  #: what the payer would read
    not_told: str = ""  #: why nobody would be told of a request that was opened
    reading: Reading | None = field(default=None, repr=False, compare=False)


@contextmanager
def throwaway(settings: Settings, maps: Mapping[str, Map] | None = None, clock: Clock = utc_now) -> Iterator[Flow]:
    """Yield a flow on an empty ledger that is gone afterwards; `maps` replace those of the configuration, by source.

    Nothing in it calls anybody. Raises ConfigurationError.
    """
    supposed = settings.resolve_sandbox(checks.SUPPOSED) if settings.sandbox else settings
    alone = supposed.model_copy(update={"sources": {name: _alone(one) for name, one in supposed.sources.items()}})
    with TemporaryDirectory(prefix="chartpost-trial-") as folder:
        store = Store.open(f"sqlite:///{folder}/trial.db", clock=clock, migrate=False)
        try:
            with store.write() as tx:  # as it is today, without its history
                metadata.create_all(tx.connection)
            keys = Keys(secrets.token_bytes(32), b"", None)
            flow = assembly.make_flow(alone, keys, store, LINK.removesuffix("/p/…"))
            yield replace(flow, maps={**flow.maps, **(maps or {})}, world=replace(flow.world, servers={}))
        finally:
            store.close()


def _alone(source: Source) -> Source:
    """Return a source that needs nobody: what an Invoice refers to and did not bring is not fetched."""
    gone = {name: None for name in ("fetch", "poll", "acks") if getattr(source, name, None) is not None}
    return source.model_copy(update=gone | {"destinations": ()})


def take(flow: Flow, source: str, file: str, body: bytes) -> list[Outcome]:
    """Take one file as the source's door takes a frame; return what each message in it came to."""
    judged, _ = assembly.wire(flow, source).judge(body, micros(flow.store.clock()))
    intake = Intake(flow.store)
    try:
        fates = intake.commit([receipt.row for receipt in judged])
    finally:
        intake.close()
    found = []
    for fate in fates:
        before = _asked(flow)
        while _waits(flow, fate.id):
            translate.batch(flow, 1)
        found.append(_outcome(flow, file, fate.id, before))
    return found


def _waits(flow: Flow, number: int) -> bool:
    with flow.store.read() as connection:
        state = connection.scalar(select(message.c.state).where(message.c.id == number))
    return bool(state == states.Message.RECEIVED)


def _asked(flow: Flow) -> dict[int, tuple[int, str]]:
    """Return what is asked by request now: amount and state."""
    with flow.store.read() as connection:
        rows = connection.execute(select(request.c.id, request.c.asked, request.c.state)).all()
    return {row.id: (row.asked, row.state) for row in rows}


def _outcome(flow: Flow, file: str, number: int, before: dict[int, tuple[int, str]]) -> Outcome:
    with flow.store.read() as connection:
        row = connection.execute(select(message).where(message.c.id == number)).one()
        held = connection.execute(select(hold).where(hold.c.object == f"message:{number}")).first()
        entries = connection.execute(
            select(entry.c.kind, entry.c.amount, account.c.currency, entry.c.account_id)
            .join(account, account.c.id == entry.c.account_id)
            .where(entry.c.message_id == number)
            .order_by(entry.c.id)
        ).all()
        owner = entries[0].account_id if entries else None
        ask = connection.execute(
            select(request, account.c.currency)
            .join(account, account.c.id == request.c.account_id)
            .where(request.c.account_id == owner)
            .order_by(request.c.id.desc())
            .limit(1)
        ).first()
    found, targets = _read(flow, row)
    told = _told(flow, ask, before) if ask is not None else {}
    return Outcome(
        file=file, type=row.type, state=row.state, reason=row.reason,
        cause=held.cause if held else "", fix=held.fix if held else "",
        account=found.account if found else "", targets=targets, reading=found,
        notes=tuple(_notes(row)),
        entries=tuple((one.kind, Money(minor=one.amount, currency=one.currency)) for one in entries),
        **told,
    )  # fmt: skip


def _notes(row: Any) -> Iterator[str]:
    for line in row.trace or ():
        if (not line["raw"] and line["path"].startswith("FT1")) or line["target"] in _TOLD:
            yield f"{line['path']}: {line['value']}" if line["path"] else line["value"]


def _read(flow: Flow, row: Any) -> tuple[Reading | None, tuple[Step, ...]]:
    """Read the message once more for its trace, with what each transform made."""
    steps: list[list[str]] = []
    found: Reading | None = None
    try:
        found = reading.read(flow, row, flow.source(row.source), explained=steps)
        trace = found.trace
    except Unreadable as error:
        trace = error.trace
    except (er7.Er7Error, FhirError):
        return None, ()
    lines = zip(trace, steps, strict=False)
    return found, tuple(Step(one.target, one.path, one.raw, tuple(made), one.value) for one, made in lines)


def _told(flow: Flow, ask: Any, before: dict[int, tuple[int, str]]) -> dict[str, Any]:
    """Return what became of the request, and what the payer would be told when it was opened just now."""
    was = before.get(ask.id)
    asked = Money(minor=ask.asked, currency=ask.currency) if ask.state == states.Request.OPEN else None
    if was is not None:
        what = ask.state if ask.state != was[1] else "raised" if ask.asked > was[0] else "lowered"
        return {"asked": asked, "request": "" if was == (ask.asked, ask.state) else what}
    with flow.store.read() as connection:
        row = connection.execute(
            select(
                notice.c.public_id, notice.c.channel, notice.c.notifier, notice.c.recipient, notice.c.language,
                account.c.facility, request.c.public_id.label("request_id"), request.c.generation,
            )
            .join(request, request.c.id == notice.c.request_id)
            .join(account, account.c.id == request.c.account_id)
            .where(notice.c.request_id == ask.id)
        ).first()  # fmt: skip
        why = connection.scalar(select(hold.c.text).where(hold.c.object == f"request:{ask.public_id}"))
    said: dict[str, Any] = {"asked": asked, "request": "opened", "not_told": why or ""}
    if row is not None and row.recipient is not None and not why:
        letter = wording.compose(flow, row)
        said["told"] = f"{row.channel} {row.recipient.decode()}"
        said["text"] = re.sub(re.escape(LINK[:-1]) + r"\S+", LINK, letter.body)
    return said


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Return the files with messages among these, folders taken apart, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
        found += [one for one in inside if not one.name.startswith(".") and not one.name.endswith(NOT_MESSAGES)]
    return found


#: Endings of files that lie beside messages and are none.
NOT_MESSAGES = (".expected.json", ".golden.json", ".yaml", ".yml", ".csv", ".md")
