"""The clinic: charges out, postings in, acknowledgements, and a chart that shows both."""

from __future__ import annotations

import socket
import threading
import uuid

import pytest

CHARGE = (
    "MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|LAKESIDE|20260419170000||DFT^P03^DFT_P03|{id}|P|2.5.1\r"
    "PID|1||M77^^^LAKESIDE^MR||Pemberton^Iris||19700501|F||||||||||{account}^^^LAKESIDE^AN\r"
    "FT1|1|T1||20260419||CG|99213^Office visit^C4|||1|148.00&USD\r"
    "FT1|2|T2||20260419||CO|COPAY^Co-payment^L|||1|30.00^USD\r"
)
POSTING = (
    "MSH|^~\\&|CHARTPOST|LAKESIDE|HIS|LAKESIDE|20260420||DFT^P03^DFT_P03|{id}|P|{version}\r"
    "PID|1||M77^^^LAKESIDE^MR||Pemberton^Iris|||||||||||||{account}^^^LAKESIDE^AN\r"
    "FT1|1|{transaction}||20260420|20260420|PY|CARD^Card|||1|{amount}&USD{rest}\r"
)


def _posting(account: str, **other: str) -> str:
    values = {
        "id": uuid.uuid4().hex[:20],
        "version": "2.5.1",
        "transaction": uuid.uuid4().hex[:12],
        "amount": "30.00",
        "rest": "|" * 19 + "pi_123",
    }
    return POSTING.format(account=account, **(values | other))


@pytest.fixture
def engine():
    """An MLLP receiver that answers AA to one message and keeps it."""
    server = socket.create_server(("127.0.0.1", 0))
    got: list[bytes] = []

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            data = b""
            while not data.endswith(b"\x1c\r"):
                data += connection.recv(65536)
            got.append(data[1:-2])
            id = data.split(b"|")[9]
            connection.sendall(b"\x0bMSH|^~\\&|A|B|C|D|20260101||ACK^P03^ACK|9|P|2.5.1\rMSA|AA|" + id + b"\r\x1c\r")

    threading.Thread(target=answer, daemon=True).start()
    yield f"127.0.0.1:{server.getsockname()[1]}", got
    server.close()


@pytest.fixture
def account(box, engine) -> str:
    """An account with a charge of 148.00 and a co-payment of 30.00."""
    made = f"A-{uuid.uuid4().hex[:8]}"
    box.web.post(f"/clinic/send?to={engine[0]}", content=CHARGE.format(id=uuid.uuid4().hex[:20], account=made))
    return made


def _chart(box, account: str) -> dict:
    return box.web.get(f"/clinic/chart/{account}.json").json()


def test_a_charge_goes_out_byte_for_byte_and_onto_the_chart(box, engine) -> None:
    message = CHARGE.format(id="C1", account="A-BYTES")
    result = box.web.post(f"/clinic/send?to={engine[0]}&name=two lines", content=message).json()
    assert (result["ack_code"], result["msa2"], result["error"]) == ("AA", "C1", "")
    assert engine[1] == [message.encode()]
    chart = _chart(box, "A-BYTES")
    assert chart["patient"]["name"] == "Iris Pemberton"
    assert [(line["kind"], line["amount"]) for line in chart["lines"]] == [("charge", "148.00"), ("copay", "30.00")]
    assert (chart["owed"], chart["paid"], chart["balance"]) == ("30.00", "0.00", "30.00")


def test_an_upload_is_sent_as_its_part(box, engine) -> None:
    message = CHARGE.format(id="C2", account="A-UPLOAD").encode()
    box.web.post(f"/clinic/send?to={engine[0]}", files={"message": ("dft.hl7", message, "text/plain")})
    assert engine[1] == [message]


def test_nobody_there_is_told_and_the_chart_keeps_the_charge(box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        to = f"127.0.0.1:{free.getsockname()[1]}"
    answer = box.web.post(f"/clinic/send?to={to}", content=CHARGE.format(id="C3", account="A-ALONE"))
    assert answer.status_code == 502
    assert answer.json()["error"].startswith("no connection")
    assert _chart(box, "A-ALONE")["owed"] == "30.00"


def test_a_destination_elsewhere_is_refused(box) -> None:
    assert box.web.post("/clinic/send?to=192.0.2.7:2575", content="MSH|").status_code == 400


def test_a_payment_appears_on_the_chart(box, mllp, account) -> None:
    ack = mllp(_posting(account, id="P-1", transaction="TX-1")).decode().split("\r")
    header, msa = ack[0].split("|"), ack[1].split("|")
    assert header[2:6] == ["HIS", "LAKESIDE", "CHARTPOST", "LAKESIDE"]
    assert (header[8], header[10], header[11]) == ("ACK^P03^ACK", "P", "2.5.1")
    assert msa == ["MSA", "AA", "P-1"]
    chart = _chart(box, account)
    assert (chart["paid"], chart["balance"]) == ("30.00", "0.00")
    assert chart["lines"][-1]["kind"] == "payment"
    assert chart["lines"][-1]["reference"] == "pi_123"
    assert chart["postings"][0]["transaction"] == "TX-1"
    assert "Payment received (Card)" in box.web.get(f"/clinic/chart/{account}").text


def test_the_same_posting_again_is_accepted_and_counts_once(box, mllp, account) -> None:
    message = _posting(account)
    assert [b"MSA|AA" in mllp(message) for _ in range(3)] == [True, True, True]
    assert _chart(box, account)["paid"] == "30.00"


def test_a_known_transaction_in_a_new_message_is_refused(box, mllp, account) -> None:
    mllp(_posting(account, transaction="TX-2"))
    answer = mllp(_posting(account, transaction="TX-2"))
    assert b"MSA|AE" in answer
    assert b"205^Duplicate key identifier^HL70357" in answer
    assert _chart(box, account)["paid"] == "30.00"


@pytest.mark.parametrize(
    ("change", "code", "condition"),
    [
        (("PID|1||M77", "PID|1||M78"), b"AA", None),
        (("|P|2.5.1", "|T|2.5.1"), b"AR", b"202^"),
        (("DFT^P03^DFT_P03", "ADT^A01^ADT_A01"), b"AR", b"200^"),
        (("|PY|", "|CG|"), b"AE", b"103^"),
        (("30.00&USD", "abc&USD"), b"AE", b"102^"),
        (("30.00&USD", "NaN&USD"), b"AE", b"102^"),
        (("FT1|1", "ZFT|1"), b"AE", b"100^"),
    ],
)
def test_what_cannot_be_posted_is_refused_with_its_reason(box, mllp, account, change, code, condition) -> None:
    answer = mllp(_posting(account).replace(*change))
    assert b"MSA|" + code in answer
    if condition:
        assert condition in answer
        assert _chart(box, account)["postings"] == []


def test_an_unknown_account_is_204(mllp) -> None:
    answer = mllp(_posting("A-NOBODY"))
    assert b"MSA|AE" in answer
    assert b"ERR||PID^1^18|204^Unknown key identifier^HL70357|E" in answer


def test_before_2_5_the_error_is_one_field(mllp) -> None:
    assert b"ERR|PID^1^18^204&Unknown key identifier&HL70357\r" in mllp(_posting("A-NOBODY", version="2.3"))


def test_the_answer_speaks_with_the_senders_delimiters(mllp, account) -> None:
    swapped = (
        _posting(account, id="P-V").replace("^~\\&", "~|\\&").replace("|", "\0").replace("^", "~").replace("\0", "^")
    )
    # MSH-1 is "^" now, and components are parted by "~".
    message = swapped.replace("MSH^~^\\&", "MSH^~|\\&", 1)
    answer = mllp(message).decode().split("\r")
    assert answer[0].startswith("MSH^~|\\&^HIS^LAKESIDE")
    assert answer[1] == "MSA^AA^P-V"


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_refusal_on_purpose_changes_nothing(box, mllp, account, code) -> None:
    box.web.post(f"/_control/clinic/next?answer={code}")
    assert b"MSA|" + code.encode() in mllp(_posting(account))
    assert _chart(box, account)["paid"] == "0.00"


def test_a_commit_accept_is_ca_and_a_wrong_echo_is_wrong(box, mllp, account) -> None:
    box.web.post("/_control/clinic/next?answer=CA")
    assert b"MSA|CA|" in mllp(_posting(account))
    box.web.post("/_control/clinic/next?answer=wrong-msa2")
    answer = mllp(_posting(account, id="P-9"))
    assert b"MSA|AA|X" in answer
    assert b"P-9" not in answer


def test_silence_has_posted_and_a_closed_connection_has_not(box, mllp, account) -> None:
    box.web.post("/_control/clinic/next?answer=close")
    assert mllp(_posting(account)) == b""
    assert _chart(box, account)["paid"] == "0.00"
    box.web.post("/_control/clinic/next?answer=silence")
    with pytest.raises(TimeoutError):
        mllp(_posting(account, id="P-S"), wait=0.4)
    assert _chart(box, account)["paid"] == "30.00"
    entry = next(e for e in box.web.get("/_control/clinic/received").json() if e["control_id"] == "P-S")
    assert (entry["answer"], entry["applied"]) == ("silence", True)


def test_a_late_answer_is_late(box, mllp, account) -> None:
    box.web.post("/_control/clinic/next?answer=late&seconds=0.5")
    message = _posting(account)
    with pytest.raises(TimeoutError):
        mllp(message, wait=0.1)
    assert b"MSA|AA" in mllp(message)
    assert _chart(box, account)["paid"] == "30.00"


def test_split_and_glued_frames_are_read(box, account) -> None:
    host, _, port = box.mllp.partition(":")
    frames = b"".join(b"junk\x0bhalf\x0b" + _posting(account, amount="1.00").encode() + b"\x1c\r" for _ in range(3))
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        for start in range(0, len(frames), 97):
            connection.sendall(frames[start : start + 97])
        got = b""
        while got.count(b"\x1c\r") < 3:
            got += connection.recv(65536)
    assert got.count(b"MSA|AA") == 3
    assert _chart(box, account)["paid"] == "3.00"


def test_the_button_sends_a_visit_of_an_invented_patient(box, engine) -> None:
    box.web.post(f"/_control/clinic/send-to?to={engine[0]}")
    assert "Rosalind Abernathy" in box.web.get("/clinic").text
    assert box.web.post("/clinic/visit/L-20483").status_code == 303
    sent = engine[1][0].decode()
    assert "Lindqvist^Åke" in sent
    assert "555" in sent
    assert _chart(box, "L-20483")["owed"] == "20.00"
    assert "AA" in box.web.get("/clinic").text


def test_an_unknown_chart_is_404(box) -> None:
    assert box.web.get("/clinic/chart/none").status_code == 404
    assert box.web.get("/clinic/chart/none.json").status_code == 404
