"""Trying a map: what would happen is what does happen, and nothing of it remains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from workbench import dft, line

from chartpost.adapter import goldens, trial
from chartpost.mappings import mapfile
from chartpost.mappings.model import Money

ROOT = Path(__file__).parents[3]
SITE = "extends: hl7v2-dft\ntables: {kinds: {codes: {ZB: copay}}}\n"


def dollars(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "site").mkdir()
    return tmp_path / "site.yaml"


@pytest.fixture(scope="module")
def copay():
    return goldens.terms(mapfile.load("hl7v2-dft"), "copay", timezone="America/Chicago")


def taken(terms, *bodies, map="hl7v2-dft"):
    with trial.throwaway(terms.settings, {terms.source: mapfile.load(map)}) as flow:
        return [one for body in bodies for one in trial.take(flow, terms.source, "a.hl7", body)]


def test_a_charge_that_would_be_asked_for_says_whom_by_what_and_in_which_words(copay):
    [found] = taken(copay, dft(line("CG", "90.00", "XRAY"), line("CO", "25.00")))
    assert (found.state, found.request, found.asked) == ("translated", "opened", dollars(2500))
    assert found.entries == (("copay", dollars(2500)),)
    assert found.told == "sms +16085550101"
    assert "Lakeside: you have a balance to pay" in found.text
    assert found.text.count("https://") == 1, "the link of a trial leads nowhere"
    assert found.notes == (
        "FT1[1]: not counted: a charge is not the patient's here (share: copay)",
        "FT1[2]: counted: a co-payment (share: copay)",
    )


def test_every_value_shows_where_it_stood_and_what_each_transform_made_of_it(copay):
    [found] = taken(copay, dft(line("CO", "25.00")))
    steps = {step.target: step for step in found.targets}
    amount = steps["charges[1].amount"]
    assert (amount.path, amount.raw, amount.steps, amount.value) == ("FT1[1]-11", "25.00", ("25.00 USD",), "25.00 USD")
    assert steps["patient.contacts"].steps == ("+16085550101",)


def test_what_would_be_held_says_why_what_to_do_and_what_could_be_read(copay):
    [found] = taken(copay, dft(line("CO", "25.00"), line("QQ", "1.00")))
    assert (found.state, found.cause) == ("held", "unreadable_line")
    assert "QQ" in found.reason
    assert "table kinds" in found.fix
    assert any(step.target == "charges[1].amount" for step in found.targets)


def test_several_messages_are_a_story_with_one_request(copay):
    found = taken(copay, dft(line("CO", "25.00")), dft(line("CO", "10.00", "B")), dft(line("CD", "25.00")))
    assert [(one.request, one.asked) for one in found] == [
        ("opened", dollars(2500)), ("raised", dollars(3500)), ("lowered", dollars(1000)),
    ]  # fmt: skip


def test_nobody_to_write_to_is_told_with_its_reason(copay):
    [found] = taken(copay, dft(line("CO", "25.00"), phone=""))
    assert (found.request, found.told, found.text) == ("opened", "", "")
    assert "phone number" in found.not_told


def test_an_invoice_is_tried_like_a_message():
    terms = goldens.terms(mapfile.load("fhir-invoice"), "all")
    body = (ROOT / "samples/fhir/01_issued.json").read_bytes()
    [found] = taken(terms, body, map="fhir-invoice")
    assert (found.type, found.state, found.request) == ("Invoice", "translated", "opened")
    assert found.asked is not None


def test_nothing_remains_of_a_trial(copay, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    taken(copay, dft(line("CO", "25.00")))
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------------------------------------- goldens


def kept(site, name, *bodies, share="copay"):
    file = site.with_suffix("") / name
    file.write_bytes(b"".join(bodies))
    map = mapfile.parse(site.read_text(), str(site))
    terms = goldens.terms(map, share)
    [found] = goldens.outcomes(map, terms, [file])
    return file, goldens.write(file, goldens.golden(map, terms, found))


def check(site):
    map = mapfile.parse(site.read_text(), str(site))
    return [problem.partition(": ")[2] for problem in goldens.problems(map, goldens.folder_of(str(site)))]


def test_a_golden_is_kept_beside_its_message_and_a_map_that_has_not_changed_keeps_it(site):
    file, said = kept(site, "first.hl7", dft(line("ZB", "25.00"), control_id="G1"))
    assert said == "new"
    golden = json.loads(goldens.beside(file).read_text())
    assert golden["source"] == {"share": "copay", "currency": "USD", "region": "US", "timezone": "UTC"}
    assert golden["messages"][0]["asked"] == "25.00 USD"
    assert check(site) == []
    assert kept(site, "first.hl7", dft(line("ZB", "25.00"), control_id="G1"))[1] == "same"


def test_a_map_that_means_something_else_now_breaks_its_golden_and_says_where(site):
    kept(site, "first.hl7", dft(line("ZB", "25.00")))
    site.write_text(SITE.replace("copay", "credit"))
    found = check(site)
    assert "message 1, asked: 25.00 USD → nothing" in found
    assert "message 1, values, charges[1].kind: copay → credit" in found


def test_a_golden_states_its_own_terms_so_a_site_may_have_several_rules(site):
    kept(site, "own.hl7", dft(line("CG", "80.00")), share={"when": "kind == 'charge'", "amount": "amount / 2"})
    kept(site, "all.hl7", dft(line("CG", "80.00")), share="all")
    assert check(site) == []


def test_a_golden_that_cannot_be_read_is_a_problem_and_not_a_golden_that_is_kept(site):
    file, _ = kept(site, "first.hl7", dft(line("ZB", "25.00")))
    goldens.beside(file).write_text("{}")
    assert "cannot be read" in check(site)[0]


def test_a_story_in_one_file_has_one_golden(site):
    first, second = dft(line("ZB", "25.00"), control_id="S1"), dft(line("ZB", "5.00", "B"), control_id="S2")
    file, _ = kept(site, "story.hl7", first, second)
    golden = json.loads(goldens.beside(file).read_text())
    assert [one.get("request") for one in golden["messages"] if one["state"] == "translated"] == ["opened", "raised"]
    assert check(site) == []
