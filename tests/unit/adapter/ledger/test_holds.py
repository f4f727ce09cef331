"""The work list: one open hold for an object and a cause, whoever opens it and however many do at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

from chartpost.adapter.ledger import holds, tables
from chartpost.adapter.ledger.store import Store

AWAY = ("notifier:mail", "not_reachable", "the mail server takes no messages", "check its address")


def opened(store: Store) -> int:
    with store.write() as tx:
        holds.add(tx, *AWAY)
        return 0


def rows(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(tables.hold.select().with_only_columns(tables.hold.c.state)))


def test_two_who_open_the_same_hold_at_once_open_one_and_both_go_on(store: Store) -> None:
    """Whoever failed here would not record what came of a call, and a person would be asked about it for nothing."""
    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            holds.add(tx, *AWAY)
            second = pool.submit(opened, store)
            wait([second], 0.1)
        assert second.result(10) == 0
    assert rows(store) == ["open"]


def test_what_was_settled_may_be_opened_again(store: Store) -> None:
    opened(store)
    with store.write() as tx:
        holds.close(tx, *AWAY[:2])
    opened(store)
    opened(store)
    assert rows(store) == ["done", "open"]
