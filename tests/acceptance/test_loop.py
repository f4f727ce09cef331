"""The loop from outside: PyPI's `mllp_send` brings a message, a browser without JavaScript pays, the chart shows it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest
from crash import other_side, plainly
from house import SAMPLES, House, Row, Sandbox, running
from people import CARD

from chartpost.adapter.demo.browser import Browser

SAMPLE = SAMPLES / "01_two_charges.hl7"
ACCOUNT = "K-30101"
#: What is in the sample and nobody outside the clinic, and no log, may ever see.
PRIVATE = (
    *("Halloran", "Maeve", "M300101", "19840612", "1984-06-12", "Birchwood", "m.halloran", "K-30101", "V30101"),
    *("Echocardiogram", "Electrocardiogram", "93306", "93000", "co-payment", "842.50", "CARD^ECHO", "20260309"),
)
PHONE = "6085550111"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Started by its command."""
    with running(tmp_path) as house:
        house.start()
        yield house


@pytest.fixture
def forked(tmp_path: Path) -> Iterator[House]:
    """The same, forked from a process that has imported everything: starts in a tenth of the time."""
    with running(tmp_path, product=plainly, sandbox=other_side) as house:
        house.start()
        yield house


def mllp_send(house: House, sample: Path) -> str:
    """Carry a file as the field's best known test tool does; return what it printed, the ACK."""
    host, _, port = house.addresses["mllp"].rpartition(":")
    tool = Path(sys.executable).with_name("mllp_send")
    done = subprocess.run(
        [tool, "--loose", "--file", sample, "--port", port, host], capture_output=True, timeout=20, check=True
    )
    return done.stdout.decode()


def write_into_chart(sandbox: Sandbox, sample: Path) -> None:
    """Let the clinic note its charges while its own line is down: the tests carry the message instead."""
    with pytest.raises(HTTPError, match="502"):
        sandbox.post("/clinic/send?to=127.0.0.1:9", sample.read_bytes())


def pay(house: House, link: str, part: str = "") -> list[str]:
    """Pay by forms alone; return what the last page says."""
    person = Browser()
    page = person.open(link)
    page = person.press(page, ("pay", "part"), amount=part) if part else person.press(page, ("pay", "all"))
    assert page.url.startswith(house.sandbox.doors["http"]), "a full redirect to the hosted page"
    page = person.press(page, ("method", "card"), **CARD)
    assert page.url.startswith(f"{link}/return?")
    return page.headings


def listed(house: House, noun: str) -> list[Row]:
    """Return what `chartpost NOUN --json` prints."""
    command = [sys.executable, "-m", "chartpost.adapter.cli", noun, "--json", "--data", str(house.data)]
    done = subprocess.run([*command, "--config", str(house.config)], capture_output=True, timeout=30, check=True)
    return list(json.loads(done.stdout))


def until_posted(house: House, count: int = 1) -> None:
    house.until("the posting", lambda: [p["state"] for p in house.rows("postings")] == ["accepted"] * count)


def test_a_message_becomes_an_sms_a_payment_and_a_line_in_the_chart(house: House) -> None:
    write_into_chart(house.sandbox, SAMPLE)
    assert "\rMSA|AA|LK0900001" in mllp_send(house, SAMPLE)

    [sms] = house.until("the SMS", house.sandbox.texts)
    assert sms["to"] == f"+1{PHONE}"
    assert sms["body"].startswith("Lakeside: you have a balance to pay.")
    assert sms["links"][0].startswith(f"{house.web}/p/")
    [heading] = pay(house, sms["links"][0])
    assert heading in ("Thank you!", "Your card payment went through")
    until_posted(house)

    chart = house.sandbox.chart(ACCOUNT)
    assert (chart["owed"], chart["paid"], chart["balance"]) == ("45.00", "45.00", "0.00")
    assert Browser().open(sms["links"][0]).headings == ["All paid. Thank you!"]

    # Everything stored tells the same story.
    [message], [account], [request] = (listed(house, noun) for noun in ("messages", "accounts", "requests"))
    [payment], [posting] = listed(house, "payments"), listed(house, "postings")
    house.until("the reports", lambda: [row["state"] for row in house.rows("notices")] == ["delivered"] * 2)
    notice, receipt = listed(house, "notices")
    assert (message["state"], message["control_id"], message["ack"]) == ("translated", "LK0900001", "AA")
    assert (account["balance"], account["open_request"]) == ("0.00", None)
    assert (request["state"], request["account"]) == ("paid", account["id"])
    assert (notice["state"], notice["request"], notice["provider_ref"]) == ("delivered", request["id"], sms["sid"])
    assert (receipt["purpose"], receipt["step"]) == ("receipt", payment["id"])
    assert house.sandbox.texts()[-1]["body"].startswith("Lakeside: thank you, your payment is recorded.")
    assert (payment["amount"], payment["request"], payment["posted"]) == ("45.00", request["id"], {"chart": "accepted"})
    assert (posting["payment"], posting["answer_code"]) == (payment["id"], "AA")
    assert [line["transaction"] for line in chart["postings"]] == [posting["id"]]
    assert [line["reference"] for line in chart["postings"]] == [payment["provider_ref"]]
    assert listed(house, "holds") == []


def test_a_part_is_paid_and_the_same_link_asks_for_the_rest(forked: House) -> None:
    write_into_chart(forked.sandbox, SAMPLE)
    mllp_send(forked, SAMPLE)
    [sms] = forked.until("the SMS", forked.sandbox.texts)
    link = sms["links"][0]
    pay(forked, link, "20.00")
    until_posted(forked)
    assert forked.sandbox.chart(ACCOUNT)["balance"] == "25.00"
    forked.until("the rest", lambda: Browser().open(link).headings == ["You owe now $25.00"])
    pay(forked, link)
    until_posted(forked, 2)
    assert forked.sandbox.chart(ACCOUNT)["balance"] == "0.00"
    forked.until("the receipts", lambda: len(forked.sandbox.texts()) == 3)
    asked = [text for text in forked.sandbox.texts() if "balance" in text["body"]]
    assert len(asked) == 1, "nobody is asked twice"


def test_every_sample_ends_as_expected_when_the_tool_sends_it(forked: House) -> None:
    # mllp_send knows no other delimiters than |^~\&, and sends nothing of a message that has some.
    sent = [sample for sample in sorted(SAMPLES.glob("*.hl7")) if sample.read_bytes().startswith(b"MSH|^~\\&|")]
    assert len(sent) >= 12
    for number, sample in enumerate(sent, start=1):
        expected = json.loads(sample.with_suffix(".expected.json").read_text("utf-8"))
        assert f"\rMSA|{expected['ack']}|" in mllp_send(forked, sample), sample.name

        def translated(number: int = number) -> bool:
            states = [row["state"] for row in forked.rows("messages")]
            return len(states) == number and "received" not in states

        forked.until(f"the end of {sample.name}", translated)
        last = forked.rows("messages")[-1]
        assert (last["state"], last["hold"]) == (expected["state"], expected["hold"]), sample.name


def test_nobody_outside_the_clinic_and_no_log_learns_anything_private(forked: House) -> None:
    write_into_chart(forked.sandbox, SAMPLE)
    mllp_send(forked, SAMPLE)
    mllp_send(forked, SAMPLES / "05_unknown_code.hl7")  # a hold is logged and listed as little as anything else
    [sms] = forked.until("the SMS", forked.sandbox.texts)
    pay(forked, sms["links"][0])
    until_posted(forked)
    token = sms["links"][0].rpartition("/")[2]
    stripe = json.dumps(
        [forked.sandbox.get(f"/_control/stripe/{what}") for what in ("requests", "events", "deliveries")]
    )
    twilio = json.dumps([forked.sandbox.get(f"/_control/twilio/{what}") for what in ("requests", "deliveries")])
    lists = json.dumps([forked.rows(noun) for noun in ("messages", "notices", "payments", "postings", "holds")])
    assert forked.stop() == 0
    log = forked.out.read_text("utf-8")

    for told, name in ((stripe, "Stripe"), (twilio, "Twilio"), (log, "the log"), (lists, "the lists")):
        assert seen(told, *PRIVATE, "Fenwick", "Odile", "M300105") == [], name
    assert seen(stripe + log + lists, PHONE) == []
    assert twilio.count(f"+1{PHONE}") >= 1
    assert seen(log, token, "sk_test_", "whsec_", "7a" * 16, "4242", *(key_of(forked))) == []
    assert "ready web=" in log


def seen(told: str, *private: str) -> list[str]:
    """Return what of `private` stands in a text, whole and in any case."""
    return [one for one in private if re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", told, re.IGNORECASE)]


def key_of(house: House) -> list[str]:
    return [path.read_text().strip() for path in house.data.glob("*.key")]


def test_told_to_stop_it_drains_and_starts_again_where_it_was(house: House) -> None:
    house.sandbox.post("/_control/stripe/pause")
    write_into_chart(house.sandbox, SAMPLE)
    mllp_send(house, SAMPLE)
    [sms] = house.until("the SMS", house.sandbox.texts)
    assert pay(house, sms["links"][0]) == ["Your card payment went through"]
    assert house.stop() == 0
    assert '"drained"' in house.out.read_text()
    house.sandbox.post("/_control/stripe/resume")
    house.start()
    until_posted(house)
    house.until("the receipt", lambda: len(house.sandbox.texts()) == 2)
    assert [row["purpose"] for row in house.rows("notices")] == ["request", "receipt"]


def test_a_second_process_on_one_data_directory_is_refused(house: House, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "chartpost.adapter.cli", "serve", "--data", str(house.data)]
    done = subprocess.run([*command, "--config", str(house.config)], capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "another chartpost runs on this data directory" in done.stderr.decode()
    assert b"ready" not in done.stdout
    assert Browser().open(f"{house.web}/p/nothing").status == 404, "the first one is not disturbed"
