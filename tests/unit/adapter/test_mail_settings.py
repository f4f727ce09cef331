"""Who signs a mail, and through which server it goes: every mistake is told with its place before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailserver import certificate

from chartpost.adapter.errors import ConfigurationError
from chartpost.adapter.settings import load

SAMPLE = Path(__file__).parents[3] / "samples" / "config" / "embedded.yaml"
MAIL = "CHARTPOST_FACILITIES__LAKESIDE__MAIL"
SERVER = "CHARTPOST_NOTIFIERS__MAIL__"


def problems(path: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return caught.value.problems


def test_a_facility_that_writes_mails_says_who_signs_them() -> None:
    [problem] = problems(**{MAIL: ""})
    assert "facilities.lakeside.mail: is missing" in problem
    assert "reply_to" in problem
    load(None, {MAIL: "", "CHARTPOST_FACILITIES__LAKESIDE__NOTIFIERS": "[sms]"})


@pytest.mark.parametrize("key", ["ADDRESS", "REPLY_TO"])
@pytest.mark.parametrize("written", ["desk", "Desk <desk@example.org>", "a@x.org, b@x.org"])
def test_an_address_that_is_none_is_told_and_not_repeated(key: str, written: str) -> None:
    [problem] = problems(**{f"{MAIL}__{key}": written})
    assert f"mail.{key.lower()}: is no e-mail address" in problem
    assert written not in problem


@pytest.mark.parametrize("key", ["MESSAGE_NAME", "MAIL__SENDER"])
def test_a_name_that_would_break_a_header_is_refused(key: str) -> None:
    [problem] = problems(**{f"CHARTPOST_FACILITIES__LAKESIDE__{key}": "Lakeside\r\nBcc: x@example.org"})
    assert "control character" in problem


def test_the_word_sandbox_stands_for_its_mail_server() -> None:
    other = ("http", "mllp", "stripe_key", "stripe_webhook_secret", "twilio_sid", "twilio_token", "fhir_token")
    ready = {**dict.fromkeys((*other, "invoice_token", "bounce_secret"), "invented"), "smtp": "127.0.0.1:41025"}
    assert load(None, {}).resolve_sandbox(ready).notifiers["mail"].options["address"] == "127.0.0.1:41025"


def test_certificates_of_an_own_authority_stand_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    _, pem = certificate("mail.example.org")
    (tmp_path / "ca.pem").write_text(pem, "utf-8")
    path = tmp_path / "site.yaml"
    before = "address: sandbox          # host:port of your mail server\n    security: none"
    text = SAMPLE.read_text("utf-8")
    assert before in text
    path.write_text(
        text.replace(before, "address: mail.example.org:587\n    ca_file: ca.pem\n    security: tls"), "utf-8"
    )
    assert load(path, {}).notifiers["mail"].options["ca"] == pem.strip()
    (tmp_path / "ca.pem").write_text("nothing of the kind", "utf-8")
    assert any("notifiers.mail.ca: holds no certificate" in problem for problem in problems(path))


def test_a_password_is_never_shown() -> None:
    environ = {f"{SERVER}ADDRESS": "mail.example.org:587", f"{SERVER}SECURITY": "tls", f"{SERVER}USERNAME": "lakeside"}
    assert "hidden" not in repr(load(None, {**environ, f"{SERVER}PASSWORD": "hidden"}))
    assert not any("hidden" in one for one in problems(**{**environ, f"{SERVER}PASSWORD": "hiddeñ"}))
