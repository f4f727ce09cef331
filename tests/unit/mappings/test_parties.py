"""Who may be written to about a charge, what is known of them, and what they agreed to: by HL7 v2."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings import er7, mapfile
from chartpost.mappings.mapfile import Map
from chartpost.mappings.model import Party, Reading
from chartpost.mappings.read import Unreadable, read

SAMPLES = Path(__file__).parents[3] / "samples"
HEAD = "MSH|^~\\&|HIS|LAKE|PAY|PAY|20250314||{}|C1|P|2.5.1"
FT1 = "FT1|1|TX1||20250314||CG|99213|||1|120.00&USD"
DFT, ADT = mapfile.load("hl7v2-dft"), mapfile.load("hl7v2-dft-adt")


def made(*segments: str, map: Map = DFT, kind: str = "DFT^P03") -> Reading:
    text = "".join(f"{segment}\r" for segment in (HEAD.format(kind), "EVN|P03|20250314", *segments))
    return read(er7.parse(text), map, currency="USD", region="US", timezone="America/Chicago")


def pid(birth: str = "", language: str = "") -> str:
    return f"PID|1||M1^^^LAKE^MR||MARLOWE^TESSA||{birth}||||||608-555-0142||{language}|||A1"


def gt1(birth: str = "", language: str = "", name: str = "MARLOWE^ANN") -> str:
    return f"GT1|1||{name}|||608-555-0143||{birth}" + "|" * 28 + language


def values(party: Party | None) -> list[str]:
    return [contact.value for contact in party.contacts] if party is not None else []


def test_birth_date_and_language_of_patient_and_guarantor_are_read() -> None:
    found = made(pid("19800229", "es-US"), FT1, gt1("195502280930-0600", "ENG^English"))
    assert (found.patient.birth_date, found.patient.language) == (dt.date(1980, 2, 29), "es")
    assert found.guarantor is not None
    assert (found.guarantor.birth_date, found.guarantor.language) == (dt.date(1955, 2, 28), "en")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("19800229", dt.date(1980, 2, 29)),
        ("198002292359", dt.date(1980, 2, 29)),
        ("19800229235959.9999+1400", dt.date(1980, 2, 29)),
        ("19800229000000-1200", dt.date(1980, 2, 29)),
        ("1980-02-29", dt.date(1980, 2, 29)),
        ("1980", None), ("198002", None), ("19800230", None), ("00000000", None), ("unknown", None),
        ("02/29/1980", None), ("1980022", None), ("19800229x", None), ("1980-0229", None),
    ],
)  # fmt: skip
def test_a_birth_date_is_the_day_as_it_was_written_or_nothing_and_never_holds_a_charge(
    text: str, day: dt.date | None
) -> None:
    found = made(pid(text), FT1)
    assert (found.patient.birth_date, len(found.charges)) == (day, 1)


@given(st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)), st.sampled_from(["", "2330", "233000-0600", "0005+1400"]))
def test_no_zone_moves_a_birth_date(day: dt.date, rest: str) -> None:
    assert made(pid(f"{day:%Y%m%d}{rest}"), FT1).patient.birth_date == day


@given(st.text(st.characters(codec="ascii", exclude_characters="|^~\\&\r\n", min_codepoint=32), max_size=12))
def test_whatever_stands_in_pid_7_and_pid_15_the_charge_is_read(text: str) -> None:
    assert len(made(pid(text, text), FT1).charges) == 1


def test_a_language_is_read_from_its_code_or_from_its_name() -> None:
    assert made(pid(language="^Spanish"), FT1).patient.language == "es"
    assert made(pid(language="XX^Spanish"), FT1).patient.language == "es"
    assert made(pid(language="UNK^Unknown"), FT1).patient.language == ""


def test_a_table_explains_a_sites_own_code_of_a_language() -> None:
    rows = "message:\n  - {target: patient.language, path: PID-15, transform: [table tongues, language]}\n"
    site = mapfile.parse(f"extends: hl7v2-dft\n{rows}tables:\n  tongues: {{codes: {{'2': SPA}}, unknown: pass}}\n")
    assert made(pid(language="2"), FT1, map=site).patient.language == "es"
    assert made(pid(language="eng"), FT1, map=site).patient.language == "en"


def test_a_guarantor_is_there_only_by_a_name_or_a_contact() -> None:
    assert made(pid(), FT1, "GT1|1||||||  |19800229").guarantor is None


def test_the_insured_person_is_read_from_the_first_insurance() -> None:
    in1 = "IN1|1|P|I1|Invented||||||||||||ROE^IDA\rIN2" + "|" * 63 + "608-555-0144~^NET^Internet^ida@example.org"
    found = made(pid(), FT1, in1, "IN1|2|P|I2|Invented||||||||||||ROE^PIA")
    assert (found.others["insured"].name, values(found.others["insured"])) == (
        "IDA ROE", ["+16085550144", "ida@example.org"],
    )  # fmt: skip
    assert made(pid(), FT1).others == {}


def test_the_household_is_read_from_the_first_nk1_of_an_adt_and_of_charges() -> None:
    nk1 = "NK1|1|ROE^HAL|SPO||608-555-0145|608-555-0146\rNK1|2|ROE^EVA|||608-555-0147"
    for kind, rest in (("ADT^A08", ()), ("DFT^P03", (FT1,))):
        found = made(pid(), nk1, *rest, map=ADT, kind=kind)
        assert (found.others["household"].name, values(found.others["household"])) == (
            "HAL ROE", ["+16085550145", "+16085550146"],
        )  # fmt: skip
    assert made(pid(), nk1, FT1).others == {}, "a source that sends no ADT has no household"


@pytest.mark.parametrize(
    ("segment", "deleted"),
    [
        ('PID|1||M1||||""', {"patient.birth_date"}),
        ('PID|1||M1||||||||||||""', {"patient.language"}),
        (f'PID|1||M1\r{gt1(chr(34) * 2, chr(34) * 2)}', {"guarantor.birth_date", "guarantor.language"}),
        ('PID|1||M1\rNK1|1|""|||""', {"household.name", "household.contacts"}),
        ('PID|1||M1\rNK1|1|""|||""|608-555-0145', {"household.name"}),
        ("PID|1||M1\rIN2" + "|" * 63 + '""', {"insured.contacts"}),
    ],
)  # fmt: skip
def test_two_quotes_delete_one_thing_of_one_person(segment: str, deleted: set[str]) -> None:
    assert made(segment, map=ADT, kind="ADT^A08").deleted == deleted


def test_whose_work_a_line_was_is_read_from_its_own_ft1() -> None:
    second = FT1.replace("FT1|1|TX1", "FT1|2|TX2") + "|" * 9 + " 1467 ^DOE^JO"
    assert [charge.provider for charge in made(pid(), FT1, second).charges] == ["", "1467"]


# --------------------------------------------------------------------------------------------------------- consent

CONSENT: Callable[[str], Map] = lambda chain: mapfile.parse(  # noqa: E731
    f"extends: hl7v2-dft-adt\nmessage:\n  - {{target: consent.sms, path: ZCN-2, transform: {chain}}}\n"
    "  - {target: consent.email, path: ZCN-3}\ntables:\n  consents: {codes: {G: 'yes', R: 'no'}}\n"
)


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ("ZCN|1|Y|N", {"sms": True, "email": False}), ("ZCN|1|no|yes", {"sms": False, "email": True}),
        ("ZCN|1|0|1", {"sms": False, "email": True}), ("ZCN|1|TRUE", {"sms": True}), ("ZCN|1||f", {"email": False}),
        ("ZCN|1", {}), ('ZCN|1|""|""', {}), ("PV1|1|O", {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["DFT^P03", "ADT^A08"])
def test_consent_is_a_yes_a_no_or_not_said(kind: str, segment: str, said: dict[str, bool]) -> None:
    rest = (FT1,) if kind == "DFT^P03" else ()
    assert made(pid(), segment, *rest, map=CONSENT("yes_no"), kind=kind).consent == said


def test_a_table_explains_consent_and_no_shipped_map_reads_any() -> None:
    map = CONSENT("[table consents, yes_no]")
    assert [made(pid(), f"ZCN|1|{code}", FT1, map=map).consent for code in "GR"] == [{"sms": True}, {"sms": False}]
    assert made(pid(), "ZCN|1|G", FT1).consent == {}


@pytest.mark.parametrize("chain", ["yes_no", "[table consents, yes_no]"])
def test_a_word_of_consent_that_nobody_explained_is_no_guess(chain: str) -> None:
    with pytest.raises(Unreadable, match=r'ZCN-2: (code )?"maybe" ') as raised:
        made(pid(), "ZCN|1|maybe", FT1, map=CONSENT(chain))
    assert "table" in raised.value.problems[0].fix


def test_a_sample_of_a_payer_who_speaks_spanish_says_so() -> None:
    body = (SAMPLES / "shapes" / "h64_a_payer_who_speaks_spanish.hl7").read_bytes()
    found = read(er7.parse(body), DFT, currency="USD", region="US", timezone="America/Chicago")
    assert found.guarantor is not None
    assert (found.patient.language, found.guarantor.language) == ("es", "es")
    assert (found.patient.birth_date, found.guarantor.birth_date) == (dt.date(2018, 7, 4), dt.date(1989, 3, 17))
