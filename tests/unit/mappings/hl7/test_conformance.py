"""What we send is checked by somebody else's code, in the version that it claims."""

from __future__ import annotations

import datetime as dt
from importlib import resources

import pytest

from chartpost.mappings import postingmap
from chartpost.mappings.hl7.conformance import validate
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.write import write

SHIPPED = resources.files("chartpost.mappings.library").joinpath("hl7v2-dft-payment.yaml").read_text("utf-8")
CHART = {
    "PID-3": "M100^^^LAKE^MR",
    "PID-5": "O\\T\\NEIL^TESSA",
    "PID-18": "ACC77^^^LAKE^AN",
    "PV1-19": "V5^^^LAKE^VN",
}


def sent(version: str = "2.5.1", **changes: object) -> bytes:
    posting = Posting(
        kind="payment",
        posting_id="P7K2M9Q4R8T1",
        control_id="CP0000000042",
        amount=Money(minor=4500, currency="USD"),
        paid_at=dt.datetime(2025, 3, 15, 4, 30, tzinfo=dt.UTC),
        posted_at=dt.datetime(2025, 3, 15, 4, 31, tzinfo=dt.UTC),
        timezone="America/Chicago",
        medium="card/visa",
        provider_reference="pi_3NkTESTabcdefgh|&^",
        account="ACC77",
        chart=CHART,
    )
    outbound = postingmap.parse(SHIPPED.replace('version: "2.5.1"', f'version: "{version}"'))
    return write(posting.model_copy(update=changes), outbound)


@pytest.mark.parametrize("version", ["2.3", "2.5.1", "2.8"])
def test_what_we_write_conforms(version: str) -> None:
    assert validate(sent(version)) == []
    assert validate(sent(version, chart={"PID-3": "M100^^^^MR", "PID-5": "MARLOWE"})) == []


@pytest.mark.parametrize("version", ["2.3", "2.8"])
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"\rPID|", b"\rZID|", "Missing required child DFT_P03.PID"),
        (b"P7K2M9Q4R8T1", b"P7K2M9Q4R8T1X", "FT1-2: longer than 12 characters"),
        (b"20250314233000-0500", b"2025-03-14", "FT1-4: not a valid"),
        (b"45.00", b"45,oo", "FT1-11: not a valid CP"),
        (b"\rFT1|", b"\rQQQ|1\rFT1|", "QQQ: this segment has no place"),
        (b"\rFT1|", b"\rMSA|AA\rFT1|", "MSA: this segment has no place"),
    ],
)
def test_what_is_wrong_is_found_and_named_by_place(version: str, old: bytes, new: bytes, said: str) -> None:
    raw = sent(version)
    assert old in raw
    assert any(said in problem for problem in validate(raw.replace(old, new, 1)))


def test_no_problem_quotes_a_value() -> None:
    found = validate(sent().replace(b"20250314233000-0500", b"TESSA-SECRET"))
    assert found
    assert "SECRET" not in "".join(found)


def test_a_segment_out_of_its_place_is_not_dropped_in_silence() -> None:
    lines = sent().split(b"\r")
    raw = b"\r".join([lines[0], lines[1], lines[4], lines[2], lines[3], b""])
    assert validate(raw)


def test_the_charts_own_fields_may_have_more_components_than_the_standard() -> None:
    long_name = "MARLOWE&&&&VAN^TESSA^M^III^Dr.^MD^D^^^^^^^^PF^EXTRA~MARLOW^T"
    assert validate(sent("2.8", chart={**CHART, "PID-5": long_name})) == []
    assert validate(sent("2.3", chart={**CHART, "PID-5": long_name})) == []


@pytest.mark.parametrize("version", ["2.7", "2.8.2"])
def test_a_chart_that_writes_no_types_of_its_numbers_is_told_of_its_payments_all_the_same(version: str) -> None:
    """From 2.7 on the standard wants CX.5; what the chart itself never wrote is no reason to keep a payment from it."""
    bare = {"PID-3": "M100", "PID-5": "MARLOWE^TESSA", "PID-18": "ACC77^^^LAKE", "PV1-19": "V5~V6^^^^VN"}
    assert validate(sent(version, chart=bare)) == []
    assert validate(sent(version, chart=bare | {"PID-3": "^^^LAKE^MR"})) == ["Missing required child PID_3.CX_1"]


@pytest.mark.parametrize("raw", [b"", b"garbage", b"MSH|^~\\&|\r", sent().replace(b"|2.5.1|", b"|2.9|")])
def test_what_cannot_be_checked_is_a_problem_and_not_an_exception(raw: bytes) -> None:
    assert validate(raw)


def test_line_feeds_do_not_hide_segments_from_the_check() -> None:
    assert validate(sent().replace(b"\r", b"\n")) == []
