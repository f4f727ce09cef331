"""Senders in the US are registered, or `chartpost check` is red."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chartpost.adapter.doctor import examine
from chartpost.adapter.doctor.registration import senders
from chartpost.adapter.notifiers.twilio import Options

SAMPLE = Path(__file__).parents[4] / "samples/config/embedded.yaml"
TWILIO = {"type": "twilio", "sender": "+16085550100"}
REGISTERED = {"registration": {"type": "toll_free", "id": "HH1"}}


def told(region: str = "US", **options: Any) -> list[tuple[str, str]]:
    facilities = {"lakeside": {"region": region, "notifiers": ["sms"]}}
    return [(one.what, str(one.state)) for one in senders(facilities, {"sms": TWILIO | options})]


@pytest.mark.parametrize(
    ("region", "options", "state"),
    [
        ("US", {}, "problem"),
        ("US", {"sender": "MG" + "0" * 32}, "problem"),
        ("US", REGISTERED, "ok"),
        ("US", {"registration": {"type": "10dlc", "id": "sandbox"}}, "problem"),
        ("US", {"registration": {"type": "10dlc", "id": "sandbox"}, "base_url": "sandbox"}, "ok"),
        ("US", {"sender": "+447400123456"}, ""),
        ("GB", {}, ""),
        ("US", {"type": "http"}, ""),
    ],
)
def test_what_texts_the_us_through_twilio_says_how_it_is_registered(region: str, options: Any, state: str) -> None:
    assert told(region, **options) == ([("notifiers.sms", state)] if state else [])


def test_one_sender_of_several_facilities_is_told_once_with_all_of_them() -> None:
    facilities = {name: {"region": "US", "notifiers": ["sms"]} for name in ("lakeside", "hillside")}
    [found] = senders(facilities, {"sms": TWILIO})
    assert "lakeside, hillside" in found.text
    assert "registration:" in found.fix
    assert list(senders({"odd": {"region": "US", "notifiers": "sms"}, "none": {"region": "US"}}, {"sms": TWILIO})) == []


def test_an_existing_configuration_loads_without_it_and_the_check_is_red(tmp_path: Path) -> None:
    config = tmp_path / "site.yaml"
    line = "    registration: {type: 10dlc, id: sandbox}\n"
    text = SAMPLE.read_text("utf-8")
    assert line in text
    config.write_text(text.replace(line, ""), "utf-8")
    report = examine.examine(config, tmp_path / "data", {})
    assert (report.configured, report.outcome) == (True, examine.Outcome.PROBLEMS)
    assert [one.what for one in report.findings if str(one.state) == "problem"] == ["notifiers.sms"]


@pytest.mark.parametrize("said", [{"type": "10dlc", "id": ""}, {"type": "fax", "id": "1"}, {"type": "10dlc"}, "10dlc"])
def test_a_registration_that_is_none_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError):
        Options(type="twilio", account_sid="AC1", auth_token="t", sender="+16085550100", registration=said)
