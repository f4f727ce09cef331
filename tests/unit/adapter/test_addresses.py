"""A practice's own address for its links, as the configuration has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import load

SITE = """
public_url: https://pay.example.org/bills
facilities:
  lakeside:
    {{name: Lakeside Clinic, message_name: Lakeside, timezone: America/Chicago, region: US, currency: USD,
     provider: card, notifiers: [], pay_url: "{first}"}}
  hillside:
    {{name: Hillside Clinic, message_name: Hillside, timezone: America/Chicago, region: US, currency: USD,
     provider: card, notifiers: [], pay_url: "{second}"}}
sources:
  his: {{type: mllp, listen: "127.0.0.1:2575", facility: lakeside, share: all}}
providers:
  card: {{type: stripe, secret_key: sk_test_1, webhook_secret: whsec_1}}
{more}
"""


def problems(tmp_path: Path, first: str, second: str = "https://hill.example.org", more: str = "") -> list[str]:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.format(first=first, second=second, more=more))
    try:
        load(path, {})
    except ConfigurationError as error:
        return [re.sub(r"^.*?:\d+: ", "", problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("https://lake.example.org", "https://hill.example.org/pay"),
        ("https://lake.example.org/pay", "https://lake.example.org/pay/"),
        ("https://pay.example.org/bills", "https://hill.example.org"),
    ],
)
def test_practices_may_have_a_host_each_or_share_one_with_its_path(tmp_path, first, second):
    assert problems(tmp_path, first, second) == []


def test_one_host_with_two_paths_is_refused_because_the_pages_could_not_tell_where_they_are(tmp_path):
    (found,) = problems(tmp_path, "https://pay.example.org")
    assert found.startswith("facilities.lakeside.pay_url: has the host of public_url and another path")
    (found,) = problems(tmp_path, "https://hill.example.org/pay")
    assert found.startswith("facilities.hillside.pay_url: has the host of facilities.lakeside.pay_url")


def test_the_face_for_the_house_and_a_sandbox_are_no_place_for_patients(tmp_path):
    (found,) = problems(tmp_path, "http://127.0.0.1:8081")
    assert "is the address of internal" in found
    sandbox = 'sandbox: {http: "127.0.0.1:0", mllp: "127.0.0.1:0"}'
    assert sum("pretended" in one for one in problems(tmp_path, "https://lake.example.org", more=sandbox)) == 3
