"""The process: one line on standard output, loopback only, and an end when it is told or left alone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import httpx2
import pytest

COMMAND = [sys.executable, "-m", "chartpost.adapter.sandbox"]


def test_it_says_where_it_is_and_ends_well_when_told() -> None:
    with subprocess.Popen([*COMMAND, "--seed", "7", "--stripe-key", "sk_test_x"], stdout=subprocess.PIPE) as process:
        doors = json.loads(process.stdout.readline())
        assert doors["http"].startswith("http://127.0.0.1:")
        assert doors["mllp"].startswith("127.0.0.1:")
        assert doors["smtp"].startswith("127.0.0.1:")
        assert doors["stripe_key"] == "sk_test_x"
        assert doors["stripe_webhook_secret"].startswith("whsec_")
        assert (len(doors["twilio_sid"]), doors["twilio_sid"][:2], len(doors["twilio_token"])) == (34, "AC", 32)
        assert (len(doors["fhir_token"]), len(doors["invoice_token"])) == (40, 40)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
        assert process.stdout.read() == b""


def test_it_ends_at_once_with_an_open_connection_and_a_receiver_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        hook = f"http://127.0.0.1:{deaf.getsockname()[1]}/hooks"
        command = [*COMMAND, "--stripe-webhook", hook]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            doors = json.loads(process.stdout.readline())
            host, _, port = doors["mllp"].partition(":")
            with socket.create_connection((host, int(port))):
                httpx2.post(doors["http"] + "/_control/stripe/foreign")
                connection, _ = deaf.accept()  # a webhook is under way, and nobody will answer it
                process.send_signal(signal.SIGTERM)
                assert process.wait(5) == 0
                connection.close()
            assert process.stderr.read() == b""


def test_it_does_not_outlive_its_parent() -> None:
    command = [*COMMAND, "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(5) == 0


@pytest.mark.parametrize(
    "option",
    [
        "--http=0.0.0.0:0",
        "--mllp=192.0.2.1:0",
        "--smtp=192.0.2.1:0",
        "--stripe-webhook=http://192.0.2.1/x",
        "--send-invoices-to=http://192.0.2.1/fhir",
        "--jwks-url=http://192.0.2.1/jwks.json",
    ],
)
def test_it_refuses_addresses_beyond_this_machine(option) -> None:
    done = subprocess.run([*COMMAND, option], capture_output=True, timeout=20, check=False)
    assert done.returncode != 0
    assert done.stdout == b""


def test_every_page_is_its_own_and_asks_for_nothing_elsewhere(box) -> None:
    for path in (
        "/",
        "/inbox",
        "/mailbox",
        "/clinic",
        "/clinic/chart/L-20481",
        "/clinic/chart/LI-30902",
        "/stripe/dashboard",
    ):
        answer = box.web.get(path)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert 'src="http' not in answer.text
        assert "<style" not in answer.text
    assert box.web.get("/static/sandbox.css").status_code == 200
    assert box.web.get("/static/sandbox.js").status_code == 200


def test_a_wrong_control_is_told_so(box) -> None:
    for path in (
        "/_control/stripe/next?answer=maybe",
        "/_control/clinic/next",
        "/_control/twilio/callbacks?mode=x",
        "/_control/fhir/next?answer=maybe",
        "/_control/fhir/conditional?on=perhaps",
        "/_control/fhir/jwks",
    ):
        assert box.web.post(path).status_code == 400
    for side in ("stripe", "twilio", "clinic", "fhir"):
        assert box.web.post(f"/_control/{side}/nonsense").status_code == 404
