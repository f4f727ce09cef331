"""Whether a changed map may go live: it has no mistake, keeps its goldens, and what it writes conforms to the standard.

`elsewhere` asks a process of its own, which gives way to everything else: reading goldens is work for a processor, and
while we do it nobody at a door should wait.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, NamedTuple, get_args

from chartpost.adapter import goldens
from chartpost.adapter.flow.gate import Stop
from chartpost.mappings import layers, mapfile, postingmap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.movement import PaymentKind
from chartpost.mappings.write import Unwritable, check, write

Kind = Literal["charges", "postings"]
#: Seconds for all goldens of a map.
PATIENCE = 120.0
#: How much the other process gives way (nice).
_NICE = 10
_MOMENT = dt.datetime(2026, 1, 15, 15, 4, 5, tzinfo=dt.UTC)
#: What a chart gives back in the examples; of anything else it is "1".
_CHART = {
    "PID-3": "M1^^^SAMPLE^MR", "PID-5": "Sample^Silvia", "PID-18": "A1^^^SAMPLE^AN", "PV1-19": "V1^^^SAMPLE^VN",
    "Invoice.identifier": "urn:sample|I1", "Patient.identifier": "urn:sample|M1", "Patient.reference": "Patient/1",
    "Account.reference": "Account/1",
}  # fmt: skip


class Judged(NamedTuple):
    """What was said of a map."""

    label: str  #: of the text that was judged; "" when it could not be read
    problems: list[str]  #: none: it may go live


class Interrupted(Exception):
    """The process is to end before the answer was there."""


def judge(kind: Kind, path: str) -> Judged:
    """Judge the map as it lies on the disk now."""
    try:
        if kind == "charges":
            charges = mapfile.compile_map(layers.read(path))
            broken = goldens.problems(charges, goldens.folder_of(path))
            return Judged(charges.label, [_without_values(problem) for problem in broken])
        postings = postingmap.parse(*layers.read_file(path))
        return Judged(postings.label, list(_unfit(postings)))
    except mapfile.MapError as error:
        return Judged("", error.problems)


def _without_values(problem: str) -> str:
    """Return which value differs from a golden without the value: it may be a person's."""
    file, _, rest = problem.partition(": ")
    where, _, values = rest.partition(": ")
    return f"{file}: {where} differs from its golden; `chartpost map check` says how" if "→" in values else problem


def _unfit(map: postingmap.PostingMap) -> Iterator[str]:
    """Yield what is wrong with an example of each kind of movement that the map states."""
    for kind in map.kinds:
        posting = example(map, kind)
        try:
            problems = check(write(posting, map), map)
        except Unwritable as error:
            problems = [f"{problem.path}: {problem.cause}" for problem in error.problems]
        yield from (f"{map.name}: an example of a {kind}: {problem}" for problem in problems)


def example(map: postingmap.PostingMap, kind: PaymentKind) -> Posting:
    """Return an invented movement of which a map has everything that its rows may name."""
    rows = getattr(map, "rows", ())
    named = {row.value: next(iter(map.tables[row.table].codes), "") if row.table else "" for row in rows if row.value}
    chart = {name.removeprefix("chart."): code for name, code in named.items() if name.startswith("chart.")}
    medium = next(iter(map.media.codes), "card/visa")
    return Posting(
        kind=kind, posting_id="P0EXAMPLE001", control_id="P0EXAMPLE001", amount=Money(minor=4500, currency="USD"),
        paid_at=_MOMENT, posted_at=_MOMENT, timezone="UTC", medium=medium, provider_reference="pi_example",
        facility=named.get("facility") or "Sample", account=named.get("account") or "A1", batch="LAK260115",
        predecessor="" if kind == "payment" else "P0EXAMPLE000",
        chart={name: code or _CHART.get(name, "1") for name, code in chart.items()},
    )  # fmt: skip


def elsewhere(kind: Kind, path: str, stop: Stop) -> Judged:
    """Have another process judge. Raises Interrupted when `stop` is set meanwhile."""
    command = [sys.executable, "-m", "chartpost.adapter.livecheck", kind, path]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as it:  # noqa: S603
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(subprocess.TimeoutExpired):
                said, _ = it.communicate(timeout=0.2)
                break
            if stop.is_set() or time.monotonic() > until:
                it.kill()
                if stop.is_set():
                    raise Interrupted
                return Judged("", [f"{path}: its goldens took longer than {PATIENCE:.0f} seconds"])
    try:
        told = json.loads(said)
        return Judged(told["label"], told["problems"])
    except ValueError:
        problem = f"{path}: checking it ended with {it.returncode}; `chartpost map check` says more"
        return Judged("", [problem])


def main() -> None:
    """Judge one map and say so on standard output."""
    kind, path = sys.argv[1:]
    assert kind in get_args(Kind)
    os.nice(_NICE)
    sys.stdout.write(json.dumps(judge("charges" if kind == "charges" else "postings", path)._asdict()))


if __name__ == "__main__":
    main()
