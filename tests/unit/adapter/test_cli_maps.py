"""`chartpost map`: what an administrator sees, what a machine gets, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner
from workbench import dft, line

from chartpost.adapter.cli import app
from chartpost.adapter.errors import ConfigurationError
from chartpost.mappings import layers

SITE = "extends: hl7v2-dft\ntables: {kinds: {codes: {ZB: copay}}}\n"


def run(*arguments: object) -> Any:
    """Return what the command printed; errors of configuration come as their sentences."""
    found = CliRunner().invoke(app, ["map", *map(str, arguments)])
    if isinstance(found.exception, ConfigurationError):
        return found.exception.problems
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "one.hl7").write_bytes(dft(line("ZB", "25.00"), control_id="C1"))
    (tmp_path / "site" / "two.hl7").write_bytes(dft(line("QQ", "25.00"), control_id="C2"))
    return tmp_path / "site.yaml"


def test_try_prints_each_value_with_the_standards_name_and_what_would_happen(site):
    found = run("try", site, site.parent / "site/one.hl7", "--share", "copay")
    assert found.exit_code == 0
    for part in (
        "FT1[1]-11",
        "Transaction Amount - Extended",
        "25.00 USD",
        "request opened",
        "sms +16085550101",
        "reads",
    ):
        assert part in found.stdout


def test_try_ends_with_1_when_something_would_be_held_and_says_what_to_do(site):
    found = run("try", site, site.parent / "site", "--share", "copay", "--json")
    assert found.exit_code == 1
    one, two = json.loads(found.stdout)
    assert (one["state"], one["asked"]) == ("translated", "25.00 USD")
    assert (two["state"], two["cause"]) == ("held", "unreadable_line")
    assert "table kinds" in two["fix"]


def test_without_a_share_nothing_is_guessed(site):
    found = run("try", site, site.parent / "site")
    assert found.exit_code == 2
    assert "never guessed" in found.stderr


def test_a_condition_is_a_share_too_and_a_wrong_one_is_told(site):
    whole = run("try", site, site.parent / "site/one.hl7", "--share", "code == 'COPAY'", "--json")
    assert json.loads(whole.stdout)[0]["asked"] == "25.00 USD"
    assert "there is no cood here" in run("try", site, site.parent / "site", "--share", "cood == 'A'").stderr


def test_on_the_terms_of_a_configured_source(site):
    found = run("try", site, site.parent / "site/one.hl7", "--source", "his", "--json")
    assert json.loads(found.stdout)[0]["told"] == "sms +16085550101"
    assert "no source hers; there are his" in run("try", site, site.parent / "site", "--source", "hers").stderr


def test_goldens_are_made_checked_and_broken(site):
    assert run("try", site, site.parent / "site/one.hl7", "--share", "copay", "--golden").exit_code == 0
    assert run("check", site).exit_code == 0
    site.write_text(SITE.replace("copay", "credit"))
    found = run("check", site)
    assert found.exit_code == 1
    assert "asked: 25.00 USD → nothing" in found.stdout


def test_diff_names_the_messages_that_come_out_differently(site):
    other = site.with_name("other.yaml")
    other.write_text(SITE.replace("copay", "charge"))
    found = run("diff", site, other, site.parent / "site", "--share", "copay", "--json")
    assert found.exit_code == 1
    rows = json.loads(found.stdout)
    assert {row["message"].rpartition("/")[2] for row in rows} == {"one.hl7"}
    assert {"the patient's share", "charges[1].kind"} == {row["target"] for row in rows}
    assert run("diff", site, site, site.parent / "site").exit_code == 0


def test_diff_over_what_a_source_has_sent_needs_its_name(site):
    assert run("diff", site, site, "--days", "7").exit_code == 2


def test_a_map_of_postings_shows_the_message_that_would_go_out_and_that_it_conforms(site):
    message = site.parent / "site/one.hl7"
    found = run("try", "hl7v2-dft-payment", message, "--with", site, "--share", "copay")
    assert found.exit_code == 0
    assert "FT1|1|P0EXAMPLE001" in found.stdout
    assert "25.00&USD" in found.stdout
    assert "✓ conforms" in found.stdout
    [row] = json.loads(run("try", "fhir-payment-reconciliation", message, "--with", site, "--json").stdout)
    assert row["problems"] == []
    assert json.loads(row["body"])["resourceType"] == "PaymentReconciliation"


def test_a_map_with_mistakes_is_told_all_of_them_with_their_places(site):
    site.write_text("extends: hl7v2-dft\ncharge:\n  - {target: amuont, path: FT1-11}\n  - {target: code, path: FT}\n")
    assert [problem.rpartition("site.yaml:")[2].split(": ")[0] for problem in run("check", site)] == ["3:6", "4:20"]


@pytest.mark.parametrize(("option", "wanted"), [((), "messages"), (("--postings",), "writes")])
def test_the_schema_takes_every_shipped_map_and_knows_a_mistake(option, wanted):
    schema = jsonschema_rs.validator_for(json.loads(run("schema", *option).stdout))
    shipped = [YAML(typ="safe").load(layers.read_file(name)[0]) for name in layers.shipped()]
    mine = [data for data in shipped if ("writes" in data) == bool(option)]
    assert len(mine) >= 5
    for data in mine:
        assert list(schema.iter_errors(data)) == []
        assert not schema.is_valid(data | {"massages": ["DFT^P03"]})
    assert any(wanted in data for data in mine)
