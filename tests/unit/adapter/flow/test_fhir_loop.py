"""From an Invoice to its PaymentReconciliation: fetched, asked for, paid, told, and its Invoice balanced."""

from __future__ import annotations

import json

import pytest
from workbench import unique

from chartpost.adapter.errors import Permanent, Transient
from chartpost.adapter.ledger import tables


@pytest.fixture
def invoice(other):
    """An Invoice that the clinic keeps, and its patient, to whom it only refers."""
    number = unique("F")
    patient = {
        "resourceType": "Patient", "id": f"p-{number}", "name": [{"family": "Brand", "given": ["Odile"]}],
        "identifier": [{"system": "https://clinic.example.org/mrn", "value": f"MR-{number}"}],
        "telecom": [{"system": "phone", "value": "+16085550141", "use": "mobile"}],
    }  # fmt: skip
    made = {
        "resourceType": "Invoice", "id": f"inv-{number}", "status": "issued",
        "identifier": [{"system": "https://clinic.example.org/invoices", "value": number}],
        "subject": {"reference": f"Patient/p-{number}"}, "totalGross": {"value": 40, "currency": "USD"},
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": patient}, {"resource": made}]}
    other.call("/clinic/send-fhir?to=http://127.0.0.1:1", "POST", json.dumps(bundle).encode())
    return made


@pytest.fixture
def paid(live, invoice):
    """The Invoice taken and paid; returns its posting."""
    live.receive(json.dumps(invoice).encode(), source="fhir_all")
    live.translate()
    live.work("fetch")
    live.translate()
    live.pay(4000)
    return live.rows(tables.posting)[-1]


def now(live):
    return live.rows(tables.posting)[-1]


def kept(other, invoice):
    token = {"Authorization": f"Bearer {other.ready['fhir_token']}"}
    return other.call(f"/fhir/Invoice/{invoice['id']}", "GET", b"", token)


def test_who_an_invoice_only_refers_to_is_fetched_before_it_is_translated(live, invoice):
    [fate] = live.receive(json.dumps(invoice).encode(), source="fhir_all")
    live.translate()
    assert live.one(tables.message, id=fate.id).state == "fetching"
    assert live.rows(tables.account) == [], "nothing is asked of somebody unknown"
    assert live.work("fetch") == ["fetch"]
    live.translate()
    assert live.one(tables.message, id=fate.id).state == "translated"
    assert live.one(tables.notice).recipient == b"+16085550141"
    assert live.one(tables.account).patient["family"] == "Brand"


def test_what_cannot_be_fetched_is_owed_all_the_same_and_waits_for_a_way_to_reach_somebody(live, invoice):
    invoice["subject"]["reference"] = "Patient/nobody-here"
    live.receive(json.dumps(invoice).encode(), source="fhir_all")
    live.translate()
    live.work("fetch")
    live.translate()
    assert live.one(tables.account).balance == 4000
    assert live.holds() == ["no_phone"]


def test_a_server_that_is_away_is_asked_again_and_in_the_end_done_without(live, other, invoice):
    away = live.flow.settings.destinations["fhir"].model_copy(update={"base_url": "http://127.0.0.1:1/fhir"})
    places = dict(live.flow.settings.destinations) | {"fhir": away}
    live.use(live.flow.settings.model_copy(update={"destinations": places}))
    live.receive(json.dumps(invoice).encode(), source="fhir_all")
    live.translate()
    tries = 0
    while live.one(tables.message).state == "fetching":
        live.clock.advance(seconds=120)
        tries += len(live.work("fetch"))
    live.translate()
    assert tries == 7
    assert live.one(tables.account).balance == 4000


def test_what_is_fetched_may_hold_decimals(live, other, invoice):
    place = {"url": "latitude", "valueDecimal": 43.0730}
    address = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/geolocation", "extension": [place]}]}
    patient = {
        "resourceType": "Patient", "id": invoice["subject"]["reference"].partition("/")[2], "address": [address],
        "telecom": [{"system": "phone", "value": "+16085550142"}],
    }  # fmt: skip
    other.call("/clinic/send-fhir?to=http://127.0.0.1:1", "POST", json.dumps(patient).encode())
    live.receive(json.dumps(invoice).encode(), source="fhir_all")
    live.translate()
    live.work("fetch")
    live.translate()
    assert live.one(tables.notice).recipient == b"+16085550142"


class _Server:
    """A server that shows some resources, and refuses, or cannot be asked for, the others."""

    def __init__(self, *resources, error):
        self.kept = {f"{one['resourceType']}/{one['id']}": one for one in resources}
        self.error = error

    def read(self, reference):
        if reference not in self.kept:
            raise self.error
        return self.kept[reference]


PATIENT = {"resourceType": "Patient", "id": "p", "telecom": [{"system": "phone", "value": "+16085550143"}]}


@pytest.mark.parametrize("error", [Permanent("HTTP 403", "403"), Transient("away")])
def test_who_can_be_fetched_is_known_even_if_another_is_not_and_a_person_is_told(live, invoice, error):
    live.flow.world.servers["fhir_all"] = _Server(PATIENT, error=error)
    body = invoice | {"subject": {"reference": "Patient/p"}, "recipient": {"reference": "RelatedPerson/r"}}
    live.receive(json.dumps(body).encode(), source="fhir_all")
    _fetched(live)
    assert live.one(tables.notice).recipient == b"+16085550143"
    assert live.holds() == ["not_fetched"]
    live.receive(json.dumps(invoice | {"subject": {"reference": "Patient/p"}}).encode(), source="fhir_all")
    _fetched(live)
    assert live.holds() == [], "it closes by itself"


def test_what_was_fetched_and_cannot_be_read_holds_the_invoice_and_not_the_errand(live, invoice):
    odd = PATIENT | {"name": [{"family": {"odd": "one"}}]}
    live.flow.world.servers["fhir_all"] = _Server(odd, error=Transient("away"))
    live.receive(json.dumps(invoice | {"subject": {"reference": "Patient/p"}}).encode(), source="fhir_all")
    _fetched(live)
    assert (live.one(tables.message).state, live.holds()) == ("held", ["unreadable_line"])


def _fetched(live):
    """Translate, fetching as often as it takes."""
    live.translate()
    while live.rows(tables.message)[-1].state == "fetching":
        live.clock.advance(seconds=120)
        assert live.work("fetch")
    live.translate()


def test_an_invoice_that_cannot_be_balanced_for_long_is_told_to_a_person_and_still_tried(live, other, invoice, paid):
    live.work("post", "deliver")
    away = live.flow.settings.destinations["fhir"].model_copy(update={"base_url": "http://127.0.0.1:1/fhir"})
    settings = live.flow.settings
    live.use(settings.model_copy(update={"destinations": dict(settings.destinations) | {"fhir": away}}))
    for _ in range(5):
        assert live.holds() == []
        assert live.work("settle") == ["settle"]
        live.clock.advance(seconds=120)
    assert live.holds() == ["invoice_not_settled"]
    live.use(settings)
    live.work("settle")
    assert (kept(other, invoice)["status"], live.holds()) == ("balanced", [])


def test_the_payment_appears_in_the_clinic_and_its_invoice_is_balanced(live, other, invoice, paid):
    assert live.work("post", "deliver") == ["post", "deliver"]
    after = now(live)
    assert (after.state, after.answer_code, after.content_type) == ("accepted", "201", "application/fhir+json")
    chart = other.chart(invoice["identifier"][0]["value"])
    assert (chart["paid"], chart["balance"]) == ("40.00", "0.00")
    assert chart["postings"][0]["transaction"] == paid.public_id
    assert live.work("settle") == ["settle"]
    assert kept(other, invoice)["status"] == "balanced"
    assert live.holds() == []


def test_an_invoice_paid_in_part_stays_issued(live, other, invoice, paid):
    with live.store.write() as tx:
        tx.run(tables.account.update().values(balance=1000))
    live.work("post", "deliver", "settle")
    assert now(live).state == "accepted"
    assert kept(other, invoice)["status"] == "issued"
    with live.store.write() as tx:
        tx.run(tables.account.update().values(balance=0))


def test_a_refused_reconciliation_is_held_and_not_sent_again(live, other, paid):
    other.call("/_control/fhir/next?answer=422")
    live.work("post", "deliver")
    assert (now(live).state, now(live).answer_code) == ("refused", "422")
    assert live.holds() == ["refused"]
    assert live.work("deliver") == []


def test_an_answer_that_was_lost_is_unknown_and_goes_to_a_person(live, other, paid):
    other.call("/_control/fhir/next?answer=silence")
    live.work("post", "deliver")
    assert now(live).state == "unknown"
    assert live.holds() == ["unknown"]
    assert live.work("deliver") == []


def test_an_invoice_that_the_clinic_withdrew_meanwhile_is_left_to_a_person(live, other, invoice, paid):
    live.work("post", "deliver")
    withdrawn = json.dumps(invoice | {"status": "cancelled"}).encode()
    other.call("/clinic/send-fhir?to=http://127.0.0.1:1", "POST", withdrawn)
    live.work("settle")
    assert live.holds() == ["invoice_not_settled"]
    assert kept(other, invoice)["status"] == "cancelled"
