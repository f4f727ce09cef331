"""Consent through the API: what is on record of one number or address, and what staff record of it, with evidence.

A number never stands in an address, where logs and proxies would keep it: one is asked about by POST.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from chartpost.adapter import mail_address
from chartpost.adapter.flow.answering import optout
from chartpost.adapter.ledger import consents
from chartpost.adapter.web.api.problem import Problem
from chartpost.adapter.web.api.table import Call, Taken
from chartpost.mappings import contacts

Facility = Annotated[str, Field(min_length=1, description="one of the configuration's")]


class Whose(Taken):
    """A number (as people write it, or E.164) or an address."""

    facility: Facility
    channel: Literal["sms", "email"]
    to: Annotated[str, StringConstraints(min_length=3, max_length=320)]


class ConsentSaid(Whose):
    """What somebody told us, and where that can be looked up."""

    state: Literal["granted", "revoked"]
    evidence: Annotated[str, StringConstraints(min_length=3, max_length=300)]


class WordShown(BaseModel):
    """One word on record."""

    state: str
    origin: str
    scope: str
    evidence: str
    by: str
    at: dt.datetime | None


class ConsentShown(BaseModel):
    """What counts now for this facility, and all that was said, oldest first."""

    standing: Literal["granted", "revoked", "unknown"]
    words: list[WordShown]


def show(call: Call) -> ConsentShown:
    """Return what is on record of a number or address at a facility."""
    key = _key(call)
    with call.flow.store.read() as connection:
        words = consents.history(connection, call.body.channel, key, _scopes(call))
    standing = consents.standing(words)
    return ConsentShown(
        standing="unknown" if standing is None else "granted" if standing.state == consents.GRANTED else "revoked",
        words=[
            WordShown(
                state=one.state, origin=one.origin, scope=one.scope, evidence=one.evidence, by=one.by, at=one.at
            )
            for one in words
        ],
    )  # fmt: skip


def record(call: Call) -> ConsentShown:
    """Write down what staff were told, and return what is on record then."""
    body: ConsentSaid = call.body
    _key(call)
    word = consents.Word(body.state, "staff", body.evidence, call.caller.name)
    with call.flow.store.write() as tx:
        optout.take(call.flow, tx, body.channel, _to(call), word, facilities=[body.facility])
    return show(call)


def _scopes(call: Call) -> list[str]:
    facility = call.flow.facility(call.body.facility)
    return [consents.facility(call.body.facility), *(consents.notifier(name) for name in facility.notifiers)]


def _key(call: Call) -> str:
    places = call.caller.user.facilities
    if call.body.facility not in call.flow.settings.facilities or (places and call.body.facility not in places):
        raise Problem(404, "there is no such facility here")
    return consents.key(call.body.channel, _to(call))


def _to(call: Call) -> str:
    """Return the number in E.164, or the address. Raises Problem 422."""
    body: Whose = call.body
    if body.channel == "sms":
        if (found := contacts.phone(body.to, call.flow.facility(body.facility).region)) is None:
            raise Problem(422, "`to` is no telephone number")
        return found.value
    try:
        mail_address.wire(body.to)
    except ValueError:
        raise Problem(422, "`to` is no e-mail address") from None
    return body.to
