"""Sealed columns: with a key, whoever gets the database file learns nothing of a patient."""

from __future__ import annotations

import os

import pytest
from cryptography.exceptions import InvalidTag
from workbench import dft, line

from chartpost.adapter.flow.asking import link
from chartpost.adapter.ledger import sealed, tables
from chartpost.adapter.ledger.sealed import Keyring

KEY, OTHER = b"k" * 32, b"o" * 32
CANARIES = [b"Quetzalcoatlus", b"CANARY-ACCOUNT", b"6085550142", b"Ornithology", b"M-CANARY", b"canary@example.org"]


def file_of(store) -> bytes:
    path = store.engine.url.database
    with store.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(
        open(path + suffix, "rb").read() for suffix in ("", "-wal", "-shm") if os.path.exists(path + suffix)
    )


def canary(bench):
    number = "CANARY-ACCOUNT"
    body = dft(
        line("CG", "40.00", "ORN-1", text="Ornithology", ref=number), account=number, name="Quetzalcoatlus^Quinn",
        phone="6085550142", guarantor="GT1|1|G1|Quetzalcoatlus^Paula|||^NET^Internet^canary@example.org",
    )  # fmt: skip
    row = bench.take(body)
    bench.take(dft(line("ZB", "1.00", text="Ornithology"), account=number, name="Quetzalcoatlus^Quinn"))
    bench.work()
    return row


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_sealed_database_file_holds_no_name_number_contact_or_service(bench):
    sealed.use(Keyring(b"search", KEY))
    row = canary(bench)
    assert row.state == "translated"
    content = file_of(bench.store)
    assert len(content) > 10_000
    assert [word for word in CANARIES if word in content] == []
    assert bench.one(tables.account).patient["family"] == "Quetzalcoatlus", "and with the key it is all there"


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_without_a_key_the_columns_are_plain_so_the_test_above_would_see_them(bench):
    canary(bench)
    content = file_of(bench.store)
    assert [word for word in CANARIES if word not in content] == []


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_no_link_can_be_opened_by_whoever_reads_the_database(bench, monkeypatch):
    from chartpost.adapter.flow.paying import card, pay

    canary(bench)
    token = bench.token()
    with bench.store.write() as tx:
        row = pay.find(tx.connection, token)
        session = card.insert_new(tx, bench.flow, row, {row.account_id: (row.id, 4000)}, "USD")
    assert bench.one(tables.card_session).public_id == session
    assert token.encode() not in file_of(bench.store)
    assert link.token_hash(token).encode() in file_of(bench.store)


def test_a_key_may_be_set_later_and_old_rows_still_read():
    plain = Keyring().seal(b"old")
    ring = Keyring(b"", KEY)
    assert ring.open(plain) == b"old"
    assert ring.open(ring.seal(b"new")) == b"new"
    assert ring.seal(b"new") != ring.seal(b"new"), "equal values do not look equal"


def test_a_missing_or_wrong_key_is_an_error_never_a_wrong_value():
    stored = Keyring(b"", KEY).seal(b"secret")
    with pytest.raises(ValueError, match="no sealing key"):
        Keyring().open(stored)
    with pytest.raises(InvalidTag):
        Keyring(b"", OTHER).open(stored)
    with pytest.raises(ValueError, match="no sealing key"):
        Keyring().open(b"\x07what is this")


def test_hash_columns_depend_on_the_key_and_keep_their_parts_apart():
    one, two = Keyring(b"one"), Keyring(b"two")
    assert one.search("a", "b") == one.search("a", "b")
    assert len({one.search("a", "b"), two.search("a", "b"), one.search("ab"), one.search("ab", "")}) == 4
    assert one.digest(b"ab", b"c") == one.digest(b"a", b"bc")
