"""Writing postings: exact, escaped, local in time, and never with a guessed sign."""

from __future__ import annotations

import datetime as dt
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7, postingmap
from chartpost.mappings.model import Money, Posting
from chartpost.mappings.postingmap import PostingMap
from chartpost.mappings.write import Unwritable, write

SHIPPED = resources.files("chartpost.mappings.library").joinpath("hl7v2-dft-payment.yaml").read_text("utf-8")


def in_version(version: str) -> PostingMap:
    return postingmap.parse(SHIPPED.replace('version: "2.5.1"', f'version: "{version}"'))


def test_a_payment_is_a_dft_that_a_person_can_check(posting: Posting, outbound: PostingMap) -> None:
    assert write(posting, outbound).decode().split("\r") == [
        "MSH|^~\\&|CHARTPOST||HIS|LAKE|20250314233107-0500||DFT^P03^DFT_P03|CP0000000042|P|2.5.1||||||UNICODE UTF-8",
        "EVN|P03|20250314233107-0500",
        "PID|||M100^^^LAKE^MR||MARLOWE^TESSA|||||||||||||ACC77^^^LAKE^AN",
        "PV1||N|||||||||||||||||V5^^^LAKE^VN",
        "FT1|1|P7K2M9Q4R8T1||20250314233000-0500|20250314233107-0500|PY|VISA|||1|45.00&USD"
        "|||||||||||||||||||pi_3NkTESTabcdefgh",
        "",
    ]


def test_before_2_5_there_is_no_ft1_30_and_from_2_7_no_evn_1(posting: Posting) -> None:
    old = er7.parse(write(posting, in_version("2.3")))
    assert old.text("FT1", 30) == ""
    assert old.text("MSH", 9, 3) == ""
    new = er7.parse(write(posting, in_version("2.8")))
    assert new.text("EVN", 1) == ""
    assert new.text("FT1", 30) == "pi_3NkTESTabcdefgh"
    assert new.text("FT1", 30, 5) == "U"


def test_the_acknowledgement_mode_is_original(posting: Posting, outbound: PostingMap) -> None:
    message = er7.parse(write(posting, outbound))
    assert (message.text("MSH", 15), message.text("MSH", 16)) == ("", "")


def test_no_visit_number_means_no_pv1(posting: Posting, outbound: PostingMap) -> None:
    chart = {name: text for name, text in posting.chart.items() if name != "PV1-19"}
    assert er7.parse(write(posting.model_copy(update={"chart": chart}), outbound)).segment("PV1") is None


@pytest.mark.parametrize("kind", ["refund", "dispute"])
def test_a_refund_or_dispute_without_a_stated_sign_is_held(posting: Posting, outbound: PostingMap, kind: str) -> None:
    with pytest.raises(Unwritable) as caught:
        write(posting.model_copy(update={"kind": kind}), outbound)
    (problem,) = caught.value.problems
    assert f"how a {kind} is written" in problem.cause
    assert f"{kind}: {{type: PY, sign: negative" in problem.fix


def test_a_stated_refund_is_written_with_its_own_sign_and_code(posting: Posting) -> None:
    stated = SHIPPED.replace(
        "  payment: {type: PY, sign: positive}",
        "  payment: {type: PY, sign: negative}\n  refund: {type: AJ, sign: positive, code: REFUND}",
    )
    outbound = postingmap.parse(stated)
    assert er7.parse(write(posting, outbound)).text("FT1", 11) == "-45.00"
    refund = er7.parse(write(posting.model_copy(update={"kind": "refund"}), outbound))
    assert (refund.text("FT1", 6), refund.text("FT1", 7), refund.text("FT1", 11)) == ("AJ", "REFUND", "45.00")


def test_a_medium_is_its_own_line_of_the_table_or_that_of_its_family(posting: Posting, outbound: PostingMap) -> None:
    unionpay = posting.model_copy(update={"medium": "card/unionpay"})
    assert er7.parse(write(unionpay, outbound)).text("FT1", 7) == "CARD"
    with pytest.raises(Unwritable, match='medium "bank" is not in the table'):
        write(posting.model_copy(update={"medium": "bank"}), outbound)


def test_everything_that_cannot_be_written_is_told_at_once(posting: Posting, outbound: PostingMap) -> None:
    hopeless = posting.model_copy(
        update={"kind": "refund", "medium": "bank", "posting_id": "A" * 13, "chart": {}, "control_id": ""}
    )
    with pytest.raises(Unwritable) as caught:
        write(hopeless, outbound)
    assert {problem.path for problem in caught.value.problems} == {
        "FT1-6",
        "FT1-7",
        "FT1-2",
        "PID-3",
        "PID-5",
        "MSH-10",
    }


def test_currencies_keep_their_own_decimals(posting: Posting, outbound: PostingMap) -> None:
    yen = posting.model_copy(update={"amount": Money(minor=500, currency="JPY")})
    assert er7.parse(write(yen, outbound)).text("FT1", 11) == "500"
    dinar = posting.model_copy(update={"amount": Money(minor=1234, currency="KWD")})
    assert er7.parse(write(dinar, outbound)).text("FT1", 11) == "1.234"


def test_what_stands_in_a_later_component_alone_is_written(posting: Posting) -> None:
    rows = "  - {target: FT1-16.4, value: account}\n  - {target: FT1-13.2, constant: Billing}\n"
    made = er7.parse(write(posting, postingmap.parse(f"extends: hl7v2-dft-payment\nrows:\n{rows}")))
    assert (made.text("FT1", 16, 1), made.text("FT1", 16, 4)) == ("", "ACC77")
    assert made.text("FT1", 13, 2) == "Billing"


def test_a_constant_beside_a_value_that_is_empty_is_left_out(posting: Posting) -> None:
    silent = posting.model_copy(update={"provider_reference": ""})
    assert er7.parse(write(silent, in_version("2.8"))).text("FT1", 30, 5) == ""


def test_a_time_without_a_zone_is_a_mistake_of_ours(posting: Posting, outbound: PostingMap) -> None:
    with pytest.raises(ValueError, match="aware"):
        write(posting.model_copy(update={"paid_at": dt.datetime(2025, 3, 14)}), outbound)


HOSTILE = st.text(st.sampled_from("ab|^~\\&#\r\n\x0b\x1cFT1 é"), max_size=20)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_value_becomes_a_segment_or_a_frame(reference: str, name: str, receiver: str) -> None:
    posting = Posting(
        kind="payment",
        posting_id="P7K2M9Q4R8T1",
        control_id="CP42",
        amount=Money(minor=4500, currency="USD"),
        paid_at=dt.datetime(2025, 3, 15, 4, 30, tzinfo=dt.UTC),
        posted_at=dt.datetime(2025, 3, 15, 4, 30, tzinfo=dt.UTC),
        timezone="America/Chicago",
        medium="card",
        provider_reference=reference,
        account="A",
        chart={"PID-3": "M100", "PID-5": "x" + name},
        receiving=(receiver, ""),
    )
    raw = write(posting, postingmap.load("hl7v2-dft-payment"))
    message = er7.parse(raw)
    assert [segment.name for segment in message.segments] == ["MSH", "EVN", "PID", "FT1"]
    assert message.text("FT1", 30) == reference
    assert message.text("FT1", 11) == "45.00"
    assert message.text("MSH", 12) == "2.5.1"
    assert not {0x0B, 0x1C, 0x0A} & set(raw)
