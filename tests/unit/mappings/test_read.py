"""Reading charges: what the wire says, once, whole, and with its reasons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Kind, Money, Reading
from chartpost.mappings.read import Unreadable, accepts, account_of, message_type, read

Reader = Callable[..., Reading]
Maker = Callable[..., bytes]

PID = "PID|1||M100^^^LAKE^MR||MARLOWE^TESSA||19800101|F|||1 OAK ST||(608)555-0142^PRN^CP|||||ACC77^^^LAKE^AN"
PV1 = "PV1|1|O|||||||||||||||||VIS5^^^LAKE^VN|SELF"
GT1 = "GT1|1||{0}^ANN|||608555{1}^PRN^CP~^NET^Internet^ann@example.org"


def ft1(
    kind: str = "CG", amount: str = "", unit: str = "", quantity: str = "1", ref: str = "", day: str = "20250314"
) -> str:
    return f"FT1|1|{ref}||{day}||{kind}|99213^OFFICE VISIT^CPT|||{quantity}|{amount}|{unit}"


def amounts(reading: Reading) -> list[int]:
    return [charge.amount.minor for charge in reading.charges]


def test_a_charge_is_read_whole_and_says_where_each_value_stood(dft: Maker, reading: Reader) -> None:
    line = "FT1|1|TX1||20250314233000-0500||CG^Charge^HL70017|99213^VISIT^CPT|||2|120.00&USD|60.00&USD|||100.00&USD"
    found = reading(dft(PID, PV1, line + "|" * 15 + "REF9"))
    (charge,) = found.charges
    assert (charge.ordinal, charge.kind, charge.amount) == (1, Kind.CHARGE, Money(minor=12000, currency="USD"))
    assert charge.insurance == Money(minor=10000, currency="USD")
    assert (charge.reference, charge.payment_reference) == ("TX1", "REF9")
    assert (charge.code, charge.description) == ("99213", "VISIT")
    assert charge.service_date == dt.date(2025, 3, 14)
    assert found.account == "ACC77"
    assert found.financial_class == "SELF"
    assert found.patient.name == "TESSA MARLOWE"
    assert found.chart == {
        "PID-3": "M100^^^LAKE^MR",
        "PID-5": "MARLOWE^TESSA",
        "PID-18": "ACC77^^^LAKE^AN",
        "PV1-19": "VIS5^^^LAKE^VN",
    }
    trace = {line.target: line for line in found.trace}
    assert trace["charges[1].amount"].path == "FT1[1]-11"
    assert trace["charges[1].amount"].raw == "120.00&USD"
    assert trace["charges[1].amount"].value == "120.00 USD"
    assert trace["charges[1].kind"].value == "charge"
    assert trace["account"].path == "PID-18"


@pytest.mark.parametrize(
    ("kind", "amount", "quantity", "minor"),
    [
        ("CG", "50.00", "1", 5000),
        ("CG", "-50.00", "1", -5000),
        ("CG", "50.00", "-1", -5000),
        ("CG", "-50.00", "-1", -5000),
        ("CD", "50.00", "1", -5000),
        ("CD", "-50.00", "1", -5000),
        ("CD", "-50.00", "-1", -5000),
        ("CO", "20.00", "1", 2000),
        ("CO", "-20.00", "1", -2000),
        ("PY", "30.00", "1", -3000),
        ("PY", "-30.00", "1", -3000),
        ("AJ", "10.00", "1", 1000),
        ("AJ", "-10.00", "1", -1000),
        ("CG", "0.00", "1", 0),
    ],
)
def test_however_many_signs_they_are_one_change_of_sign(
    dft: Maker, reading: Reader, kind: str, amount: str, quantity: str, minor: int
) -> None:
    assert amounts(reading(dft(PID, ft1(kind, amount, quantity=quantity)))) == [minor]


@pytest.mark.parametrize(
    ("amount", "unit", "quantity", "minor"),
    [
        ("100.00", "50.00", "2", 10000),
        ("100.00", "rubbish", "2", 10000),
        ("", "50.00&USD", "2", 10000),
        ("", "50.00&USD", "", 5000),
        ("", "0.25", "3.5", None),
        ("", "-50.00", "-2", -10000),
        ("", "50.00", "-2", -10000),
        ("200.00", "EUR", "1", 20000),
    ],
)
def test_only_a_unit_price_is_multiplied(
    dft: Maker, reading: Reader, amount: str, unit: str, quantity: str, minor: int | None
) -> None:
    raw = dft(PID, ft1("CG", amount, unit, quantity))
    if minor is None:
        with pytest.raises(Unreadable, match="more decimals"):
            reading(raw)
    else:
        assert amounts(reading(raw)) == [minor]


def test_a_currency_beside_the_amount_counts_and_the_sources_is_the_last_word(dft: Maker, reading: Reader) -> None:
    found = reading(dft(PID, ft1("CG", "200.00", "EUR"), ft1("CG", "150.00^EUR"), ft1("CG", "7,50")), currency="CHF")
    assert [str(charge.amount) for charge in found.charges] == ["200.00 EUR", "150.00 EUR", "7.50 CHF"]


def test_an_empty_amount_is_never_zero_but_holds_the_message(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable) as caught:
        reading(dft(PID, ft1("CG", "5.00"), ft1("CG", "")))
    (problem,) = caught.value.problems
    assert str(problem).startswith("FT1[2]-11: no amount: priced elsewhere (")


def test_a_deleted_amount_is_not_replaced_by_a_unit_price(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="no amount"):
        reading(dft(PID, ft1("CG", '""', "50.00")))


@pytest.mark.parametrize("code", ["1", "-1", "D", "P", "CH", "cg", "XX"])
def test_an_unknown_transaction_type_is_held_and_never_taken_for_a_charge(
    dft: Maker, reading: Reader, code: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        reading(dft(PID, ft1(code, "5.00")))
    (problem,) = caught.value.problems
    assert problem.path == "FT1[1]-6"
    assert f'"{code}"' in problem.cause
    assert "table kinds" in problem.fix


def test_an_empty_transaction_type_is_held_too(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="FT1\\[1\\]-6: is required and empty"):
        reading(dft(PID, ft1("", "5.00")))


def test_all_problems_of_a_message_are_told_at_once_and_without_the_persons_data(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable) as caught:
        reading(dft(PID, ft1("CG", "12,5o", day="14.03.2025"), ft1("CG", "5.00"), ft1("ZZ", "")))
    assert [problem.path for problem in caught.value.problems] == ["FT1[1]-11", "FT1[1]-4", "FT1[3]-6", "FT1[3]-11"]
    assert "14.03.2025" not in str(caught.value)
    assert "MARLOWE" not in str(caught.value)


def test_a_dft_without_ft1_is_read_and_has_nothing_to_bill(dft: Maker, reading: Reader) -> None:
    found = reading(dft(PID, PV1))
    assert found.charges == ()
    assert found.account == "ACC77"


def test_a_2_1_dft_without_trigger_event_is_a_dft(dft: Maker, reading: Reader, shipped: Map) -> None:
    raw = dft(PID, ft1("CG", amount="2", quantity="5.00"), type="DFT", version="2.1")
    assert message_type(er7.parse(raw)) == "DFT"
    assert amounts(reading(raw)) == [500], "in 2.1 the amount is FT1-10 and the quantity FT1-11"
    assert not accepts(er7.parse(dft(PID, type="ADT^A04")), shipped)
    with pytest.raises(Unreadable, match="MSH-9"):
        reading(dft(PID, type="ADT^A04"))


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_no_line_end_hides_a_line(dft: Maker, reading: Reader, end: str) -> None:
    assert amounts(reading(dft(PID, ft1("CG", "5.00"), ft1("CG", "6.00"), end=end))) == [500, 600]


def test_an_ft1_after_a_lone_line_feed_is_held_and_not_lost(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="a segment begins after a line feed"):
        reading(dft(PID, ft1("CG", "5.00") + "\n" + ft1("CG", "6.00")))


def test_a_line_break_inside_a_segment_is_held(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="does not begin with a segment name"):
        reading(dft(PID, ft1("CG", "5.00"), "NTE|1||the first half", "and the second"))


def test_two_messages_in_one_text_are_not_folded_into_one(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="a second message"):
        reading(dft() + dft())


def test_swapped_delimiters_are_read_and_chart_fields_come_back_in_the_usual_ones(reading: Reader) -> None:
    raw = (
        b"MSH|~^\\&|VISTA|LAKE|||20250314||DFT~P03|C1|P|2.4\r"
        b"PID|1||M100~~~LAKE~MR^S9~~~STATE~SS||MARLOWE~TESSA|||||||||||||ACC77~~~LAKE~AN\r"
        b"FT1|1|||20250314||CG|A1~VISIT \\T\\ TALK|||1|5.00~EUR\r"
    )
    found = reading(raw)
    assert found.chart["PID-3"] == "M100^^^LAKE^MR~S9^^^STATE^SS"
    assert str(found.charges[0].amount) == "5.00 EUR"
    assert found.charges[0].description == "VISIT & TALK"


def test_the_account_is_the_first_path_that_has_a_value(dft: Maker, shipped: Map) -> None:
    bare = PID.replace("ACC77^^^LAKE^AN", "")
    assert account_of(er7.parse(dft(PID, PV1)), shipped) == "ACC77"
    assert account_of(er7.parse(dft(bare, PV1)), shipped) == "VIS5"
    assert account_of(er7.parse(dft(bare)), shipped) == ""
    assert account_of(er7.parse(dft(PID.replace("ACC77^^^LAKE^AN", '""'), PV1)), shipped) == ""


def test_both_spellings_of_the_patients_phone_are_read_and_the_same_number_counts_once(
    dft: Maker, reading: Reader
) -> None:
    pid = PID.replace("(608)555-0142^PRN^CP", "6085550142^PRN^PH|6085550143^WPN^PH")
    found = reading(dft(pid + "|" * (40 - pid.count("|")) + "6085550142^PRN^CP~tessa@example.org", ft1("CG", "5")))
    assert [(contact.value, contact.mobile) for contact in found.patient.contacts] == [
        ("+16085550142", True),
        ("+16085550143", None),
        ("tessa@example.org", None),
    ]


def test_a_number_that_is_none_does_not_hold_money(dft: Maker, reading: Reader) -> None:
    found = reading(dft(PID.replace("(608)555-0142", "unknown"), ft1("CG", "5.00")))
    assert found.patient.contacts == ()
    assert [line.value for line in found.trace if line.target == "patient.contacts"] == [""]


def test_in_a_p03_the_guarantor_after_all_lines_speaks_for_the_message(dft: Maker, reading: Reader) -> None:
    found = reading(dft(PID, ft1("CG", "5.00"), ft1("CG", "6.00"), GT1.format("PAYER", "0150"), "IN1|1|PPO"))
    assert found.guarantor is not None
    assert found.guarantor.name == "ANN PAYER"
    assert [contact.value for contact in found.guarantor.contacts] == ["+16085550150", "ann@example.org"]
    assert [charge.guarantor for charge in found.charges] == [None, None]


def test_in_a_p11_a_guarantor_in_a_group_overrides_for_that_line_only(dft: Maker, reading: Reader) -> None:
    raw = dft(
        PID,
        GT1.format("FIRST", "0150"),
        ft1("CG", "5.00"),
        GT1.format("SECOND", "0151"),
        ft1("CG", "6.00"),
        type="DFT^P11",
    )
    found = reading(raw)
    assert found.guarantor is not None
    assert found.guarantor.family == "FIRST"
    first, second = found.charges
    assert first.guarantor is not None
    assert first.guarantor.family == "SECOND"
    assert second.guarantor is None


def test_in_a_p11_whose_groups_all_name_the_same_guarantor_that_is_the_messages(dft: Maker, reading: Reader) -> None:
    group = GT1.format("PAYER", "0150")
    found = reading(dft(PID, ft1("CG", "5"), group, ft1("CG", "6"), group, type="DFT^P11"))
    assert found.guarantor is not None
    assert found.guarantor.family == "PAYER"
    mixed = reading(dft(PID, ft1("CG", "5"), group, ft1("CG", "6"), type="DFT^P11"))
    assert mixed.guarantor is None


SITE = """
messages: DFT^P03
account: [PID-18, ZPR-1]
message:
  - {target: patient.family, path: PID-5.1}
  - {target: patient.contacts, path: ZPR-3, transform: phone}
  - {target: patient.contacts, path: ZPR-4, transform: [lower, email]}
  - {target: balance, path: ZPR-2}
charge:
  - {target: kind, path: FT1-6, transform: [upper, table types], default: CH}
  - {target: amount, path: [ZF1-2, FT1-11]}
  - {target: unit_price, path: FT1-22}
  - {target: quantity, path: FT1-10, default: 1}
tables:
  types: {codes: {CH: charge, CG: credit, "1": charge, "-1": credit, X: ignore}}
"""


def test_a_site_reads_its_own_codes_and_z_segments(dft: Maker, reading: Reader) -> None:
    site = mapfile.parse(SITE)
    raw = dft(
        "PID|1||M1||MARLOWE", "ZPR|A5|75.00|608 555 0142|Tessa@Example.org",
        ft1("ch", "5.00"), "ZF1|x|7.00",
        ft1("CG", "5.00"),
        ft1("-1", "4.00"),
        ft1("", "3.00"),
        ft1("X", ""),
        "FT1|6|||20250314||1||||3|" + "|" * 11 + "2.00",
    )  # fmt: skip
    found = reading(raw, site)
    assert amounts(found) == [700, -500, -400, 300, 600]
    assert [charge.ordinal for charge in found.charges] == [1, 2, 3, 4, 6]
    assert found.ignored == ("FT1[5]: the map leaves this type out",)
    assert found.account == "A5"
    assert found.balance == Money(minor=7500, currency="USD")
    assert [contact.value for contact in found.patient.contacts] == ["+16085550142", "tessa@example.org"]


def test_null_means_no_value_and_no_default(dft: Maker, reading: Reader) -> None:
    with pytest.raises(Unreadable, match="is no kind"):
        reading(dft("PID|1||M1||MARLOWE", ft1('""', "3.00")), mapfile.parse(SITE))


def test_a_line_never_borrows_the_z_segment_of_another_line(dft: Maker, reading: Reader) -> None:
    site = mapfile.parse(SITE)
    found = reading(dft("PID|1||M1", ft1("CH", "5.00"), ft1("CH", "6.00"), "ZF1|x|7.00"), site)
    assert amounts(found) == [500, 700]


FRAGMENTS = st.sampled_from(
    ["|", "^", "~", "&", "\\", '""', "\r", "\n", "FT1|", "GT1|", "-", "9" * 30, "CG", "é", "MSH|", "\\X0D\\", ""]
)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), FRAGMENTS | st.text(max_size=3)), max_size=6),
    st.sampled_from(["DFT^P03", "DFT^P11"]),
)
def test_a_damaged_message_is_read_or_refused_and_nothing_else(edits: list[tuple[int, int, str]], type: str) -> None:
    header = f"MSH|^~\\&|HIS|LAKE|PAY|PAY|20250314102233||{type}|C1|P|2.5.1"
    lines = [ft1("CG", "5.00&USD", "5.00", "1", "TX1"), ft1("CO", "", "2.50", "2")]
    text = "\r".join([header, PID, PV1, GT1.format("A", "0150"), *lines])
    for at, length, new in edits:
        text = text[:at] + new + text[at + length :]
    try:
        found = read(
            er7.parse(text.encode("utf-8", "replace")),
            mapfile.load("hl7v2-dft"),
            currency="USD",
            region="US",
            timezone="America/Chicago",
        )
    except (Unreadable, er7.Er7Error):
        return
    assert all(isinstance(charge.amount.minor, int) for charge in found.charges)
