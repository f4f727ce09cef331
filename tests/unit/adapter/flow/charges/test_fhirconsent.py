"""A FHIR Consent comes to a source: alone, in a Bundle, before its patient has an account, and after."""

from __future__ import annotations

import json

import pytest
from workbench import configuration

from chartpost.adapter.flow.answering import optout
from chartpost.adapter.flow.telling import consent
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.consents import REVOKED, Word
from chartpost.mappings.fhir import consented

PHONE = "+16085550181"
MRN = {"system": "https://clinic.example.org/mrn", "value": "MR-81"}
TEXTS = {"coding": [{"system": "urn:chartpost:consent", "code": "text-messages"}]}
PATIENT = {
    "resourceType": "Patient", "id": "p81", "name": [{"family": "Brand", "given": ["Odile"]}], "identifier": [MRN],
    "telecom": [{"system": "phone", "value": PHONE, "use": "mobile"}],
}  # fmt: skip


def made(kind="permit", **change):
    body = {
        "resourceType": "Consent", "id": "c1", "status": "active",
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "category": [TEXTS], "patient": {"reference": "Patient/p81"}, "provision": {"type": kind},
        "policyRule": {"coding": [{"code": "OPTIN"}]},
    }  # fmt: skip
    return {name: value for name, value in (body | change).items() if value is not None}


def invoice(number="81"):
    """A Bundle with an Invoice and its patient."""
    bill = {
        "resourceType": "Invoice", "id": f"i{number}", "status": "issued", "subject": {"reference": "Patient/p81"},
        "identifier": [{"system": "https://clinic.example.org/invoices", "value": number}],
        "totalGross": {"value": 40, "currency": "USD"},
    }  # fmt: skip
    return bundle(bill)


def bundle(*resources, patient=PATIENT):
    entries = [{"fullUrl": "https://ehr.example.org/fhir/Patient/p81", "resource": patient}]
    entries += [{"fullUrl": f"urn:uuid:{number}", "resource": one} for number, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def send(bench, *bodies):
    """Send them one by one; return the last message."""
    for body in bodies:
        fates = bench.receive(json.dumps(body).encode(), source="fhir_all")
        bench.translate()
    return bench.one(tables.message, id=fates[-1].id)


def words(bench):
    return [(row.state, row.origin, row.evidence, row.scope) for row in bench.rows(tables.consent)]


def texted(bench):
    with bench.store.read() as connection:
        return consent.why_not(
            connection, bench.flow, source="fhir_all", facility="lakeside", notifier="sms", channel="sms",
            recipient=PHONE,
        ) is None  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (made(), (True, False)),
        (made("deny"), (False, False)),
        (made(status="inactive"), (False, False)),
        (made(status="rejected"), (False, False)),
        (made(status="entered-in-error"), (False, False)),
        (made(status="draft"), (None, False)),
        (made(category=[{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}]), (None, False)),
        (made(category=None, provision={"type": "deny", "code": [TEXTS]}), (False, False)),
        (made(category=[{"coding": [{"system": "https://ehr.example.org", "code": "sms"}]}]), (True, False)),
        (made(provision=None), (True, False)),
        (made(provision=None, policyRule={"coding": [{"code": "OPTOUT"}]}), (False, False)),
        (made(provision=None, policyRule=None), (None, True)),
        (made(provision={"type": "permit", "provision": [{"type": "deny"}]}), (None, True)),
        (made(status="unknown"), (None, True)),
        (made(provision=None, policyRule=None, decision="deny", patient=None, subject={"reference": "Patient/p81"}),
         (False, False)),
        ({"resourceType": "Consent", "category": TEXTS, "provision": "x", "status": 1}, (None, True)),
    ],
)  # fmt: skip
def test_a_consent_is_read_for_what_it_says_of_texts(resource, said):
    found = consented.read(resource, ["https://ehr.example.org|sms"])
    assert (found.granted, found.unclear) == said


def test_a_patient_is_known_by_address_by_identifier_and_by_what_comes_along():
    assert consented.chart(made()) == {"PID-3": "", "Patient.reference": "Patient/p81"}
    by_number = consented.chart(made(patient={"identifier": MRN}))
    assert by_number["PID-3"].startswith("MR-81^^^")
    contained = made(patient={"reference": "#p"}, contained=[PATIENT | {"id": "p"}])
    assert consented.chart(contained) == by_number
    around = [{"fullUrl": "urn:uuid:1", "resource": PATIENT}]
    assert consented.chart(made(patient={"reference": "urn:uuid:1"}), around) == by_number
    assert consented.chart({}) == {"PID-3": "", "Patient.reference": ""}


def test_a_consent_counts_for_the_numbers_of_its_patients_accounts(bench):
    send(bench, invoice())
    taken = send(bench, made("deny"))
    assert (taken.state, taken.reason) == ("translated", "consent to texts revoked for 1 number")
    assert words(bench) == [("revoked", "fhir", f"M{taken.id}", "facility:lakeside")]
    assert bench.one(tables.notice).state == "blocked"
    assert bench.holds() == ["opted_out"]
    assert not texted(bench)
    again = send(bench, made("deny"))
    assert again.reason == "consent to texts revoked for 0 numbers"
    send(bench, made("permit"))
    assert texted(bench)
    assert bench.rows(tables.notice)[-1].state == "due", "whoever could not be told may be, by now"


def test_a_patient_who_is_named_by_number_alone_is_found(bench):
    send(bench, invoice(), made("deny", patient={"identifier": MRN}))
    assert not texted(bench)


def test_a_consent_that_comes_before_the_first_bill_is_kept_for_it(bench):
    sources = {"fhir_all": bench.flow.settings.sources["fhir_all"].model_dump() | {"consent": "recorded"}}
    sources["fhir_all"]["token"] = "a-bearer-token-of-the-tests"
    bench.use(configuration(sources=sources))
    early = send(bench, made("permit", patient={"reference": "Patient/p81", "identifier": MRN}))
    assert (early.state, early.reason) == ("ignored", "its patient has no account here yet")
    send(bench, invoice())
    assert words(bench) == [("granted", "fhir", f"M{early.id}", "facility:lakeside")]
    assert bench.one(tables.notice).state == "due"
    other = PATIENT | {"telecom": [{"system": "phone", "value": "+16085550182", "use": "mobile"}]}
    changed = invoice()
    changed["entry"][0]["resource"] = other
    send(bench, changed)
    assert len(words(bench)) == 2, "it is the patient's, and holds for another number of the same patient"


def test_in_a_bundle_it_is_taken_beside_its_invoice(bench):
    bill = invoice()
    bill["entry"].append({"fullUrl": "urn:uuid:9", "resource": made("deny", patient={
        "reference": "https://ehr.example.org/fhir/Patient/p81"})})  # fmt: skip
    send(bench, bill)
    assert [row.type for row in bench.rows(tables.message)] == ["Bundle", "Invoice", "Consent"]
    assert not texted(bench)
    assert bench.one(tables.notice).state == "blocked"


def test_a_persons_own_stop_is_not_lifted_by_it(bench):
    send(bench, invoice())
    with bench.store.write() as tx:
        optout.take(bench.flow, tx, "sms", PHONE, Word(REVOKED, "reply", "event SM1"), notifier="sms")
    assert send(bench, made("permit")).reason == "consent to texts granted for 0 numbers"
    assert not texted(bench)


def test_what_is_not_about_texts_changes_nothing_and_what_is_unclear_waits(bench):
    send(bench, invoice())
    about_research = made("deny", category=[{"coding": [{"system": "http://loinc.org", "code": "64292-6"}]}])
    assert send(bench, about_research).state == "ignored"
    assert send(bench, made(provision={"type": "permit", "provision": [{"type": "deny"}]})).state == "held"
    assert send(bench, made(patient=None)).state == "held"
    assert bench.holds() == ["consent_unclear", "consent_unclear"]
    assert words(bench) == []
    assert "Odile" not in " ".join(f"{row.text} {row.fix}" for row in bench.rows(tables.hold))
