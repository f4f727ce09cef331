"""A data directory with one whole story in its ledger: charged, asked, texted, paid, posted; and what went wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, insert

from chartpost.adapter.keys import data_keys
from chartpost.adapter.ledger import sealed, tables
from chartpost.adapter.ledger.store import Store, sqlite_url

START = dt.datetime(2026, 3, 9, 15, 15, tzinfo=dt.UTC)
PATIENT = {
    "role": "patient",
    "family": "Halloran",
    "given": "Maeve",
    "contacts": [{"kind": "phone", "value": "+16085550111", "mobile": True}],
}
FRAME = b"MSH|^~\\&|HIS|LAKESIDE|||20260309||DFT^P03|LK1|P|2.5.1\rPID|1||M1||Halloran^Maeve\rFT1|1||||||\rFT1|2||||||\r"


def at(seconds: float) -> dt.datetime:
    return START + dt.timedelta(seconds=seconds)


def _message(number: int, **other: Any) -> dict[str, Any]:
    row = {
        "id": number, "source": "his", "parent_id": None, "control_key": "HIS|LAKESIDE|LK1", "control_id": "LK1",
        "type": "DFT^P03", "version": "2.5.1", "lane": "lane", "received_at": at(number), "raw": FRAME, "digest": b"d",
        "ack_code": "AA", "state": "translated", "reason": "", "map": "hl7v2-dft", "trace": None,
        "done_at": at(number + 0.5),
    }  # fmt: skip
    return row | other


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory. Made once: who uses it only reads."""
    data = tmp_path_factory.mktemp("story") / "data"
    keys = data_keys(data)
    before = sealed.keyring()
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(sqlite_url(data))
    trace = [
        {"target": "charges[1].amount", "path": "FT1[1]-11", "raw": "45.00&USD", "value": "45.00 USD"},
        {"target": "charges[1]", "path": "FT1[1]", "raw": "", "value": "counted: a co-payment (share: copay)"},
        {"target": "patient.family", "path": "PID-5.1", "raw": "Halloran", "value": "Halloran"},
    ]
    rows: list[tuple[Table, dict[str, Any]]] = [
        (tables.message, _message(1, trace=trace, reason="1 of 2 lines count")),
        (tables.message, _message(2, state="duplicate", parent_id=1, done_at=None)),
        (tables.message, _message(3, control_id="LK2", state="held", reason="FT1[1]-6: code ZB is unknown")),
        (tables.account, {
            "id": 1, "key": "key", "source": "his", "facility": "lakeside", "number": b"K-30101", "currency": "USD",
            "balance": 0, "patient": PATIENT, "guarantor": None, "chart": {"PID-5": "Halloran^Maeve"},
            "created_at": at(1.5),
        }),
        (tables.request, {
            "id": 1, "public_id": "R00000000001", "account_id": 1, "state": "paid", "asked": 0, "generation": 1,
            "token_hash": "hash", "opened_at": at(1.5), "expires_at": None, "closed_at": at(60),
        }),
        (tables.notice, {
            "id": 1, "public_id": "N00000000001", "request_id": 1, "channel": "sms", "notifier": "sms",
            "recipient": b"+16085550111", "state": "delivered", "provider_ref": "SM1", "code": "", "created_at": at(2),
            "changed_at": at(3),
        }),
        (tables.card_session, {
            "id": 1, "public_id": "C00000000001", "account_id": 1, "request_id": 1, "provider": "card",
            "state": "complete", "amount": 4500, "currency": "USD", "provider_ref": "cs_test_1", "url": "",
            "success_url": "", "cancel_url": "", "expires_at": at(2000), "created_at": at(50),
        }),
        (tables.event, {
            "id": 1, "provider": "card", "event_id": "evt_1", "type": "paid", "reference": "C00000000001",
            "state": "applied", "reason": "", "raw": b'{"id": "evt_1"}', "at": at(60),
        }),
        (tables.payment, {
            "id": 1, "public_id": "M0000000000X", "account_id": 1, "request_id": 1, "card_session_id": 1,
            "provider": "card", "provider_ref": "pi_1", "amount": 4500, "currency": "USD", "medium": "card/visa",
            "paid_at": at(59),
        }),
        (tables.entry, {
            "id": 1, "account_id": 1, "cause": "message:1:1", "kind": "copay", "amount": 4500, "message_id": 1,
            "payment_id": None, "text": b"Specialist co-payment", "at": at(1.5),
        }),
        (tables.entry, {
            "id": 2, "account_id": 1, "cause": "payment:1", "kind": "card", "amount": -4500, "message_id": None,
            "payment_id": 1, "text": None, "at": at(60),
        }),
        (tables.posting, {
            "id": 1, "public_id": "P00000000001", "payment_id": 1, "destination": "chart", "kind": "payment",
            "state": "refused", "control_id": "P00000000001", "content_type": "application/hl7-v2", "body": FRAME,
            "answer_code": "AE", "answer_text": "FT1-7: table value not found", "answer": b"MSH|", "created_at": at(60),
            "changed_at": at(61),
        }),
        (tables.attempt, {
            "id": 1, "subject": "posting:P00000000001", "started_at": at(60.5), "ended_at": at(61), "outcome": "done",
            "detail": "",
        }),
        (tables.attempt, {
            "id": 2, "subject": "card_session:C00000000001/create", "started_at": at(50), "ended_at": None,
            "outcome": "", "detail": "",
        }),
        (tables.consent, {
            "id": 1, "key": "of-a-number", "channel": "sms", "purpose": "billing", "scope": "facility:lakeside",
            "state": "granted", "origin": "chart", "evidence": "M1", "by": "", "at": at(1.5),
        }),
        (tables.hold, {
            "id": 1, "object": "message:3", "cause": "unreadable_line", "text": "FT1[1]-6: code ZB is unknown",
            "fix": "add ZB to the map's table", "state": "open", "at": at(3.5), "closed_at": None,
        }),
        (tables.hold, {
            "id": 2, "object": "posting:P00000000001", "cause": "refused", "text": "the destination refused it",
            "fix": "map the code, then post it again", "state": "open", "at": at(61), "closed_at": None,
        }),
        (tables.errand, {
            "id": 1, "kind": "deliver", "subject": "P00000000001", "lane": "deliver:chart", "state": "done",
            "due_at": at(60), "leased_until": None, "attempts": 1, "error": "", "created_at": at(60), "done_at": at(61),
        }),
    ]  # fmt: skip
    with store.write() as tx:
        for table, row in rows:
            tx.connection.execute(insert(table), [row])
    store.close()
    sealed.use(before)
    return data
