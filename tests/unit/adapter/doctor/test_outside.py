"""What `chartpost check` hears from providers, notifiers and destinations: the real plugins, to a real other side."""

from __future__ import annotations

import datetime as dt
import socket

import pytest
from workbench import configuration

from chartpost.adapter import plugins
from chartpost.adapter.doctor import outside
from chartpost.adapter.doctor.finding import drift
from chartpost.adapter.ledger.store import utc_now


@pytest.fixture
def look(other):
    """Look at a plugin of the sandbox's configuration, with changed options; return its findings."""
    ready = configuration(other.ready)

    def call(group, name, **changes):
        section = {plugins.PROVIDERS: ready.providers, plugins.NOTIFIERS: ready.notifiers}
        options = section.get(group, ready.destinations)[name].options | changes
        return list(outside.plugin(name, group, options))

    return call


def told(findings):
    return [(one.what, str(one.state)) for one in findings]


def test_a_stripe_account_that_works_is_well_and_tells_the_time(look):
    assert told(look(plugins.PROVIDERS, "card")) == [("card", "ok"), ("clock", "ok")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret_key": "sk_test_wrong"}, "does not know secret_key"),
        ({"webhook_secret": "we_1234"}, "does not begin with whsec_"),
        ({"base_url": "http://127.0.0.1:1"}, "could not be reached"),
    ],
)
def test_what_is_wrong_with_a_stripe_account_is_said_with_its_remedy(look, changes, said):
    found = look(plugins.PROVIDERS, "card", **changes)
    assert (str(found[0].state), said in found[0].text, bool(found[0].fix)) == ("problem", True, True)
    assert not any(value in one.text + one.fix for value in changes.values() for one in found if value[:4] != "http")


def test_a_twilio_account_that_works_is_well(look):
    assert told(look(plugins.NOTIFIERS, "sms")) == [("sms", "ok")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"auth_token": "f" * 32}, "does not take account_sid and auth_token"),
        ({"base_url": "http://127.0.0.1:1"}, "could not be reached"),
    ],
)
def test_what_is_wrong_with_a_twilio_account_is_said_with_its_remedy(look, changes, said):
    (found,) = look(plugins.NOTIFIERS, "sms", **changes)
    assert (str(found.state), said in found.text, bool(found.fix)) == ("problem", True, True)


def test_a_twilio_account_that_cannot_text_patients_is_a_problem(look, other):
    other.call("/_control/twilio/account?status=suspended&type=Trial")
    try:
        found = look(plugins.NOTIFIERS, "sms")
    finally:
        other.call("/_control/twilio/account")
    assert [one.text for one in found] == [
        "the Twilio account is suspended", "the Twilio account is a trial and texts verified numbers only",
    ]  # fmt: skip


def test_a_destination_is_knocked_at(look):
    assert told(look(plugins.SENDERS, "chart")) == [("chart", "ok")]
    (found,) = look(plugins.SENDERS, "chart", address="127.0.0.1:1")
    assert (str(found.state), "check address" in found.fix) == ("problem", True)


def test_a_fhir_server_is_asked_what_it_offers(look):
    assert told(look(plugins.SENDERS, "fhir")) == [("fhir", "ok")]
    (found,) = look(plugins.SENDERS, "fhir", base_url="http://127.0.0.1:1/fhir")
    assert (str(found.state), "check base_url" in found.fix) == ("problem", True)


def test_a_mail_server_is_logged_in_to(other):
    options = {"type": "smtp", "address": other.ready["smtp"], "security": "none"}
    assert told(outside.plugin("mail", plugins.NOTIFIERS, options)) == [("mail", "ok")]
    (found,) = outside.plugin("mail", plugins.NOTIFIERS, options | {"address": "127.0.0.1:1"})
    assert (str(found.state), bool(found.fix)) == ("problem", True)


@pytest.mark.parametrize("kind", ["broker", "pull"])
def test_what_fetches_its_postings_itself_is_nowhere_to_knock_at(kind):
    options = {"type": kind, "map": "fhir-payment-reconciliation"}
    (found,) = outside.plugin("engine", plugins.SENDERS, options)
    assert (str(found.state), found.text) == ("ok", f"{kind}: nothing outside to reach")


def test_what_belongs_to_the_sandbox_is_skipped_by_name(look):
    (found,) = look(plugins.SENDERS, "chart", address="sandbox")
    assert (str(found.state), "sandbox" in found.text) == ("skipped", True)


def test_options_that_are_wrong_were_told_by_the_configuration(look):
    assert told(look(plugins.SENDERS, "chart", colour="red")) == [("chart", "skipped")]


def test_whatever_listens_elsewhere_is_knocked_at_by_its_address_or_url():
    with socket.create_server(("127.0.0.1", 0)) as door:
        at = f"127.0.0.1:{door.getsockname()[1]}"
        assert told([*outside.reach("a", at), *outside.reach("b", f"http://{at}/fhir")]) == [("a", "ok"), ("b", "ok")]
    assert told([*outside.reach("a", at), *outside.reach("b", "nothing"), *outside.reach("c", "h:x")]) == [
        ("a", "problem"), ("b", "problem"), ("c", "problem"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "public_url", "state"),
    [
        ("sk_test_1", "https://pay.example.org", ["warning"]),
        ("rk_live_1", "https://pay.example.org", []),
        ("sk_live_1", None, ["problem"]),
        ("sk_live_1", "http://127.0.0.1:8080", ["problem"]),
        ("sk_test_1", None, []),
    ],
)
def test_play_money_and_patients_do_not_meet_nor_live_keys_and_this_machine(key, public_url, state):
    found = list(outside.keys({"public_url": public_url, "providers": {"card": {"secret_key": key}}}))
    assert [str(one.state) for one in found] == state
    assert not any(key in one.text + one.fix for one in found)


@pytest.mark.parametrize(
    ("seconds", "state"), [(0, "ok"), (-4, "ok"), (8, "warning"), (-30, "warning"), (70, "problem"), (-4000, "problem")]
)
def test_a_clock_that_differs_is_a_warning_and_then_a_problem(seconds, state):
    now = utc_now()
    assert str(drift("the database", now + dt.timedelta(seconds=seconds), now).state) == state
