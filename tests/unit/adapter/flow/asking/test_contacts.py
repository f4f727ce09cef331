"""Who is written to, in a whole flow: the facility's order, what the chart says meanwhile, and who must not know."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from sqlalchemy import update
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.telling import notify
from chartpost.adapter.flow.telling.reach import SMS, Way
from chartpost.adapter.ledger import tables

_numbers = itertools.count(1)
EVERYBODY = ("guarantor", "patient", "household", "bill_to", "insured")
PATIENT, GUARANTOR, HOUSEHOLD, INSURED = (f"+1608555018{digit}" for digit in range(4))


def xtn(number: str) -> str:
    return f"^PRN^CP^^1^608^{number[5:]}" if number else ""


def gt1(number: str) -> str:
    return f"GT1|1|G1|Payer^Paula|||{xtn(number)}"


def nk1(number: str, name: str = "Sample^Hal") -> str:
    return f"NK1|1|{name}|SPO||{xtn(number)}"


def insured(number: str, name: str = "Sample^Ida") -> str:
    return f"IN1|1|P|I1|Invented||||||||||||{name}\rIN2" + "|" * 63 + xtn(number)


def charge(
    *segments: str, number: str = PATIENT, account: str = "A-1", code: str = "A", provider: str = "",
    mrn: str = "M-A-1", pv2: str = "",
) -> bytes:  # fmt: skip
    """Return a DFT of 40 dollars for a patient, with further segments behind its line."""
    body = dft(line("CG", "40.00", code) + (f"{'|' * 9}{provider}" if provider else ""), account=account)
    body = body.replace(b"^PRN^CP^^1^608^5550101", xtn(number).encode()).replace(
        f"M-{account}^".encode(), f"{mrn}^".encode()
    )
    body = body.replace(b"FT1|", f"{pv2}\rFT1|".encode() if pv2 else b"FT1|", 1)
    return body + "".join(f"{segment}\r" for segment in segments).encode()


def adt(*segments: str, account: str = "", number: str = "", more: str = "") -> bytes:
    pid = f"PID|1||M-A-1^^^LAKESIDE^MR||{more}||||||||{xtn(number)}|||||{account}"
    head = f"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260505||ADT^A08|CT{next(_numbers):05d}|P|2.5.1"
    return "".join(f"{text}\r" for text in (head, "EVN|A08|20260505", pid, *segments)).encode()


class Clinic:
    """A bench whose source sends charges and ADT; the facility looks for these people."""

    def __init__(self, bench: Workbench, *order: str) -> None:
        self.bench = bench
        made = configuration()
        clinic = made.facilities["lakeside"].model_copy(update={"contacts": order or ("guarantor", "patient")})
        source = made.sources["all"].model_copy(update={"map": "hl7v2-dft-adt"})
        changed = {"facilities": {"lakeside": clinic}, "sources": {**made.sources, "all": source}}
        bench.use(made.model_copy(update=changed))

    def account(self, number: str = "A-1") -> Any:
        (row,) = [row for row in self.bench.rows(tables.account) if row.number.decode() == number]
        return row

    def told(self, state: str = "due") -> list[str]:
        rows = self.bench.rows(tables.notice, state=state)
        return [row.recipient.decode() if row.recipient else "" for row in rows]

    def write(self, table: Any, **values: Any) -> None:
        with self.bench.store.write() as tx:
            tx.run(update(table).values(values))


def numbers(person: Any) -> list[str]:
    return [contact["value"] for contact in (person or {}).get("contacts", ())]


# ------------------------------------------------------------------------------------------------------- the order


@pytest.mark.parametrize(
    ("order", "to"),
    [
        (("guarantor", "patient"), GUARANTOR),
        (("patient", "guarantor"), PATIENT),
        (("household", "patient"), HOUSEHOLD),
        (("bill_to", "insured", "patient"), INSURED),
        (("bill_to",), ""),
    ],
)
def test_a_request_goes_to_the_first_whom_the_facility_looks_for(
    bench: Workbench, order: tuple[str, ...], to: str
) -> None:
    clinic = Clinic(bench, *order)
    bench.take(charge(gt1(GUARANTOR), nk1(HOUSEHOLD), insured(INSURED)))
    assert clinic.told("due" if to else "blocked") == [to]


def test_nobody_with_a_number_is_a_hold_that_names_the_fields_and_ends_by_itself(bench: Workbench) -> None:
    clinic = Clinic(bench, "patient", "household", "bill_to")
    bench.take(charge(gt1(GUARANTOR), number=""))
    (hold,) = bench.rows(tables.hold, state="open")
    assert hold.cause == "no_phone"
    assert hold.text == "nobody who may be asked (patient, household, bill-to contact) has a phone number in the chart"
    assert "patient: PID-13, PID-14, PID-40; household: NK1-5, NK1-6, NK1-40; bill-to contact: the map reads none" in (
        hold.fix
    )
    assert "Sample" not in hold.text + hold.fix
    bench.take(adt(nk1(HOUSEHOLD)))
    assert (bench.holds(), clinic.told()) == ([], [HOUSEHOLD])
    bench.check()


def test_a_number_of_two_families_is_told_of_each_account_once(bench: Workbench) -> None:
    clinic = Clinic(bench, "household", "patient")
    bench.take(charge(nk1(HOUSEHOLD)))
    bench.take(charge(nk1(HOUSEHOLD, "Other^Olga"), account="A-2", mrn="M-A-2"))
    assert clinic.told() == [HOUSEHOLD, HOUSEHOLD]
    assert len({row.request_id for row in bench.rows(tables.notice)}) == 2
    bench.take(adt(nk1("")))
    assert clinic.told() == [HOUSEHOLD, HOUSEHOLD], "silence of one family changes nothing for the other"
    bench.take(adt('NK1|1|Sample^Hal|SPO||""'))
    assert sorted(clinic.told()) == sorted([HOUSEHOLD, PATIENT])


# ------------------------------------------------------------------------------------------ what is kept, and whose


def test_the_household_is_the_patients_and_an_insurance_is_one_accounts(bench: Workbench) -> None:
    clinic = Clinic(bench)
    for account in ("A-1", "A-2"):
        bench.take(charge(account=account))
    bench.take(adt(nk1(HOUSEHOLD), insured(INSURED), account="A-1^^^LAKESIDE^AN"))
    assert [set(clinic.account(account).others) for account in ("A-1", "A-2")] == [
        {"household", "insured"}, {"household"},
    ]  # fmt: skip
    bench.take(adt(insured(INSURED, "Sample^Ina")))
    assert [clinic.account(account).others["insured"]["given"] for account in ("A-1", "A-2")] == ["Ina", "Ina"]


def test_another_patient_brings_everybody_and_whose_work_it_was(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge(nk1(HOUSEHOLD), gt1(GUARANTOR), provider="1467^Doe^Jo"))
    assert clinic.account().provider == "1467"
    bench.take(charge(code="B"))
    assert (clinic.account().provider, numbers(clinic.account().others["household"])) == ("1467", [HOUSEHOLD])
    bench.take(charge(code="C", provider="2001"))
    assert clinic.account().provider == "2001"
    bench.take(charge(code="D", mrn="M-9"))
    assert (clinic.account().provider, clinic.account().others, clinic.account().guarantor) == ("", None, None)


def test_birth_date_and_language_are_kept_and_an_adt_brings_new_ones(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge())
    assert clinic.account().patient["birth_date"] == "1980-01-01"
    bench.take(adt().replace(b"M-A-1^^^LAKESIDE^MR||||||||||||", b"M-A-1^^^LAKESIDE^MR||||19791231||||||||spa"))
    assert (clinic.account().patient["birth_date"], clinic.account().patient["language"]) == ("1979-12-31", "es")
    assert bench.rows(tables.message)[-1].state == "translated"


def test_a_message_that_was_held_meanwhile_says_only_what_nobody_has_said_since(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge())
    bench.take(
        charge(nk1(PATIENT, "Sample^Old"), insured(INSURED), code="ZZ", provider="1467").replace(b"|CG|", b"|XX|")
    )
    bench.take(adt(nk1(HOUSEHOLD, "Sample^New")))
    (held,) = bench.rows(tables.message, state="held")
    assert clinic.account().others["household"]["given"] == "New"
    with bench.store.write() as tx:
        values = {"edited": held.raw.replace(b"|XX|", b"|CG|"), "edited_by": "anna", "edited_why": "a typing error"}
        tx.run(update(tables.message).where(tables.message.c.id == held.id).values(state="received", **values))
    bench.translate()
    others = clinic.account().others
    assert (others["household"]["given"], others["insured"]["given"]) == ("New", "Ida")
    assert clinic.account().provider == "1467"


# ------------------------------------------------------------------------------------------------ who must not know


def test_a_confidential_account_is_never_told_to_the_household(bench: Workbench) -> None:
    clinic = Clinic(bench, "household", "guarantor", "patient")
    bench.take(charge(nk1(HOUSEHOLD)))
    assert clinic.told() == [HOUSEHOLD]
    bench.take(charge(nk1(HOUSEHOLD), code="B", pv2="PV2" + "|" * 22 + "Y"))
    (hold,) = [row for row in bench.rows(tables.hold, state="open") if row.cause == "confidential"]
    release.retry(bench.flow, hold.id, by="anna", sure=True)
    bench.translate()
    assert clinic.account().patient_only
    assert [row.state for row in bench.rows(tables.request)] == ["cancelled", "open"]
    newest = bench.rows(tables.notice, request_id=bench.request(state="open").id)
    assert [(row.state, row.recipient.decode()) for row in newest] == [("due", PATIENT)]


def test_a_confidential_patient_who_shares_the_households_number_is_told_by_nobody(bench: Workbench) -> None:
    clinic = Clinic(bench, *EVERYBODY)
    bench.take(charge(nk1(PATIENT), pv2="PV2" + "|" * 22 + "Y"))
    (hold,) = bench.rows(tables.hold, state="open")
    release.retry(bench.flow, hold.id, by="anna", sure=True)
    bench.translate()
    assert (clinic.told(), clinic.told("blocked"), bench.holds()) == ([], [""], ["no_contact"])


# ------------------------------------------------------------------------------------- what the chart says meanwhile


def test_a_reminder_to_a_number_that_has_left_the_chart_goes_to_the_new_one_alone(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge())
    clinic.write(tables.notice, state="sent")
    request = bench.request()
    with bench.store.write() as tx:
        notice = notify.tell(
            tx, clinic.account().key, request.id, Way("sms", SMS, PATIENT), purpose="reminder", step="due+1 2026-05-04"
        )  # fmt: skip
    bench.take(adt(number=GUARANTOR))
    bench.work("notify")
    assert bench.one(tables.notice, public_id=notice).state == "blocked"
    old, new = bench.rows(tables.notice, purpose="reminder")
    assert (new.recipient.decode(), new.step) == (GUARANTOR, old.step)
    assert [row.subject for row in bench.rows(tables.attempt)] == [f"notice:{new.public_id}"]


def named(clinic: Clinic, *to: str) -> None:
    """Let a person have named these recipients for the open request, each told by a notice of their own."""
    clinic.write(tables.request, said={"recipients": [{"channel": SMS, "to": one} for one in to]})
    request = clinic.bench.request()
    with clinic.bench.store.write() as tx:
        for one in to:
            notify.tell(tx, clinic.account().key, request.id, Way("sms", SMS, one))


def test_whom_a_person_named_is_told_whatever_the_chart_says(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge())
    clinic.write(tables.notice, state="blocked")
    named(clinic, INSURED, HOUSEHOLD)
    bench.take(adt(number=GUARANTOR))
    assert clinic.told() == [INSURED, HOUSEHOLD]
    assert bench.holds() == []


def test_whom_a_person_named_is_told_once_the_stop_is_lifted_and_only_who_was_not_told(bench: Workbench) -> None:
    clinic = Clinic(bench)
    bench.take(charge())
    clinic.write(tables.notice, state="blocked")
    named(clinic, INSURED, HOUSEHOLD)
    with bench.store.write() as tx:
        first = bench.rows(tables.notice, state="due")[0]
        tx.run(update(tables.notice).where(tables.notice.c.id == first.id).values(state="sent"))
    clinic.write(tables.account, stopped="collections")
    bench.work("notify")
    assert (clinic.told(), bench.holds()) == ([], ["account_stopped"])
    (hold,) = bench.rows(tables.hold, state="open")
    release.retry(bench.flow, hold.id, by="anna", sure=True)
    assert (clinic.told(), bench.holds()) == ([HOUSEHOLD], [])


def test_of_two_with_one_number_the_one_who_is_looked_for_first_is_written_to_in_their_language(
    bench: Workbench,
) -> None:
    payer = gt1(PATIENT) + "|" * 30 + "vie"  # which the facility does not speak
    for order, language in ((("patient", "guarantor"), "es"), (("guarantor", "patient"), "en")):
        Clinic(bench, *order)
        bench.take(charge(payer, account=f"A-{language}").replace(b"5550180|||", b"5550180||spa|"))
        with bench.store.read() as connection:
            row = notify.look(connection, bench.rows(tables.notice)[-1].public_id)
        assert (row.recipient.decode(), notify.spoken(bench.flow, row)) == (PATIENT, language)
