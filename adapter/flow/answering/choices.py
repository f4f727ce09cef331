"""What a payer says on the page instead of paying: each pauses reminders and comes to a person, and nothing is guessed.

Said twice it counts once. The payer's own words are kept sealed with the act, and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import Any, Literal

from sqlalchemy import func, select, update

from chartpost.adapter.flow.answering import known
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying.view import locked, state_now
from chartpost.adapter.flow.requests import change
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.flow.telling.reach import Why
from chartpost.adapter.ledger import acts, holds, states
from chartpost.adapter.ledger.consents import REVOKED, Word
from chartpost.adapter.ledger.store import Tx
from chartpost.adapter.ledger.tables import act, hold, request

Choice = Literal["not_me", "already_paid", "question", "cannot_afford", "stop"]
PAYER = "payer"
LONGEST = 500  #: characters of a payer's own words
A_DAY = 5  #: so often a link may say something within a day

_RESUME = "then `chartpost request resume` lets reminders go on, and dismiss this"
#: choice → its hold
HOLDS: dict[str, Why] = {
    "not_me": (
        "payer_not_me",
        "whoever got the message says that it is not for them; nothing more is shown or sent there",
        f"correct the number or address in the chart; if it was right after all, {_RESUME}",
    ),
    "already_paid": (
        "payer_already_paid",
        "the payer says that this is paid already",
        f"look for the payment; if it is there, record it with `chartpost request settle`; else answer, {_RESUME}",
    ),
    "question": (
        "payer_question",
        "the payer has a question",
        f"read it with `chartpost trace REQUEST --reveal`, answer by phone or e-mail, {_RESUME}",
    ),
    "cannot_afford": (
        "payer_cannot_afford",
        "the payer says that they cannot afford this",
        f"talk to the payer: a plan, less, or assistance; {_RESUME}",
    ),
    "wants_link": (
        "payer_wants_link",
        "the payer found the link too old and asks for a new one",
        "where it still asks for something it is good again and was sent again; else see `chartpost request extend`",
    ),
}  # fmt: skip


def say(flow: Flow, token: str, choice: Choice, words: str = "", to: int | None = None) -> bool:
    """Write down what the payer says; False when it was said too often today, and nothing is kept.

    `to` is which of the addressees says so (`known.told`, from 0; None: all), for not_me and stop. Raises LookupError.
    """
    with flow.store.write() as tx:
        row = locked(tx, token)
        obj, words = f"request:{row.public_id}", tidy(words)
        if state_now(flow, row) not in (states.Request.OPEN, states.Request.EXPIRED):
            return True  # nobody is asked any more, or it was not for them: there is nothing to add
        if choice in ("stop", "not_me"):
            _revoke(flow, tx, row, to)  # also where it was said before: the link may have gone elsewhere since
        if _is_said(tx, obj, choice, words):
            return True
        if _today(tx, obj) >= A_DAY:
            return False
        acts.note(tx, PAYER, choice, obj, words)
        if choice != "stop":
            tx.run(update(request).where(request.c.id == row.id).values(paused=choice))
            _tell(tx, row, choice)
        return True


def speak(flow: Flow, token: str, language: str) -> None:
    """Remember in which language the payer wants to be told. Raises LookupError."""
    with flow.store.write() as tx:
        row = locked(tx, token)
        if language in flow.facility(row.facility).languages:
            tx.run(update(request).where(request.c.id == row.id).values(language=language))


def renew(flow: Flow, token: str) -> bool:
    """Let a link that is too old be good again, and send it to where it went before; once a day.

    Where the practice has to look first, nothing is sent. False when nothing was asked for that can be. Raises
    LookupError.
    """
    with flow.store.write() as tx:
        row = locked(tx, token)
        if state_now(flow, row) != states.Request.EXPIRED:
            return False
        if _said(tx, f"request:{row.public_id}", "renew", tx.now - dt.timedelta(days=1)):
            return True
        acts.note(tx, PAYER, "renew", f"request:{row.public_id}")
        _tell(tx, row, "wants_link")
    # If we end here, or it cannot be: the hold is there.
    try:
        change.extend(flow, row.public_id, _life(flow, row), by=PAYER)
        change.resend(flow, row.public_id, by=PAYER)
    except No:
        pass
    return True


def tidy(words: str) -> str:
    """Return what somebody wrote on one page: no control characters, at most `LONGEST` characters."""
    lines = unicodedata.normalize("NFC", words).replace("\r\n", "\n").split("\n")
    clean = ("".join(sign for sign in line if unicodedata.category(sign)[0] != "C") for line in lines)
    return "\n".join(line.strip() for line in clean).strip()[:LONGEST].strip()


def _is_said(tx: Tx, obj: str, choice: Choice, words: str) -> bool:
    """Say whether the same was said, and still stands: a person has not answered it yet."""
    if choice in HOLDS:
        mine = (hold.c.object == obj, hold.c.cause == HOLDS[choice][0], hold.c.state == states.Hold.OPEN)
        if tx.one(select(hold.c.id).where(*mine)) is None:
            return False
    said = _said(tx, obj, choice)
    return bool(said) and (not words or any((one.note or b"").decode() == words for one in said))


def _said(tx: Tx, obj: str, verb: str, since: dt.datetime | None = None) -> list[Any]:
    where = [act.c.object == obj, act.c.by == PAYER, act.c.verb == verb]
    if since is not None:
        where.append(act.c.at > since)
    return list(tx.all(select(act).where(*where)))


def _today(tx: Tx, obj: str) -> int:
    lately = act.c.at > tx.now - dt.timedelta(days=1)
    mine = (act.c.object == obj, act.c.by == PAYER, act.c.verb.in_((*HOLDS, "stop")))
    return int(tx.scalar(select(func.count()).where(*mine, lately)))


def _tell(tx: Tx, row: Any, choice: str) -> None:
    why = HOLDS[choice]
    holds.add(tx, f"request:{row.public_id}", *why, holds.likeness(why[0], row.source))


def _revoke(flow: Flow, tx: Tx, row: Any, to: int | None) -> None:
    """Nobody is written to there any more for this facility; whose number it is does not matter."""
    told = known.told(tx.connection, row.id)
    chosen = [told[to]] if to is not None and 0 <= to < len(told) else told
    for one in chosen:
        word = Word(REVOKED, "page", row.public_id)
        consent.record(flow, tx, one.channel, one.to, word, facilities=(row.facility,))


def _life(flow: Flow, row: Any) -> str:
    """Return how long the link is good now: a one-time link for a day again, others as the facility has it."""
    lasted = row.expires_at - row.opened_at if row.expires_at is not None else None
    if lasted is not None and lasted <= dt.timedelta(days=1):
        return "once"
    return str(flow.facility(row.facility).request_days or (lasted.days if lasted is not None else ""))
