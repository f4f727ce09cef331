"""What a facility's own words may not say is refused, each with file, line and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.facility import Facility
from chartpost.adapter.flow.wording import template as templates
from chartpost.adapter.flow.wording.proofread import check, configured, proofread
from chartpost.adapter.flow.wording.template import Template

SITE = {
    "name": "Lakeside Oncology", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
    "currency": "USD", "provider": "card", "contact": "(608) 555-0100",
}  # fmt: skip
FACILITY = Facility.model_validate(SITE)
GOOD = "{practice}: please see {link} {stop}"


def faults(text: str, purpose: str = "request", channel: str = "sms", **changes: object) -> list[str]:
    facility = FACILITY.model_copy(update=changes)
    return [said for _, said in proofread(Template(purpose, channel, "en", text, "x.txt"), facility)]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        # Fields
        ("{patient}", "{patient} is no field"),
        ("{name}", "{name} is no field"),
        ("{Patient_Name}", "is no field"),
        ("{dob}", "{dob} is no field"),
        ("{doctor}", "{doctor} is no field"),
        ("{service}", "{service} is no field"),
        ("{date}", "{date} is no field"),
        ("{AMOUNT}", "{AMOUNT} is no field"),
        ("{ link }", "{ link } is no field"),
        ("{}", "{} is no field"),
        ("{amount}", "amount_in_messages"),
        ("{code}", "belongs to the words of purpose code"),
        ("{link}", "{link} stands there 2 times"),
        ("{stop}", "{stop} stands there 2 times"),
        ("{practice", '"{practice" is no field'),
        ("%name%", '"%name%" is no field'),
        ("[Name]", '"[Name]" is no field'),
        ("<name>", '"<name>" is no field'),
        ("{{patient}}", "{patient} is no field"),
        # Words, in any spelling
        ("patient", '"patient" may tell a person'),
        ("Patients", "may tell a person"),
        ("PACIENTE", "may tell a person"),
        ("p.a.t.i.e.n.t", '"patient" may tell a person'),
        ("p a t i e n t", '"patient" may tell a person'),
        ("pa-tient", "may tell a person"),
        ("pätient", "may tell a person"),
        ("ｐａｔｉｅｎｔ", "may tell a person"),
        ("pаtient", "letter of another alphabet"),  # the first a is Cyrillic
        ("pa\u200btient", "invisible character (U+200B)"),
        ("pa\u00adtient", "invisible character (U+00AD)"),
        ("Dear friend", '"dear" may tell a person'),
        ("Mrs Sample", "may tell a person"),
        ("your visit", '"visit" may tell a service'),
        ("your appointment", "may tell a service"),
        ("su cirugía", '"cirugia" may tell a service'),
        ("chemotherapy and therapy", '"therapy" may tell a service'),
        ("lab results", '"lab" may tell a service'),
        ("radiología", "may tell a service"),
        ("Dr. Sample", '"dr" may tell a provider'),
        ("your doctor", "may tell a provider"),
        ("la enfermera", "may tell a provider"),
        ("on Monday", '"monday" may tell a date'),
        ("since April", "may tell a date"),
        ("desde abril", "may tell a date"),
        ("forty dollars", '"dollars" may tell an amount'),
        ("cuarenta dólares", "may tell an amount"),
        # Literal values
        ("$45.00", '"$45.00" is a number'),
        ("45,00", "is a number"),
        ("45", "is a number"),
        ("€", "sign of a currency"),
        ("٤٥", "digit of another script"),
        ("2026-05-04", "is a number"),
        ("5/4", "is a number"),
        ("pat1ent", "is a number"),
        ("(608) 555-0199", "is a number"),
        ("write to billing@example.org", '"billing@example.org" leads elsewhere'),
        ("https://example.org/pay", "leads elsewhere"),
        ("www.example.org", "leads elsewhere"),
        ("bit.ly/x", '"bit.ly/x" leads elsewhere'),
        ("example.org", "leads elsewhere"),
        # What cannot be seen
        ("\x07", "(U+0007)"),
        ("\x1b[31m", "(U+001B)"),
        ("\u202egnp", "(U+202E)"),
        ("\u2028", "(U+2028)"),
    ],
)
def test_what_may_tell_something_or_lead_elsewhere_is_refused(words: str, complaint: str) -> None:
    assert any(complaint in said for said in faults(f"{GOOD} {words}")), faults(f"{GOOD} {words}")
    email = "{link}\n\n" + words
    if not complaint.startswith(("{link}", "{stop}")):
        assert any(complaint in said for said in faults(email, channel="email"))


@pytest.mark.parametrize(
    ("text", "purpose", "channel", "complaint"),
    [
        ("{practice}: please pay. {stop}", "request", "sms", "{link} is missing"),
        ("{practice}: please see {link}", "request", "sms", "{stop} is missing"),
        ("Please see {link} {stop}", "request", "sms", "{practice} is missing"),
        ("{practice}: {link} {stop}", "code", "sms", "{code} is missing"),
        ("{practice}: {code} {link} {stop}", "code", "sms", "beside a code"),
        ("{practice}: {code} {amount} {stop}", "code", "sms", "nothing that a code needs"),
        ("Please look.", "receipt", "email", "{link} is missing"),
        ("Please see {link} now.", "receipt", "email", "a paragraph of its own"),
        ("", "request", "sms", "is empty"),
        (GOOD + " more words" * 60, "request", "sms", "segments long"),
        (GOOD + " ç" * 90, "request", "sms", "do without ç"),
    ],
)
def test_what_is_missing_or_too_long_is_said(text: str, purpose: str, channel: str, complaint: str) -> None:
    assert any(complaint in said for said in faults(text, purpose, channel)), faults(text, purpose, channel)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "{practice}: {link} {stop} {contact}",
        "{practice}: {link} {stop} (608) 555-0100",  # the office's own number may be written out
        "{practice}:\nplease look.\n{link}\n{stop}",
        "{practice}: por favor, consulte y pague de forma segura: {link} {stop} ¡Gracias!",
        "{practice}: see what is open; pay at any time, or ask us. {link} {stop}",
    ],
)
def test_neutral_words_may_be_sent(text: str) -> None:
    assert faults(text) == []


def test_an_amount_may_be_named_where_the_facility_says_so() -> None:
    assert faults(f"{GOOD} {{amount}}", amount_in_messages=True) == []
    assert faults("{practice}: {code}, good for 10 minutes. {stop}", "code") == []
    assert faults("{practice}: {link} {stop} {contact}", contact="") != []


def test_the_shipped_words_pass_for_a_facility_with_a_long_name() -> None:
    facility = FACILITY.model_copy(update={"message_name": "Lakeside and Northfield Family Practice"})
    assert check(facility, templates.shipped(), "https://payments.lakeside-and-northfield.example.org") == []


def test_each_problem_names_its_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "reminder.sms.es.txt").write_text("{practice}:\n{link}\n{stop}\n{paciente}\n", "utf-8")
    [said] = check(FACILITY, templates.read(tmp_path))
    assert said.startswith(f"{tmp_path}/reminder.sms.es.txt:4: {{paciente}} is no field")


def test_a_facilitys_files_replace_the_shipped_ones_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "request.sms.en.txt").write_bytes(b"\xef\xbb\xbf{practice}: look.\r\n{link} {stop}\r\n")
    words = templates.read(tmp_path)
    assert words["request", "sms", "en"].text == "{practice}: look.\n{link} {stop}"
    shipped = templates.shipped()
    assert {key for key in words if words[key] != shipped[key]} == {("request", "sms", "en")}
    assert check(FACILITY, words) == []


@pytest.mark.parametrize(
    ("name", "data", "complaint"),
    [
        ("reqest.sms.en.txt", b"x", "is the name of no template"),
        ("request.sms.fr.txt", b"x", "is the name of no template"),
        ("request.sms.en.text", b"x", "is the name of no template"),
        ("README.md", b"x", "is the name of no template"),
        ("request.sms.en.txt", b"\xff\xfe", "is no UTF-8 text"),
        ("request.sms.en.txt", b"x" * 8_001, "is longer than 8000 bytes"),
    ],
)
def test_a_file_that_would_never_be_used_is_refused(tmp_path: Path, name: str, data: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ConfigurationError) as caught:
        templates.read(tmp_path)
    assert complaint in str(caught.value)


def test_a_configuration_is_told_of_a_folder_that_is_not_there_and_of_unknown_languages(tmp_path: Path) -> None:
    part = SITE | {"templates": str(tmp_path / "none"), "languages": ["en", "fr"]}
    told = dict(configured(part, ""))
    assert "is no folder of templates" in told["templates"]
    assert told["languages"] == "fr is no language that we have words in; en and es are"


def test_what_is_wrong_with_the_facility_itself_is_not_told_twice(tmp_path: Path) -> None:
    (tmp_path / "request.sms.en.txt").write_text("{patient}")
    assert list(configured(SITE | {"templates": str(tmp_path), "currency": "none"}, "")) == []
