"""Group commit: one turn of the loop, one transaction."""

from __future__ import annotations

import asyncio

import pytest

from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.ledger.intake import Intake, Row
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.committer import Committer


class Sender:
    """Someone who waits, and remembers what was heard."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def stored(self, receipts, fates) -> None:
        self.heard += [f"{fate.state} {receipt.row.control_id}" for receipt, fate in zip(receipts, fates, strict=True)]

    def not_stored(self) -> None:
        self.heard.append("not stored")

    def resume(self) -> None:
        self.heard.append("resume")


def receipt(control_id: str, state: str = "received", raw: bytes = b"MSH|") -> Receipt:
    row = Row("his", f"K{control_id}", control_id, "DFT^P03", "2.5", "lane", 10, raw, b"d", "AA", state, "", 0)
    return Receipt(row, None)


@pytest.fixture
def store(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/chartpost.db")
    yield store
    store.close()


def told(store: Store, story, **options) -> Committer:
    """Run a story with a committer, and return it when everything is committed."""

    async def run() -> Committer:
        committer = Committer(Intake(store), **options)
        story(committer)
        await committer.drained()
        committer.close()
        return committer

    return asyncio.run(run())


def test_all_frames_of_one_turn_share_a_transaction_and_each_hears_of_its_own(store):
    his, desk = Sender(), Sender()

    def story(committer):
        committer.put(his, [receipt("1"), receipt("2")])
        committer.put(desk, [receipt("3")])
        committer.put(his, [receipt("1")])

    committer = told(store, story)
    assert committer.commits == 1
    assert his.heard == ["received 1", "received 2", "duplicate 1"]
    assert desk.heard == ["received 3"]


def test_the_relay_is_woken_once_a_commit_and_only_when_there_is_work(store):
    woken: list[str] = []
    told(store, lambda c: [c.put(Sender(), [receipt(str(n))]) for n in range(3)], on_stored=lambda: woken.append("!"))
    told(store, lambda c: c.put(Sender(), [receipt("9", "ignored")]), on_stored=lambda: woken.append("!"))
    assert woken == ["!"]


def test_when_the_group_cannot_be_stored_everybody_in_it_hears_that(store):
    with store.write() as tx:
        tx.connection.exec_driver_sql("DROP TABLE message")
    his, desk = Sender(), Sender()

    def story(committer):
        committer.put(his, [receipt("1")])
        committer.put(his, [receipt("2")])
        committer.put(desk, [receipt("3")])

    committer = told(store, story)
    assert (his.heard, desk.heard) == (["not stored"], ["not stored"])
    assert (committer.commits, committer.failures) == (0, 1)


def test_too_much_waiting_asks_to_stop_reading_until_it_is_stored(store):
    his = Sender()
    answers: list[bool] = []

    def story(committer):
        answers.append(committer.put(his, [receipt("1", raw=b"x" * 60)]))
        answers.append(committer.put(his, [receipt("2", raw=b"x" * 60)]))

    told(store, story, limit=100)
    assert answers == [True, False]
    assert his.heard == ["received 1", "received 2", "resume"]


def test_one_sender_that_cannot_be_answered_does_not_silence_the_others(store):
    class Broken(Sender):
        def stored(self, receipts, fates) -> None:
            raise RuntimeError("the socket is on fire")

    broken, his = Broken(), Sender()

    def story(committer):
        committer.put(broken, [receipt("1")])
        committer.put(his, [receipt("2")])

    told(store, story)
    assert (broken.heard, his.heard) == (["not stored"], ["received 2"])
