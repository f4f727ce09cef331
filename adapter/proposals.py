"""What a person can do about a hold: the command to give, or the lines to add to a map. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from chartpost.adapter.flow.asking.limits import REVIEW
from chartpost.adapter.flow.deciding.release import BESIDE, IN_DOUBT, STOPPED, wants_answer
from chartpost.adapter.ledger.holds import unknown_code
from chartpost.mappings.mapfile import IGNORE
from chartpost.mappings.model import Kind, Problem

#: A map that is shipped, and cannot be changed in place.
_SHIPPED = re.compile(r"[a-z0-9-]+")
#: Nouns whose holds can be retried, beside messages; and the one cause among them that cannot.
_TRIED = frozenset(["posting", "request", "event", "card_session", "errand"])
_REFUSED = "provider_refused"
KINDS = (*(kind.value for kind in Kind), IGNORE)


class Proposal(NamedTuple):
    """One way out: what it comes to, and what to type or to write."""

    text: str
    lines: str


def propose(
    number: int,
    noun: str,
    cause: str,
    problems: Sequence[Problem],
    map: str,
    *,
    alike: int,
    reads: bool,
    held: bool,
    waivable: bool,
) -> list[Proposal]:
    """Return the ways out of a hold, the likeliest first.

    `problems` are what the map of today finds wrong with its message, none if it `reads` it; `map` is that of its
    source; `alike` open holds are mended by the same change; `held`: it is what keeps a message from counting;
    `waivable`: a person may set that rule aside.
    """
    which = f"--like H{number}" if alike > 1 else f"H{number}"
    found = [*_codes(problems, map)]
    if waivable:
        found.append(Proposal("it is right all the same: let it count", f"chartpost holds retry {which} --yes"))
    elif cause == REVIEW:
        found.append(Proposal("the amount is right: let it be asked for", f"chartpost holds retry {which} --yes"))
    elif cause == STOPPED:
        found.append(Proposal("the payer may be told all the same", f"chartpost holds retry {which} --yes"))
    elif cause in IN_DOUBT:
        found.append(
            Proposal("you have looked, and it did not arrive: send it again", f"chartpost holds retry H{number} --yes")
        )
    elif held or cause in BESIDE or (noun in _TRIED and cause != _REFUSED and not wants_answer(cause)):
        once = "" if reads or noun in _TRIED else "once that is mended: "
        said = f"{once}try {'all that are alike' if alike > 1 else 'it'} again"
        found.append(Proposal(said, f"chartpost holds retry {which}"))
    if held and cause not in BESIDE:
        if problems:
            sets = " ".join(f"--set {problem.path}=…" for problem in problems[:3])
            found.append(Proposal("correct this one message", f'chartpost holds edit H{number} {sets} --why "…"'))
        found.append(Proposal("leave it out for good", f'chartpost holds dismiss H{number} --why "…"'))
    else:
        found.append(Proposal("it is settled: close the hold", f'chartpost holds dismiss H{number} --why "…"'))
    return found


def _codes(problems: Sequence[Problem], map: str) -> list[Proposal]:
    """Return the lines that explain codes which no table knows."""
    codes: dict[str, dict[str, None]] = {}
    for problem in problems:
        if (found := unknown_code(problem)) is not None:
            codes.setdefault(found[0], {})[found[1]] = None
    if not codes:
        return []
    lines = ["tables:"]
    for table, names in codes.items():
        lines += [f"  {table}:", "    codes:"]
        for name in names:
            quoted = json.dumps(name, ensure_ascii=False)
            lines.append(f"      {quoted}: …" + (f"    # {', '.join(KINDS)}" if table == "kinds" else ""))
    if _SHIPPED.fullmatch(map):
        text = f"say what the code means at your site, in a map of your own which the source then names (it has {map})"
        return [Proposal(text, "\n".join([f"extends: {map}", *lines]))]
    return [Proposal(f"say what the code means at your site, in {Path(map).name}", "\n".join(lines))]
