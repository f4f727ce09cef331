"""Whoever opens a link shows who they are: by a date of birth, or by a code that takes another way than the link.

Every limit counts rows of the ledger, with the account locked, so it holds for all processes together. A wrong answer
says nothing but that it was wrong. Whoever was right has a cookie for half an hour, good for this one link.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from chartpost.adapter.flow.answering import codes, known
from chartpost.adapter.flow.answering.known import Who
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.paying.view import find, language_of, locked
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import consents, holds
from chartpost.adapter.ledger.ids import public_id
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import hold, identity_try, notice, request, visit

VISIT = dt.timedelta(minutes=30)
CODE = dt.timedelta(minutes=10)
CODES_AN_HOUR, ANSWERS_A_CODE, BIRTH_ANSWERS_A_DAY = 3, 5, 5
CODES_A_DAY = 10  #: to one number or address, whichever link they are asked for on
BIRTH_ANSWERS = 20  #: wrong ones on all links of an account, until one is right or a person has looked
LOCKED = "identity_locked"


@dataclass(frozen=True, slots=True)
class Ways:
    """How one may show who one is, on this link, now."""

    birth_date: bool  #: it can be asked for
    birth_locked: bool  #: it was answered wrongly too often today
    code: str  #: where a code would go, masked: "•••• 0142"; "" where none can be sent
    sent: bool  #: a code waits for its answer

    def __bool__(self) -> bool:
        return self.birth_date or bool(self.code)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer: good, wrong, locked (too often wrong), or late (no code waits for one)."""

    outcome: Literal["good", "wrong", "locked", "late"]
    cookie: str = field(default="", repr=False)


def ways(flow: Flow, token: str) -> Ways:
    """Return how the holder of a link may show who they are. Changes nothing. Raises LookupError."""
    with flow.store.read() as connection:
        row = find(connection, token)
        if row is None:
            raise LookupError("no such link")
        return ways_of(flow, connection, row)


def ways_of(flow: Flow, connection: Connection, row: Any) -> Ways:
    """Return the same of a row that `find` returned: only what the facility allows and what is known."""
    allowed, now = _allowed(flow, connection, row), flow.store.clock()
    born = "date_of_birth" in allowed and any(known.birth_dates(row))
    spent = born and bool(_birth_spent(connection, row, now))
    way = known.code_way(flow, connection, row) if "code" in allowed else None
    to = known.masked(way.channel, way.to or "") if way is not None else ""
    return Ways(born, spent, to, bool(to) and bool(_waiting(connection, row.id, now)))


def verified(flow: Flow, token: str, cookie: str) -> Who:
    """Return as whom the owner of a cookie has shown themselves for this link, "" for nobody."""
    with flow.store.read() as connection:
        row = find(connection, token)
        return "" if row is None else visitor(flow, connection, row, cookie)


def visitor(flow: Flow, connection: Connection, row: Any, cookie: str) -> Who:
    """Return the same for a row that `find` returned."""
    if not cookie or known.closed(connection, row):
        return ""
    own = (visit.c.token_hash == link.token_hash(cookie), visit.c.request_id == row.id)
    lasts = (visit.c.verified_at.is_not(None), visit.c.expires_at > flow.store.clock())
    method = connection.scalar(select(visit.c.method).where(*own, *lasts))
    return "" if method is None else "patient" if method.endswith("of the patient") else "payer"


def by_birth_date(flow: Flow, token: str, answer: dt.date) -> Answered:
    """Compare an answer with the dates on file, the payer's and the patient's. Raises LookupError."""
    with flow.store.write() as tx:
        row = locked(tx, token)
        allowed = _allowed(flow, tx.connection, row)
        if "date_of_birth" not in allowed or _birth_spent(tx.connection, row, tx.now):
            return Answered("locked")
        # All are compared, whichever is right: time tells nothing.
        same = [(who, _same(answer.isoformat(), born)) for who, born in known.birth_dates(row)]
        right = {who for who, equal in same if equal}
        _note(tx, row.id, "birth_answer", good=bool(right))
        if right:
            payer = "payer" in right or known.told_payer_only(tx.connection, row)
            return Answered("good", _enter(tx, row.id, "date_of_birth", payer=payer))
        if not (spent := _birth_spent(tx.connection, row, tx.now)):
            return Answered("wrong")
        _lock(tx, row, f"a date of birth was answered wrongly {spent} times")
        return Answered("locked")


def send_code(flow: Flow, token: str) -> Literal["sent", "often", "nowhere"]:
    """Have a new code sent; often: there were enough within the hour. Raises LookupError."""
    with flow.store.write() as tx:
        row = locked(tx, token)
        way = known.code_way(flow, tx.connection, row) if "code" in _allowed(flow, tx.connection, row) else None
        if way is None:
            return "nowhere"
        if len(_tries(tx.connection, row.id, "code", tx.now - dt.timedelta(hours=1))) >= CODES_AN_HOUR:
            return "often"
        if _codes_today(tx, way) >= CODES_A_DAY:
            _lock(tx, row, f"{CODES_A_DAY} codes went to one number or address within a day")
            return "often"
        try_id = _note(tx, row.id, "code", expires_at=tx.now + CODE)
        language = language_of(flow.facility(row.facility), row)
        notify.tell(tx, row.key, row.id, way, purpose="code", step=try_id, language=language)
        return "sent"


def by_code(flow: Flow, token: str, answer: str) -> Answered:
    """Compare what was typed with the codes that wait for an answer. Raises LookupError."""
    with flow.store.write() as tx:
        row = locked(tx, token)
        waiting = _waiting(tx.connection, row.id, tx.now) if "code" in _allowed(flow, tx.connection, row) else []
        if not waiting:
            return Answered("late")
        said = codes.typed(answer)
        same = [(one, _same(said, codes.code(flow.link_key, one.public_id))) for one in waiting]
        right = [one for one, equal in same if equal]
        _note(tx, row.id, "code_answer", good=bool(right))
        if right:
            tx.run(update(identity_try).where(identity_try.c.id == right[0].id).values(used=True))
            payer = known.went_to_payer(tx.connection, row, right[0].public_id)
            return Answered("good", _enter(tx, row.id, "code", payer=payer))
        if _waiting(tx.connection, row.id, tx.now):
            return Answered("wrong")
        if len(_tries(tx.connection, row.id, "code", tx.now - dt.timedelta(hours=1))) >= CODES_AN_HOUR:
            _lock(tx, row, f"{CODES_AN_HOUR} codes were answered wrongly within an hour")
        return Answered("locked")


# -------------------------------------------------------------------------------------------------------------- tries


def _allowed(flow: Flow, connection: Connection, row: Any) -> tuple[str, ...]:
    return () if known.closed(connection, row) else flow.facility(row.facility).identity


def _tries(connection: Connection, request_id: int, kind: str, since: dt.datetime) -> list[Any]:
    where = (identity_try.c.request_id == request_id, identity_try.c.kind == kind, identity_try.c.at > since)
    return list(connection.execute(select(identity_try).where(*where).order_by(identity_try.c.id)))


def _birth_spent(connection: Connection, row: Any, now: dt.datetime) -> int:
    """Return how many wrong dates were too many, on all links of the account; 0 while one may still try."""
    links = select(request.c.id, request.c.public_id).where(request.c.account_id == row.account_id).subquery()
    mine = identity_try.c.request_id.in_(select(links.c.id))
    wrong = select(identity_try.c.at).where(mine, identity_try.c.kind == "birth_answer", identity_try.c.good.is_(False))
    times = list(connection.scalars(wrong))
    if sum(at > now - dt.timedelta(days=1) for at in times) >= BIRTH_ANSWERS_A_DAY:
        return BIRTH_ANSWERS_A_DAY
    right = connection.scalar(select(func.max(identity_try.c.at)).where(mine, identity_try.c.good))
    locks = (hold.c.object.in_(select("request:" + links.c.public_id)), hold.c.cause == LOCKED)
    looked = connection.scalar(select(func.max(hold.c.closed_at)).where(*locks))
    since = max((at for at in (right, looked) if at is not None), default=None)
    return BIRTH_ANSWERS if sum(since is None or at > since for at in times) >= BIRTH_ANSWERS else 0


def _codes_today(tx: Tx, way: Way) -> int:
    mine = (notice.c.purpose == "code", notice.c.recipient_key == consents.key(way.channel, str(way.to)))
    return int(tx.scalar(select(func.count()).where(*mine, notice.c.created_at > tx.now - dt.timedelta(days=1))))


def _waiting(connection: Connection, request_id: int, now: dt.datetime) -> list[Any]:
    """Return the codes that may still be answered: not used, not too old, not answered too often."""
    waiting = []
    for one in _tries(connection, request_id, "code", now - CODE):
        later = (identity_try.c.request_id == request_id, identity_try.c.id > one.id)
        answers = select(func.count()).where(*later, identity_try.c.kind == "code_answer")
        if not one.used and one.expires_at > now and (connection.scalar(answers) or 0) < ANSWERS_A_CODE:
            waiting.append(one)
    return waiting


def _same(said: str, known: str) -> bool:
    return hmac.compare_digest(said.encode(), known.encode())


def _note(tx: Tx, request_id: int, kind: str, *, good: bool = False, expires_at: dt.datetime | None = None) -> str:
    try_id = public_id("I")
    row = {"public_id": try_id, "request_id": request_id, "kind": kind, "good": good, "expires_at": expires_at}
    tx.run(insert(identity_try), [row | {"at": tx.now}])
    return try_id


def _enter(tx: Tx, request_id: int, method: str, *, payer: bool) -> str:
    """Let them in; return what the cookie holds. Only its hash is kept."""
    cookie = secrets.token_urlsafe(32)
    row = {
        "token_hash": link.token_hash(cookie), "request_id": request_id, "verified_at": tx.now, "created_at": tx.now,
        "method": method if payer else f"{method} of the patient", "expires_at": tx.now + VISIT,
    }  # fmt: skip
    tx.run(insert(visit), [row])
    return cookie


def _lock(tx: Tx, row: Any, text: str) -> None:
    holds.add(
        tx, f"request:{row.public_id}", LOCKED, f"somebody with the link could not show who they are: {text}",
        "call the payer at a number that you know, compare the date of birth in the chart, then dismiss this",
        holds.likeness(LOCKED, row.source),
    )  # fmt: skip
