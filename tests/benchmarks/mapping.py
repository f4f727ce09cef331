"""Measure reading and mapping: `make bench-map`. Floor, peer and product in the same run; the ratio is the figure.

    mapping.py [--rounds N] [--json]

Times are CPU microseconds of one message: median and nine in ten, over messages that all differ in every number, those
of telephones too, so that no cache knows them. The floor only takes the bytes apart; the peers only parse: hl7apy and
python-hl7 into their own trees, fhir.resources into its models. Ours ends with the whole Reading: people, contacts,
account, every line of money, conditions, trace. All of one round is measured before the next begins, so that a busy
machine is busy for all of them.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hl7
from fhir.resources.R4B.invoice import Invoice
from hl7apy.parser import parse_message

from chartpost.mappings import er7, mapfile
from chartpost.mappings.fhir import bundle
from chartpost.mappings.fhir.read import read as read_invoice
from chartpost.mappings.mapfile import Map
from chartpost.mappings.read import read

HERE = Path(__file__).parent
TEMPLATE = (HERE / "dft_p03.hl7").read_bytes()
INVOICE = json.loads((HERE.parents[1] / "samples/fhir/01_issued.json").read_bytes())
ROUNDS = 60
#: What is promised, in CPU milliseconds of the median.
DFT_LIMIT, INVOICE_LIMIT = 0.5, 3.0

OVERLAY = """
extends: hl7v2-dft
charge:
  - {target: amount, path: [ZPR-3, FT1-11], transform: money}
  - {target: reference, path: FT1-23}
tables:
  kinds: {codes: {CH: charge, ZB: ignore}}
"""
#: The shipped map has two stop rules itself; these are four, and one for every line.
CONDITIONS = (
    OVERLAY
    + """
message:
  - {target: my.agency, path: ZAC-4}
  - {target: my.ward, path: PV1-3.1}
when:
  charge: amount != 0 && !code.startsWith('Z')
stop:
  - {when: my.agency == 'Y', cause: collections, text: the account is with a collection agency}
  - {when: "my.ward in ['TRAINING', 'TEST']", cause: training, text: a ward for training}
"""
)
WHERE = {"currency": "USD", "region": "US", "timezone": "America/Chicago"}


def phone(number: int) -> str:
    """Return a telephone number that the last 78,000 messages did not have; all are 555-01xx."""
    return f"{201 + number // 100 % 780}55501{number % 100:02d}"


#: One count for all works: none may find what another has left in a cache.
NUMBERS = itertools.count(1)


def dfts() -> Iterator[bytes]:
    """Yield DFTs of the template's size that differ in every number."""
    for number in NUMBERS:
        known = {"CTRLID": f"BM{number:07d}", "MRN": f"MR{number:08d}", "ACCT": f"AC{number:08d}"}
        body = TEMPLATE
        for name, value in (known | {"VISIT": f"VN{number:08d}"}).items():
            body = body.replace(b"{%s}" % name.encode(), value.encode())
        told = phone(number)
        yield body.replace(b"608^5550148", f"{told[:3]}^{told[3:]}".encode())


def invoices() -> Iterator[bytes]:
    """Yield Invoices with their patient inside, that differ in every number."""
    for number in NUMBERS:
        made = copy.deepcopy(INVOICE)
        made["id"] = f"inv-{number:07d}"
        made["identifier"][0]["value"] = f"INV-{number:07d}"
        patient = made["contained"][0]
        patient["identifier"][0]["value"] = f"MR-{number:07d}"
        patient["telecom"][0]["value"] = phone(number)
        yield json.dumps(made).encode()


@dataclass
class Work:
    """One line of the table: what is done to a message, how often a round, and the times that it took."""

    what: str
    run: Callable[[bytes], Any]
    messages: Iterator[bytes]
    times: int = 20
    limit: float = 0  #: milliseconds that are promised; 0 is nothing
    taken: list[int] = field(default_factory=list)  #: CPU nanoseconds

    def go(self) -> None:
        for body in itertools.islice(self.messages, self.times):
            began = time.thread_time_ns()
            self.run(body)
            self.taken.append(time.thread_time_ns() - began)

    @property
    def median(self) -> float:
        """CPU microseconds."""
        return statistics.median(self.taken) / 1_000

    @property
    def nine_in_ten(self) -> float:
        return statistics.quantiles(self.taken, n=10)[8] / 1_000


def split(body: bytes) -> list[list[bytes]]:
    """The floor: every segment and field is looked at, and nothing is understood."""
    return [segment.split(b"|") for segment in body.split(b"\r")]


def reader(map: Map) -> Callable[[bytes], Any]:
    def run(body: bytes) -> Any:
        found = read(er7.parse(body), map, **WHERE)
        assert len(found.charges) == 3
        return found

    return run


def invoice_reader(map: Map) -> Callable[[bytes], Any]:
    def run(body: bytes) -> Any:
        resource, around = bundle.unpack(body, 32)
        found = read_invoice(resource, map, around=around, **WHERE)
        assert found.charges
        return found

    return run


def site(folder: str, name: str, text: str) -> Map:
    path = Path(folder, f"{name}.yaml")
    path.write_text(text, "utf-8")
    return mapfile.load(str(path))


def tables(folder: str) -> list[list[Work]]:
    """Return the works of both tables, the floor and the peer first."""
    overlay, conditions = site(folder, "overlay", OVERLAY), site(folder, "conditions", CONDITIONS)
    return [
        [
            Work("floor: bytes split into fields", split, dfts()),
            Work("peer: hl7apy, parse alone", lambda body: parse_message(body.decode()), dfts(), 1),
            Work("peer: python-hl7, parse alone", lambda body: hl7.parse(body.decode()), dfts(), 5),
            Work("ours: parse alone", er7.parse, dfts()),
            Work("ours: the shipped map", reader(mapfile.load("hl7v2-dft")), dfts(), limit=DFT_LIMIT),
            Work("ours: a site's map that extends it", reader(overlay), dfts(), limit=DFT_LIMIT),
            Work("ours: and 4 stops, when.charge on 3 lines", reader(conditions), dfts(), limit=DFT_LIMIT),
        ],
        [
            Work("floor: JSON decoded", json.loads, invoices()),
            Work("peer: fhir.resources, parse alone", Invoice.model_validate_json, invoices(), 5),
            Work("ours: the shipped map", invoice_reader(mapfile.load("fhir-invoice")), invoices(), 5, INVOICE_LIMIT),
        ],
    ]


def show(title: str, works: list[Work]) -> None:
    floor, peer = works[0], works[1]
    print(f"{title:<46}{'median':>9}{'9 in 10':>9}{'× floor':>9}{'of peer':>9}")
    for work in works:
        ratio = f"{work.median / floor.median:>9.1f}{work.median / peer.median:>9.1%}"
        missed = "  ! more than promised" if work.limit and work.median > work.limit * 1_000 else ""
        print(f"{work.what:<46}{work.median:>9.1f}{work.nine_in_ten:>9.1f}{ratio}{missed}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="the medians for machines, CPU microseconds")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="chartpost-bench-") as folder:
        dft, invoice = tables(folder)
    for _ in range(given.rounds + 1):
        for work in (*dft, *invoice):
            work.go()
    for work in (*dft, *invoice):
        del work.taken[: work.times]  # the first round fills what is filled once
    if given.json:
        print(
            json.dumps(
                {"dft": {one.what: one.median for one in dft}, "invoice": {one.what: one.median for one in invoice}}
            )
        )
    else:
        print(f"CPU µs a message, {given.rounds} rounds; load before: {os.getloadavg()[0]:.1f}")
        show(f"DFT^P03, {len(next(dfts())):,} bytes, three FT1", dft)
        show(f"FHIR Invoice, {len(next(invoices())):,} bytes", invoice)
    return 1 if any(one.limit and one.median > one.limit * 1_000 for one in (*dft, *invoice)) else 0


if __name__ == "__main__":
    sys.exit(main())
