"""`chartpost templates`: what may be sent, how long it is, and how it looks, without writing to anybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chartpost.adapter.cli import app
from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import load

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["templates", *map(str, arguments)])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration whose facility has words of its own, in a folder beside it."""
    text = SAMPLE.read_text("utf-8")
    place = "    message_name: Lakeside\n"
    assert place in text
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "request.sms.en.txt").write_text("{practice}: please look. {link} {stop}\n")
    path = tmp_path / "site.yaml"
    path.write_text(text.replace(place, f"{place}    templates: words\n"), "utf-8")
    return path


def test_the_shipped_words_are_all_in_order_and_each_text_has_its_length() -> None:
    result = run("check", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.stdout)
    assert len(rows) == 16
    assert all(row["problems"] == [] for row in rows)
    texts = [row for row in rows if row["channel"] == "sms"]
    assert {(row["encoding"], row["segments"]) for row in texts} == {("GSM-7", 1)}
    assert rows[0] == {
        "facility": "lakeside", "purpose": "request", "channel": "sms", "language": "en", "file": "request.sms.en.txt",
        "encoding": "GSM-7", "length": 133, "segments": 1, "problems": [],
    }  # fmt: skip


def test_the_lengths_fit_a_terminal_of_80_columns() -> None:
    assert max(map(len, run("check").stdout.splitlines())) <= 80


def test_a_folder_is_looked_at_before_it_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "request.sms.en.txt").write_text("{practice}: {link} {stop}\nDear {patient}")
    result = run("check", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}/request.sms.en.txt:2: {{patient}} is no field" in result.stderr
    assert "16 templates" in result.stdout
    (tmp_path / "request.sms.en.txt").write_text("{practice}: {link} {stop}")
    assert run("check", tmp_path).exit_code == 0


def test_words_of_the_facility_are_found_beside_its_configuration_and_shown_filled_in(site: Path) -> None:
    result = run("show", "--config", site)
    assert result.exit_code == 0
    link = "https://pay.example.org/p/0_5g-LAqAUHb4NMJhEWpiQ"
    assert f"Lakeside: please look. {link} Reply STOP to opt out." in result.stdout
    assert "SMS, 94 characters of GSM-7, 1 segment:" in result.stdout
    assert "E-mail, from Lakeside Billing <pay@lakeside.example.org>, subject Lakeside:" in result.stdout


def test_the_preview_speaks_the_language_and_the_purpose_that_is_asked_for() -> None:
    sms, email = json.loads(run("show", "--purpose", "receipt", "--language", "es", "--json").stdout)
    assert sms["text"].startswith("Lakeside: gracias, hemos registrado su pago.")
    assert email["text"].splitlines()[2] == "Gracias. Hemos registrado su pago."
    assert '<html lang="es">' in email["html"]


@pytest.mark.parametrize("arguments", [("--purpose", "bill"), ("--language", "fr")])
def test_a_preview_of_what_there_is_not_says_what_there_is(arguments: tuple[str, str]) -> None:
    result = run("show", *arguments)
    assert result.exit_code == 2
    assert "is none; there are" in result.stderr


def test_a_configuration_with_words_that_may_not_be_sent_does_not_start(site: Path) -> None:
    words = site.parent / "words"
    (words / "request.sms.en.txt").write_text("{practice}: see Dr. Sample {link} {stop}")
    (words / "receipt.email.es.txt").write_text("Gracias, {nombre}.\n\n{link}")
    with pytest.raises(ConfigurationError) as caught:
        load(site, {})
    line = next(n for n, one in enumerate(site.read_text().splitlines(), 1) if "templates: words" in one)
    told = sorted(caught.value.problems)
    assert [one.partition(": facilities.lakeside.templates: ")[0] for one in told] == [f"{site}:{line}"] * 2
    assert f'{words}/request.sms.en.txt:1: "dr" may tell a provider' in told[1]
    assert f"{words}/receipt.email.es.txt:1: {{nombre}} is no field" in told[0]
    load(site, {}, maps=False)  # lists work while words are being edited
    assert run("check", "--config", site).exit_code == 1


def test_a_facility_that_is_not_there_is_told() -> None:
    result = CliRunner().invoke(app, ["templates", "check", "--facility", "none"])
    assert isinstance(result.exception, ConfigurationError)
    assert "facilities: lakeside" in str(result.exception)
