"""The work list through the API: tried again, or left as it is, in the caller's name."""

from __future__ import annotations

from pydantic import BaseModel, Field

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.deciding.decide import Release
from chartpost.adapter.web.api.books import hold_object, sees_hold
from chartpost.adapter.web.api.problem import Problem
from chartpost.adapter.web.api.table import Call, Taken


class Retry(Taken):
    """`sure`: somebody has looked, where nobody knows what happened, or where a rule says wait."""

    sure: bool = False


class Dismiss(Taken):
    """Why it is left as it is."""

    why: str = Field(min_length=1, max_length=500)


class Released(BaseModel):
    """What happens now."""

    id: str
    object: str
    text: str


def retry(call: Call) -> Released:
    """Try again. That somebody is asked for more, or told although a rule says no, is the billing office's word."""
    number = _number(call)
    if call.body.sure and hold_object(call, number).partition(":")[0] in ("account", "request"):
        call.caller.must("requests:write")
    return _told(release.retry(call.flow, number, by=call.caller.name, sure=call.body.sure))


def dismiss(call: Call) -> Released:
    return _told(release.dismiss(call.flow.store, _number(call), by=call.caller.name, why=call.body.why))


def _number(call: Call) -> int:
    """Return the hold that the path names. Raises Problem 404, also where it is not this caller's to see."""
    name = call.path["hold"]
    number = int(name[1:]) if name[:1] == "H" and name[1:].isdecimal() and len(name) < 19 else 0
    if not number or not sees_hold(call, number):
        raise Problem(404, "there is no such hold here")
    return number


def _told(said: Release) -> Released:
    if not said.done:
        raise Problem(409, said.text)
    return Released(id=said.id, object=said.object, text=said.text)
