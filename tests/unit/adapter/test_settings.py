"""The configuration: read whole, refused whole, and every problem is told at once with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.keys import data_keys
from chartpost.adapter.settings import database, load
from chartpost.adapter.values import Address

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"

READY = {
    "http": "http://127.0.0.1:41000",
    "mllp": "127.0.0.1:41001",
    "stripe_key": "sk_test_invented",
    "stripe_webhook_secret": "whsec_invented",
    "twilio_sid": "AC" + "1" * 32,
    "twilio_token": "2" * 32,
    "smtp": "127.0.0.1:41002",
    "fhir_token": "3" * 32,
    "invoice_token": "4" * 32,
    "bounce_secret": "5" * 32,
}


def changed(tmp_path: Path, *swaps: tuple[str, str]) -> Path:
    """Return a copy of the embedded configuration with pieces of its text replaced."""
    text = SAMPLE.read_text("utf-8")
    for before, after in swaps:
        assert before in text
        text = text.replace(before, after)
    path = tmp_path / "site.yaml"
    path.write_text(text, "utf-8")
    return path


def problems(path: Path | None, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return caught.value.problems


def line_of(path: Path, text: str) -> int:
    return next(n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if text in line)


def test_without_a_file_the_embedded_configuration_is_used_and_the_sample_is_that_very_file():
    settings = load(None, {})
    assert settings == load(SAMPLE, {})
    assert settings.web == "127.0.0.1:8080"
    assert settings.internal == "127.0.0.1:8081"
    assert settings.sources["his"].listen.port == 2575
    assert settings.sources["his"].share == "copay"


def test_all_problems_come_at_once_in_the_order_of_the_file_each_with_its_line(tmp_path):
    path = changed(
        tmp_path,
        ("    share: copay\n", ""),
        ("America/Chicago", "America/Chicgo"),
        ("listen: 127.0.0.1:2575\n    facility: lakeside", "listen: 127.0.0.1:2575\n    facility: lakesid"),
        ("listen: 127.0.0.1:2575", "lisen: 127.0.0.1:2575"),
        ("provider: card  ", "provider: cash  "),
    )
    found = problems(path)
    assert len(found) == 6
    at = {f"{path}:{line_of(path, key)}" for key in ("his:", "timezone:", "facility: lakesid", "lisen:", "provider:")}
    assert {":".join(problem.split(":")[:2]) for problem in found} == at
    numbers = [int(problem.split(":")[1]) for problem in found]
    assert numbers == sorted(numbers)


def test_a_source_without_share_does_not_start_and_is_told_what_the_words_mean(tmp_path):
    [problem] = problems(changed(tmp_path, ("    share: copay\n", "")))
    assert "sources.his.share: is missing" in problem
    for word in ("all (", "copay (", "self_pay (", "net_of_insurance (", "balance ("):
        assert word in problem


def test_an_unknown_share_is_explained_too():
    [problem] = problems(None, CHARTPOST_SOURCES__HIS__SHARE="everything")
    assert problem.startswith("CHARTPOST_SOURCES__HIS__SHARE: sources.his.share: is none of the known words")


def test_a_misspelt_key_is_shown_its_neighbour(tmp_path):
    found = problems(changed(tmp_path, ("destinations: [chart]", "destinatons: [chart]")))
    assert any("sources.his.destinatons: is no setting; did you mean destinations?" in one for one in found)


def test_self_pay_needs_its_classes_and_nothing_else_has_them():
    environ = {"CHARTPOST_SOURCES__HIS__SHARE": "self_pay"}
    assert "PV1-20" in problems(None, **environ)[0]
    settings = load(None, environ | {"CHARTPOST_SOURCES__HIS__SELF_PAY_CLASSES": "[SP, CASH]"})
    assert settings.sources["his"].self_pay_classes == ("SP", "CASH")
    assert problems(None, CHARTPOST_SOURCES__HIS__SELF_PAY_CLASSES="[SP]")


def test_a_variable_lies_over_the_file_and_an_empty_one_removes():
    settings = load(None, {"CHARTPOST_WEB": "127.0.0.1:0", "CHARTPOST_FACILITIES__LAKESIDE__REQUEST_DAYS": "90"})
    assert settings.web == "127.0.0.1:0"
    assert settings.facilities["lakeside"].request_days == 90
    without = {"CHARTPOST_SOURCES__HIS__CONSENT": ""}
    assert load(None, without).sources["his"].consent == "none"


def test_a_problem_with_a_variable_names_the_variable():
    assert problems(None, CHARTPOST_WEB="8080") == [
        "CHARTPOST_WEB: web: is no address; write host:port, as in 127.0.0.1:2575"
    ]


def test_the_variables_that_kubernetes_sets_for_a_service_of_our_name_do_no_harm(caplog):
    load(None, {"CHARTPOST_PORT": "tcp://10.0.0.1:8080", "CHARTPOST_SERVICE_HOST": "10.0.0.1"})
    assert "CHARTPOST_SERVICE_HOST" in caplog.text
    assert "10.0.0.1" not in caplog.text


def test_a_secret_may_stand_in_a_file_of_its_own_beside_the_configuration(tmp_path):
    (tmp_path / "stripe.key").write_text("sk_test_from_a_file\n", "utf-8")
    path = changed(tmp_path, ("secret_key: sandbox", "secret_key_file: stripe.key"))
    assert load(path, {}).providers["card"].options["secret_key"] == "sk_test_from_a_file"


def test_a_missing_secret_file_and_a_secret_given_twice_are_both_told(tmp_path):
    path = changed(
        tmp_path,
        ("secret_key: sandbox", "secret_key: sandbox\n    secret_key_file: stripe.key"),
        ("auth_token: sandbox", "auth_token_file: nowhere"),
    )
    first, second = problems(path)
    assert "secret_key is given too" in first
    assert f"notifiers.sms.auth_token_file: {tmp_path / 'nowhere'} cannot be used: No such file or directory" in second


def test_the_options_of_a_plugin_are_checked_by_the_plugin_under_their_own_line(tmp_path):
    path = changed(tmp_path, ("resend: never", "resend: always"))
    [problem] = problems(path)
    assert problem.startswith(f"{path}:{line_of(path, 'resend: always')}: destinations.chart.resend: ")


def test_an_unknown_type_names_what_is_installed(tmp_path):
    [problem] = problems(changed(tmp_path, ("type: twilio", "type: pigeon")))
    assert "pigeon" in problem
    assert "twilio" in problem


def test_the_sandbox_fills_in_its_addresses_and_keys_once_it_is_ready():
    settings = load(None, {}).resolve_sandbox(READY)
    card, sms = settings.providers["card"].options, settings.notifiers["sms"].options
    assert card["base_url"].startswith("http://127.0.0.1:41000")
    assert card["secret_key"] == "sk_test_invented"
    assert card["webhook_secret"] == "whsec_invented"
    assert sms["base_url"].startswith("http://127.0.0.1:41000")
    assert sms["account_sid"] == READY["twilio_sid"]
    assert settings.destinations["chart"].options["address"] == "127.0.0.1:41001"
    assert settings.destinations["fhir"].options["base_url"] == "http://127.0.0.1:41000/fhir"
    assert settings.destinations["fhir"].options["token"] == READY["fhir_token"]
    assert settings.fhir()["ehr"].token.get_secret_value() == READY["invoice_token"]
    assert settings.notifiers["mail"].options["address"] == READY["smtp"]


def test_a_source_of_no_known_kind_is_told_the_kinds(tmp_path):
    [missing] = problems(changed(tmp_path, ("  his:\n    type: mllp\n", "  his:\n")))
    assert missing.endswith("sources.his.type: is missing; write mllp, fhir, broker or directory")
    [unknown] = problems(None, CHARTPOST_SOURCES__HIS__TYPE="telex")
    assert "sources.his.type: is none of the known kinds; write mllp, fhir, broker or directory" in unknown


def test_a_map_must_carry_what_its_source_or_destination_carries():
    [source] = problems(None, CHARTPOST_SOURCES__EHR__MAP="hl7v2-dft")
    assert "sources.ehr.map: hl7v2-dft is a map for HL7 v2, and type: fhir carries FHIR" in source
    [destination] = problems(None, CHARTPOST_DESTINATIONS__CHART__MAP="fhir-payment-reconciliation")
    assert "is a map for FHIR, and type: mllp carries HL7 v2" in destination


def test_a_source_fetches_from_a_destination_that_has_resources():
    [other] = problems(None, CHARTPOST_SOURCES__EHR__FETCH="chart")
    assert "sources.ehr.fetch: is no destination of type fhir" in other
    assert "there is no destination called nowhere" in problems(None, CHARTPOST_SOURCES__EHR__FETCH="nowhere")[0]


def test_a_short_bearer_token_is_no_secret():
    assert "is too short to be a secret" in problems(None, CHARTPOST_SOURCES__EHR__TOKEN="12345")[0]


def test_without_the_sandbox_section_every_place_that_counts_on_it_is_told():
    found = problems(None, CHARTPOST_SANDBOX="")
    told = {problem.split(": ")[1] for problem in found if "there is no sandbox" in problem}
    assert told == {
        "sources.ehr.token", "destinations.chart.address", "destinations.fhir.base_url", "destinations.fhir.token",
        "providers.card.secret_key", "providers.card.webhook_secret", "providers.card.base_url",
        "notifiers.sms.account_sid", "notifiers.sms.auth_token", "notifiers.sms.base_url", "notifiers.mail.address",
        "notifiers.mail.bounce_secret",
    }  # fmt: skip


def test_play_money_and_real_people_never_meet():
    live = problems(None, CHARTPOST_PROVIDERS__CARD__SECRET_KEY="sk_live_invented")
    assert any("a live key beside a sandbox" in problem for problem in live)
    assert not any("sk_live_invented" in problem for problem in live)
    assert any("pretended" in problem for problem in problems(None, CHARTPOST_PUBLIC_URL="https://pay.example.org"))
    assert "this machine only" in problems(None, CHARTPOST_SANDBOX__HTTP="0.0.0.0:8090")[0]


def test_two_doors_cannot_share_a_port_but_port_0_is_any_free_one():
    assert "port 2575 is already used by" in problems(None, CHARTPOST_WEB="127.0.0.1:2575")[0]
    load(None, {"CHARTPOST_WEB": "127.0.0.1:0", "CHARTPOST_INTERNAL": "127.0.0.1:0"})


def test_patients_are_never_sent_to_an_address_that_leads_nowhere_or_is_not_encrypted():
    assert "set public_url" in problems(None, CHARTPOST_WEB="0.0.0.0:8080")[0]
    found = problems(None, CHARTPOST_PUBLIC_URL="http://pay.example.org", CHARTPOST_SANDBOX__HTTP="127.0.0.1:0")
    assert any("https://" in problem for problem in found)


def test_a_broker_inside_this_process_cannot_feed_an_engine_outside(tmp_path):
    found = problems(changed(tmp_path, ("chart:\n    type: mllp", "chart:\n    type: broker")))
    assert any("nobody else reaches memory://" in problem for problem in found)


def test_a_map_that_is_not_there_is_told_with_the_line_that_names_it(tmp_path):
    path = changed(tmp_path, ("map: hl7v2-dft  ", "map: maps/site.yaml  "))
    [problem] = problems(path)
    assert problem.startswith(f"{path}:{line_of(path, 'maps/site.yaml')}: sources.his.map: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web: [1, 2", "this is not YAML"),
        ("web: a\nweb: b", "a key stands here twice"),
        ("- one", "`key: value`"),
        ("", "facilities: is missing"),
    ],
)
def test_what_is_no_configuration_at_all_is_told_too(tmp_path, text, said):
    path = tmp_path / "site.yaml"
    path.write_text(text, "utf-8")
    assert said in "\n".join(problems(path))
    assert all(problem.startswith(f"{path}:") for problem in problems(path))


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path):
    assert "No such file" in problems(tmp_path / "none.yaml")[0]


def test_neither_settings_nor_problems_ever_show_a_secret(tmp_path):
    environ = {
        "CHARTPOST_PROVIDERS__CARD__SECRET_KEY": "sk_test_hidden",
        "CHARTPOST_DATABASE": "postgresql://user:hidden@127.0.0.1/db",
        "CHARTPOST_BROKER": "amqp://user:hidden@127.0.0.1//",
    }
    assert "hidden" not in repr(load(None, environ))
    environ["CHARTPOST_DATABASE"] = "mysql://user:hidden@127.0.0.1/db"
    assert "hidden" not in "\n".join(problems(None, **environ))


def test_the_lists_find_the_ledger_while_the_rest_of_the_file_is_being_edited(tmp_path):
    path = changed(tmp_path, ("share: copay", "share: "))
    assert database(path, {}) == "sqlite"


def test_an_address_knows_its_host_and_port():
    address = Address("[::1]:2575")
    assert (address.host, address.port, address.loopback) == ("::1", 2575, True)
    assert not Address("0.0.0.0:1").loopback


def test_keys_are_made_once_for_this_user_alone(tmp_path):
    data = tmp_path / "data"
    keys = data_keys(data)
    assert data_keys(data) == keys
    assert len(keys.link) == len(keys.searching) == 32
    assert keys.link != keys.searching
    assert keys.sealing is None
    assert (data.stat().st_mode & 0o777) == 0o700
    assert {path.stat().st_mode & 0o777 for path in data.iterdir()} == {0o600}
    assert keys.link.hex() not in repr(keys)


def test_personal_columns_are_sealed_from_the_moment_a_sealing_key_is_there(tmp_path):
    data_keys(tmp_path)
    os.umask(0o077)
    (tmp_path / "sealing.key").write_text("ab" * 32, "utf-8")
    assert data_keys(tmp_path).sealing == bytes.fromhex("ab" * 32)


def test_keys_that_others_may_read_or_that_are_lost_beside_a_ledger_stop_everything(tmp_path):
    data_keys(tmp_path)
    (tmp_path / "link.key").chmod(0o640)
    (tmp_path / "searching.key").unlink()
    (tmp_path / "chartpost.db").touch()
    with pytest.raises(ConfigurationError) as caught:
        data_keys(tmp_path)
    open_to_others, lost = caught.value.problems
    assert "chmod 600" in open_to_others
    assert "restore it from your backup" in lost


def test_a_source_that_polls_names_its_server_and_what_it_asks_for(tmp_path):
    source = "  other:\n    type: fhir\n    facility: lakeside\n    token: 0123456789abcdef\n    share: all\n"
    there = "  there: {type: fhir, base_url: 'https://x.example.org', map: fhir-payment-reconciliation}\n"

    def found(poll: str) -> list[str]:
        sources, places = f"sources:\n{source}    poll: {poll}\n", f"\ndestinations:\n{there}"
        return problems(changed(tmp_path, ("sources:\n", sources), ("\ndestinations:\n", places)))

    assert "there is no destination called nowhere" in found("{server: nowhere}")[0]
    assert "is no destination of type fhir" in found("{server: chart}")[0]
    for query in ("_sort=date", "status=issued&_count=5", "_lastUpdated:missing=true", "two words", "status", "a=b#c"):
        [problem] = found(f'{{server: there, query: "{query}"}}')
        assert "sources.other.poll.query" in problem
    [problem] = found("{server: there, every: 0}")
    assert "greater than 0" in problem
    source += "    map: fhir-chargeitem\n"
    assert any("looks for Invoices, and fhir-chargeitem reads ChargeItems" in one for one in found("{server: there}"))
