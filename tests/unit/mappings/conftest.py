"""A small DFT to bend, and the shipped maps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from chartpost.mappings import er7, mapfile, postingmap
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Money, Posting, Reading
from chartpost.mappings.postingmap import PostingMap
from chartpost.mappings.read import read

PID = "PID|1||M100^^^LAKE^MR||MARLOWE^TESSA||19800101|F|||1 OAK ST||(608)555-0142^PRN^CP|||||ACC77^^^LAKE^AN"
FT1 = "FT1|1|TX1||20250314||CG|99213^OFFICE VISIT^CPT|||1|120.00&USD"


@pytest.fixture
def dft() -> Callable[..., bytes]:
    """Return a maker of DFT bytes: segments after MSH and EVN, CR after each."""

    def make(*segments: str, type: str = "DFT^P03", version: str = "2.5.1", end: str = "\r") -> bytes:
        head = (f"MSH|^~\\&|HIS|LAKE|PAY|PAY|20250314102233||{type}|C1|P|{version}", "EVN|P03|20250314102230")
        return "".join(segment + end for segment in (*head, *(segments or (PID, FT1)))).encode()

    return make


@pytest.fixture(scope="session")
def shipped() -> Map:
    return mapfile.load("hl7v2-dft")


@pytest.fixture
def reading(shipped: Map) -> Callable[..., Reading]:
    """Return a reader for a clinic in Chicago that bills in dollars."""

    def run(raw: bytes, map: Map = shipped, currency: str = "USD", region: str = "US") -> Reading:
        return read(er7.parse(raw), map, currency=currency, region=region, timezone="America/Chicago")

    return run


@pytest.fixture(scope="session")
def outbound() -> PostingMap:
    return postingmap.load("hl7v2-dft-payment")


@pytest.fixture
def posting() -> Posting:
    """A card payment of 45 dollars at 23:30 in Chicago, which is another day in UTC."""
    return Posting(
        kind="payment",
        posting_id="P7K2M9Q4R8T1",
        control_id="CP0000000042",
        amount=Money(minor=4500, currency="USD"),
        paid_at=dt.datetime(2025, 3, 15, 4, 30, tzinfo=dt.UTC),
        posted_at=dt.datetime(2025, 3, 15, 4, 31, 7, tzinfo=dt.UTC),
        timezone="America/Chicago",
        medium="card/visa",
        provider_reference="pi_3NkTESTabcdefgh",
        account="ACC77",
        chart={
            "PID-3": "M100^^^LAKE^MR",
            "PID-5": "MARLOWE^TESSA",
            "PID-18": "ACC77^^^LAKE^AN",
            "PV1-19": "V5^^^LAKE^VN",
        },
        receiving=("HIS", "LAKE"),
    )
