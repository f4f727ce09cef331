"""Consent through the API: what staff were told, with its evidence, and what counts then."""

from __future__ import annotations

import pytest
from apis import Api
from workbench import Workbench

from chartpost.adapter.ledger import tables

NUMBER = {"facility": "lakeside", "channel": "sms", "to": "(608) 555-0142"}


@pytest.fixture
def api(bench: Workbench) -> Api:
    return Api(bench, hill={"role": "billing", "facilities": ["hill"]})


def test_what_staff_record_counts_at_once_and_keeps_who_and_why(api):
    assert api("POST", "/consents/search", json=NUMBER).json() == {"standing": "unknown", "words": []}
    said = NUMBER | {"state": "granted", "evidence": "form of 4 May, binder 12"}
    answer = api("POST", "/consents", json=said)
    assert answer.status_code == 201, answer.text
    [word] = answer.json()["words"]
    assert (answer.json()["standing"], word["origin"], word["by"]) == ("granted", "staff", "billing")
    api("POST", "/consents", json=said | {"state": "revoked", "evidence": "by telephone, 5 May"})
    found = api("POST", "/consents/search", json=NUMBER | {"to": "+16085550142"}).json()
    assert (found["standing"], len(found["words"])) == ("revoked", 2)


def test_without_evidence_nothing_is_recorded(api):
    answer = api("POST", "/consents", json=NUMBER | {"state": "granted", "evidence": " "})
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "evidence")
    assert api.bench.rows(tables.consent) == []


@pytest.mark.parametrize(("channel", "to"), [("sms", "not a number"), ("sms", "12"), ("email", "nobody at home")])
def test_what_is_no_number_or_address_is_refused_without_being_repeated(api, channel, to):
    wanted = {"facility": "lakeside", "channel": channel, "to": to.ljust(3)}
    for path, more in (("/consents/search", {}), ("/consents", {"state": "granted", "evidence": "a form"})):
        answer = api("POST", path, json=wanted | more)
        assert answer.status_code == 422
        assert to not in answer.text


def test_of_other_facilities_nothing_is_told(api):
    assert api("POST", "/consents/search", "hill", json=NUMBER).status_code == 404
