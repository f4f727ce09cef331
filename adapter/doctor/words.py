"""What payers and staff are written: do their words fit into texts, and is there anybody who could send them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chartpost.adapter.doctor.finding import Finding, State
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.wording import proofread, template
from chartpost.adapter.users import User

_BROKEN = "not all of it can be used; see the configuration's problems"


def texts(what: str, options: Mapping[str, Any], base: str) -> Iterator[Finding]:
    """A facility's texts: the longest of them, as it is sent. `base`: the address of its links; "" for none."""
    try:
        facility = Facility.model_validate(options)
        words = template.shipped() if facility.templates is None else template.read(Path(facility.templates))
        address = facility.pay_url or base.rstrip("/") or proofread.BASE
        used = [words[purpose, "sms", one] for purpose, one in product(template.PURPOSES, facility.languages)]
        sizes = [(proofread.size(one, facility, address), one) for one in used]
    except (ConfigurationError, ValidationError, KeyError):
        yield Finding(what, State.SKIPPED, _BROKEN)
        return
    size, longest = max(((size, one) for size, one in sizes if size is not None), key=lambda found: found[0][1:])
    text = f"the longest text, {longest.where}, is {size.length} characters of {size.encoding}"
    if size.segments > 1:
        fix = "see `chartpost templates check`; a shorter message_name, and letters of GSM-7 alone, make texts cheaper"
        yield Finding(what, State.WARNING, f"{text}: it is sent, and paid for, as {size.segments} segments", fix)
    else:
        yield Finding(what, State.OK, f"{text}, one segment")


def staff(users: Mapping[str, Mapping[str, Any]], mailing: Mapping[str, bool]) -> Iterator[Finding]:
    """Users who are told by e-mail; `mailing` says of each facility whether it writes e-mail."""
    for name, options in users.items():
        try:
            user = User.model_validate(options)
        except ValidationError:
            continue  # the configuration's problems tell
        theirs = [writes for facility, writes in mailing.items() if not user.facilities or facility in user.facilities]
        if not user.tell:
            continue
        if any(theirs):
            yield Finding(f"users.{name}", State.OK, f"is told by e-mail of {' and '.join(user.tell)}")
        else:
            fix = "give the facility a notifier that sends e-mail, and `mail`"
            yield Finding(f"users.{name}", State.PROBLEM, "is told by e-mail, and no facility of theirs writes", fix)
