"""Promises of `chartpost map new`: it finds where things stand, says why, and guesses nothing that asks for money."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chartpost.mappings import propose
from chartpost.mappings.mapfile import Map, parse
from chartpost.mappings.propose import Draft, trial, written
from chartpost.mappings.read import read
from chartpost.mappings.specimens import Specimens, collect

from .sites import (
    Habit,
    before,
    behind,
    dollars,
    each_line,
    folder,
    joined,
    kinds,
    line,
    moved,
    one_line,
    put,
    row,
)  # fmt: skip


def proposed(*habits: Habit, **more: Any) -> tuple[Draft, Map, Specimens, str]:
    found = collect(folder(*habits, **more))
    draft = propose.draft(found)
    text = written.text(draft, "messages")
    return draft, parse(text, "site.yaml"), found, text


def paths(map: Map, target: str) -> list[str]:
    """Return where a map reads a target from."""
    if target == "account":
        return [getattr(path, "text", "") for path in map.account]
    return [
        getattr(path, "text", "") for row in (*map.message, *map.charge) if row.target == target for path in row.paths
    ]


def readings(map: Map, found: Specimens) -> list[Any]:
    return [read(one, map, currency="USD", region="US", timezone="UTC") for one in found.messages]


def z_name(number: int) -> Habit:
    return before(
        lambda one: row("ZGU", {1: "1", number: f"{one.family}^Rosamund", number + 1: f"(608)555-01{one.at + 40:02}"})
    )


SHAPES: dict[str, tuple[list[Habit], dict[str, list[str]]]] = {
    "unit cost only": ([moved(11, 22), line(10, "2")], {"unit_price": ["FT1-22"], "quantity": ["FT1-10", "FT1-11"]}),
    "amount and quantity swapped": (
        [each_line(lambda one, line: line.ft1.update({10: line.ft1[11], 11: line.ft1[10]}))],
        {"amount": ["FT1-10"], "quantity": ["FT1-11"]},
    ),
    "amount in a segment behind": (
        [line(11, ""), behind(lambda one, line: row("ZPX", {1: "1", 2: "A", 4: dollars(line.cents)}))],
        {"amount": ["ZPX-4"]},
    ),
    "price filled with zero": (
        [line(11, "0.00"), behind(lambda one, line: row("ZPX", {3: dollars(line.cents)}))],
        {"amount": ["ZPX-3"]},
    ),
    "part of the patient": (
        [behind(lambda one, line: row("ZRS", {1: str(line.number), 2: dollars(line.cents // 5)}))],
        {"amount": ["ZRS-2"]},
    ),
    "account in PV1-50": (
        [put("PID", 18, ""), put("PV1", 19, ""), put("PV1", 50, lambda one: f"B-{one.at + 900}")],
        {"account": ["PV1-50"]},
    ),
    "account on every line": (
        [put("PID", 18, ""), put("PV1", 19, ""), each_line(lambda one, line: line.ft1.update({2: f"B{one.at + 900}"}))],
        {"account": ["FT1-2"]},
    ),
    "account of type AN": (
        [put("PID", 18, ""), put("PV1", 19, ""),
         put("PID", 3, lambda one: f"M{one.at}7^^^HILL^MR~A{one.at}55^^^HILL^AN")],
        {"account": ["PID-3[5=AN].1"]},
    ),
    "account in a Z segment": (
        [put("PID", 18, ""), put("PV1", 19, ""), before(lambda one: row("ZVN", {2: f"88{one.at:04}"}))],
        {"account": ["ZVN-2"]},
    ),
    "one PID-18 for all": ([put("PID", 18, "10001")], {"account": ["PV1-19"]}),
    "kind in a Z segment": (
        [line(6, ""), behind(lambda one, line: row("ZTT", {2: "CHARGE" if one.at % 3 else "PAYMENT"}))],
        {"kind": ["ZTT-2"]},
    ),
    "kind behind its name": ([line(6, "^CG")], {"kind": ["FT1-6.2"]}),
    "reference in FT1-23": (
        [line(2, ""), each_line(lambda one, line: line.ft1.update({23: f"F{one.at:03}{line.number}"}))],
        {"reference": ["FT1-23"]},
    ),
    "code in FT1-25": ([moved(7, 25)], {"code": ["FT1-25"], "description": ["FT1-25.2"]}),
    "date in FT1-5": ([moved(4, 5)], {"service_date": ["FT1-5"]}),
    "name in one component": (
        [put("PID", 5, lambda one: f"{one.family}, {one.given}")],
        {"patient.family": ["PID-5.1"], "patient.given": ["PID-5.1"]},
    ),
    "payer in a Z segment": (
        [z_name(3)],
        {"guarantor.family": ["ZGU-3.1"], "guarantor.given": ["ZGU-3.2"],
         "guarantor.contacts": ["GT1-6", "GT1-7", "ZGU-4"]},
    ),
    "e-mail in a Z segment": (
        [before(lambda one: row("ZCM", {2: f"person{one.at}@example.org"}))],
        {"patient.contacts": ["PID-13", "PID-14", "PID-40", "ZCM-2"]},
    ),
    "e-mail in an odd component": (
        [put("PID", 13, lambda one: f"(608)555-01{one.at:02}^^^^^^^^person{one.at}@example.org")],
        {"patient.contacts": ["PID-13", "PID-14", "PID-40", "PID-13.9"]},
    ),
    "financial class in a Z segment": (
        [before(lambda one: row("ZFC", {1: ("SELF", "MCR", "COM")[one.at % 3]}))],
        {"financial_class": ["ZFC-1"]},
    ),
    "balance in PV1-46": ([put("PV1", 46, lambda one: dollars(one.at * 1111))], {"balance": ["PV1-46"]}),
    "balance in a Z segment": (
        [before(lambda one: row("ZBL", {3: dollars(one.at * 1111)}))],
        {"balance": ["ZBL-3"], "amount": ["FT1-11", "FT1-10"]},
    ),
    "price, quantity and amount in a Z segment": (
        [line(10, ""), line(11, ""),
         behind(lambda one, line: row("ZQP", {1: "3", 2: dollars(line.cents), 3: dollars(3 * line.cents)}))],
        {"amount": ["ZQP-3"], "quantity": ["ZQP-1"]},
    ),
    "two parts in a Z segment": (
        [behind(lambda one, line: row("ZIN", {2: dollars(line.cents - line.cents // 5), 3: dollars(line.cents // 5)}))],
        {"amount": ["ZIN-3"]},
    ),
    "a part that FT1-15 explains": (
        [each_line(lambda one, line: line.ft1.update({15: dollars(line.cents - line.cents // 5)})),
         behind(lambda one, line: row("ZIN", {3: dollars(line.cents // 5)}))],
        {"amount": ["FT1-11", "FT1-10"], "insurance": ["FT1-15"]},
    ),
    "numbers and addresses of a Z segment as XTN": (
        [put("PID", 13, ""),
         before(lambda one: row("ZCT", {2: f"^PRN^CP^person{one.at}@example.org^1^608^55501{one.at:02}"}))],
        {"patient.contacts": ["PID-13", "PID-14", "PID-40", "ZCT-2"]},
    ),
    "the doctor's name and number": (
        [before(lambda one: row("ZDR", {2: "Quince^Hollis" if one.at % 2 else "Marrow^Una", 3: "(608)555-0199"}))],
        {"guarantor.family": ["GT1-3.1"], "patient.contacts": ["PID-13", "PID-14", "PID-40"]},
    ),
    "record number in PID-2": (
        [put("PID", 3, ""), put("PID", 2, lambda one: f"M{one.at}88")], {"chart.PID-3": ["PID-2"]},
    ),
    "code and words in one component": (
        [line(7, lambda one: f"99213 {'Office visit'}")], {"code": ["FT1-7"]},
    ),
    "class in PV1-18": (
        [put("PV1", 18, lambda one: ("SELF", "MCR")[one.at % 2])], {"financial_class": ["PV1-18"]},
    ),
    "a nickname in front": (
        [put("PID", 5, lambda one: f"{one.family}^Pip^^^^^N~{one.family}^{one.given}^^^^^L")],
        {"patient.given": ["PID-5[7=L].2", "PID-5.2"]},
    ),
    "price of one in FT1-11": (
        [line(10, lambda one: str(one.number + 1)), line(12, lambda one: dollars((one.number + 1) * one.cents))],
        {"amount": ["FT1-12"], "unit_price": []},
    ),
    "nothing unusual": (
        [],
        {
            "account": ["PID-18", "PV1-19"], "kind": ["FT1-6"], "reference": ["FT1-2"], "service_date": ["FT1-4"],
            "code": ["FT1-7.1"], "patient.family": ["PID-5.1"], "amount": ["FT1-11", "FT1-10"],
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_what_stands_elsewhere_is_found_where_it_stands(name: str):
    habits, expected = SHAPES[name]
    _, map, _, text = proposed(*habits)
    assert {target: paths(map, target) for target in expected} == expected, text


WRITTEN: dict[str, Habit] = {
    "with decimals": line(11, lambda one: dollars(one.cents)),
    "in whole cents": line(11, lambda one: str(one.cents)),
    "filled with zeros": line(11, lambda one: f"{one.cents:010}"),
    "with a comma": line(11, lambda one: dollars(one.cents).replace(".", ",")),
    "with thousands": line(11, lambda one: f"1,{one.cents // 100:03}.{one.cents % 100:02}"),
    "with thousands and a comma": line(11, lambda one: f"1.{one.cents // 100:03},{one.cents % 100:02}"),
    "with a sign of dollars": line(11, lambda one: f"${dollars(one.cents)}"),
    "with the currency behind &": line(11, lambda one: f"{dollars(one.cents)}&USD"),
    "with the currency as component": line(11, lambda one: f"{dollars(one.cents)}^USD"),
    "with the currency in front": line(11, lambda one: f"USD^{dollars(one.cents)}"),
    "with a word for the currency": line(11, lambda one: f"{dollars(one.cents)}&DOLLAR"),
    "with the currency in the next field": each_line(lambda one, line: line.ft1.update({12: "USD"})),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_amounts_are_read_however_the_site_writes_them(way: str):
    _, map, found, text = proposed(WRITTEN[way])
    more = 100_000 if "thousands" in way else 0
    _, plain, original, _ = proposed()
    wanted = [charge.amount.minor + more for one in readings(plain, original) for charge in one.charges]
    assert [charge.amount.minor for one in readings(map, found) for charge in one.charges] == wanted, text


DATES = {"%m/%d/%Y": "05/{:02}/2026", "%d.%m.%Y": "{:02}.05.2026", "%Y-%m-%d": "2026-05-{:02}",
         "%d/%m/%Y": "{:02}/05/2026",
         "%m%d%Y": "05{:02}2026", "%m/%d/%Y %H:%M": "05/{:02}/2026 09:15"}  # fmt: skip


@pytest.mark.parametrize("pattern", DATES)
@pytest.mark.parametrize("count", [20])
def test_dates_are_read_however_the_site_writes_them(pattern: str, count: int):
    habit = each_line(lambda one, line: line.ft1.update({4: DATES[pattern].format(one.at % 28 + 1)}))
    _, map, found, text = proposed(habit, count=count)
    for at, one in enumerate(readings(map, found), 1):
        assert {str(charge.service_date) for charge in one.charges} == {f"2026-05-{at % 28 + 1:02}"}, text


@pytest.mark.parametrize(
    ("version", "marks", "end"),
    [("2.1", "|^~\\&", "\r"), ("2.2", "|~^\\&", "\n"), ("2.3.1", "!@#\\$", "\r\n"), ("2.8", "|^~\\&", "\n")],
)
def test_a_usual_site_needs_nothing_of_its_own(version: str, marks: str, end: str):
    def habit(one: Any) -> None:
        one.version, one.marks, one.end = version, marks, end
        swap = str.maketrans("^~&|", marks[1] + marks[2] + marks[4] + marks[0])
        for fields in (*one.segments.values(), *(each.ft1 for each in one.lines)):
            fields.update({number: value.translate(swap) for number, value in fields.items()})
        if version == "2.1":
            for each in one.lines:
                each.ft1[10], each.ft1[11] = each.ft1[11], each.ft1[10]

    draft, map, found, text = proposed(habit)
    assert (draft.rows, draft.account, draft.without) == ([], (), []), text
    tried = trial.try_on(found, map, currency="USD", region="US", timezone="UTC")
    assert (tried.read, tried.held) == (12, 0)


def test_a_batch_and_a_capture_of_a_line_hold_the_same_messages_as_single_files():
    files = folder()
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + joined(files) + b"BTS|12\rFTS|1\r"
    capture = b"".join(b"\x0b" + body + b"\x1c\r" for _, body in files)
    assert len(collect([("b", batch)]).messages) == len(collect([("c", capture)]).messages) == len(files)
    assert (
        propose.draft(collect([("c", capture)]))
        == propose.draft(collect([("b", batch)]))
        == propose.draft(collect(files))
    )


# ---------------------------------------------------------------------------------------------------------- kinds


def meanings(draft: Draft) -> dict[str, tuple[str, bool]]:
    return {one.code: (one.meaning, one.sure) for one in draft.codes}


def test_well_known_codes_are_proposed_where_the_amounts_agree():
    draft, _, _, _ = proposed(kinds(["CG", "PY", "CO", "AJ"]))
    assert meanings(draft) == {
        "CG": ("charge", True), "PY": ("payment", True), "CO": ("copay", True), "AJ": ("adjustment", True),
    }  # fmt: skip
    assert any("owed, or one that was collected" in one for one in draft.questions)


def test_a_charge_that_is_always_negative_is_no_charge():
    draft, map, found, text = proposed(each_line(lambda one, line: line.ft1.update({11: f"-{line.ft1[11]}"})))
    assert meanings(draft)["CG"] == ("credit", False)
    tried = trial.try_on(found, map, currency="USD", region="US", timezone="UTC")
    assert tried.read == 0, text


def test_a_code_that_takes_back_the_lines_of_another_is_no_charge():
    def back(one: Any) -> None:
        one_line(one)
        taken = one.at % 2 == 0
        one.lines[0].ft1.update({6: "CG" if taken else "CH", 7: "99213", 11: "80.00"})
        one.segments["PID"][18] = f"K{(one.at + 1) // 2}"

    draft, map, _, text = proposed(back)
    assert meanings(draft) == {"CH": ("charge", False), "CG": ("credit", False)}, text
    assert not any(table.codes.get("CG") for name, table in map.tables.items() if name == draft.table)


@given(
    codes=st.lists(
        st.sampled_from(["1", "-1", "2", "D", "P", "ZB", "CH", "X9", "Charge", "DEB"]),
        min_size=1,
        max_size=5,
        unique=True,
    )
)
@settings(max_examples=10, deadline=None)
def test_a_code_that_is_not_well_known_is_never_decided(codes: list[str]):
    draft, map, found, text = proposed(kinds(codes), count=5)
    assert all(not one.sure for one in draft.codes)
    assert trial.try_on(found, map, currency="USD", region="US", timezone="UTC").lines == 0, text


def test_an_empty_type_is_no_charge_either():
    draft, map, found, text = proposed(line(6, ""))
    assert trial.try_on(found, map, currency="USD", region="US", timezone="UTC").read == 0, text
    assert any("FT1-6 is empty" in one for one in draft.questions)


def test_a_message_total_is_never_taken_for_the_amount_of_each_line():
    total = before(lambda one: row("ZTO", {2: dollars(sum(line.cents for line in one.lines))}))
    _, map, _, text = proposed(line(11, ""), total)
    assert "ZTO-2" not in paths(map, "amount"), text


@given(st.integers(2, 9), st.lists(st.integers(100, 90_000), min_size=3, max_size=9))
@settings(max_examples=10, deadline=None)
def test_price_and_quantity_make_the_amount_that_the_site_counts(quantity: int, cents: list[int]):
    def habit(one: Any) -> None:
        for each in one.lines:
            each.cents = cents[(one.at + each.number) % len(cents)]
            each.ft1.update({10: str(quantity), 11: "", 12: dollars(each.cents)})

    _, map, found, _ = proposed(habit, count=4)
    for message, one in zip(found.messages, readings(map, found), strict=True):
        prices = [Decimal(message.text("FT1", 12)) if at == 1 else None for at in range(1, 2)]
        assert one.charges[0].amount.amount == prices[0] * quantity


# --------------------------------------------------------------------------------------------------- whatever comes


def after(text: bytes) -> st.SearchStrategy[bytes]:
    return st.binary(max_size=80).map(lambda tail: text + tail)


ONE = folder(count=1)[0][1]
BODIES = st.one_of(
    st.binary(max_size=200), after(b"MSH|^~\\&|A|B|||2026||DFT^P03|1|P|2.3\r"), after(ONE + b"FT1|1||||")
)


@given(st.lists(BODIES, max_size=4))
@settings(max_examples=25, deadline=None)
def test_whatever_lies_in_the_folder_a_proposal_is_a_map(bodies: list[bytes]):
    found = collect((f"{at}", body) for at, body in enumerate(bodies))
    draft = propose.draft(found)
    map = parse(written.text(draft, "messages"))
    tried = trial.try_on(found, map, currency="USD", region="US", timezone="UTC")
    assert tried.read + tried.held + tried.other == len(found.messages) or draft.dialect == "fhir"


# ------------------------------------------------------------------------------------------------------------ FHIR

EXTENSION = "https://ehr.example.org/ext"


def invoices(status: str, **more: Any) -> Specimens:
    """Return six Invoices in Bundles with their patients."""
    files = []
    for at in range(1, 7):
        invoice = {
            "resourceType": "Invoice", "status": status, "identifier": [{"system": "urn:hill", "value": f"B{at}"}],
            "subject": {"reference": f"Patient/p{at}"}, "totalGross": {"value": 100.5 + at, "currency": "USD"}, **more,
        }  # fmt: skip
        patient = {
            "resourceType": "Patient", "id": f"p{at}", "name": [{"family": "Garrowby", "given": ["Ida"]}],
            "extension": [{"url": f"{EXTENSION}/mobile", "valueString": f"608-555-011{at}"}],
        }  # fmt: skip
        entries = [{"resource": invoice}, {"fullUrl": f"https://hill.example.org/Patient/p{at}", "resource": patient}]
        files.append(
            (f"{at}.json", json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode())
        )
    return collect(files)


def test_parts_of_an_invoice_are_known_by_what_their_extensions_are_called():
    part = {"url": f"{EXTENSION}/patient-responsibility", "valueMoney": {"value": 20, "currency": "USD"}}
    other = {"url": f"{EXTENSION}/covered", "valueMoney": {"value": 80, "currency": "USD"}}
    found = invoices("issued", extension=[part, other])
    draft = propose.draft(found)
    map = parse(written.text(draft, "Invoices"))
    assert paths(map, "copay") == [f"Invoice.extension.where(url = '{EXTENSION}/patient-responsibility').valueMoney"]
    assert paths(map, "insurance") == [f"Invoice.extension.where(url = '{EXTENSION}/covered').valueMoney"]
    tried = trial.try_on(found, map, currency="USD", region="US", timezone="UTC")
    assert (tried.read, tried.held, tried.reached) == (6, 0, 6)


def test_a_status_in_words_of_the_server_is_never_decided():
    found = invoices("POSTED")
    draft = propose.draft(found)
    assert [(one.code, one.sure) for one in draft.codes] == [("POSTED", False)]
    map = parse(written.text(draft, "Invoices"))
    assert trial.try_on(found, map, currency="USD", region="US", timezone="UTC").read == 0


def test_an_amount_whose_name_says_nothing_is_only_asked_about():
    found = invoices("issued", extension=[{"url": f"{EXTENSION}/x17", "valueMoney": {"value": 5}}])
    draft = propose.draft(found)
    assert not any(row.target in ("copay", "insurance", "balance") for row in draft.rows)
    assert any("x17" in one for one in draft.questions)
