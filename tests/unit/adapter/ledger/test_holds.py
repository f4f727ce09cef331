"""The work list: one open hold for an object and a cause, whoever opens it and however many do at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import dft, line

from chartpost.adapter.ledger import holds, tables
from chartpost.adapter.ledger.store import Store
from chartpost.mappings import er7, mapfile
from chartpost.mappings.model import Problem
from chartpost.mappings.read import Unreadable, read

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


# ------------------------------------------------------------------------------------------------ which are alike


def problems(*lines: str) -> list[Problem]:
    """What the shipped map finds wrong with a message of these lines."""
    with pytest.raises(Unreadable) as found:
        read(er7.parse(dft(*lines)), mapfile.load("hl7v2-dft"), currency="USD", region="US", timezone="UTC")
    return list(found.value.problems)


def alike(*lines: str) -> str:
    return holds.likeness("unreadable_line", "his", problems(*lines))


def test_an_unknown_code_is_one_group_wherever_it_stands() -> None:
    assert alike(line("ZB", "40.00")) == "unreadable_line his kinds ZB"
    assert alike(line("CG", "1.00"), line("ZB", "7.00"), line("ZB", "8.00")) == "unreadable_line his kinds ZB"
    assert alike(line("ZC", "40.00")) != alike(line("ZB", "40.00"))
    assert holds.unknown_code(problems(line("ZB", "40.00"))[0]) == ("kinds", "ZB")


def test_a_wrong_value_is_alike_by_its_path_and_what_is_wrong_and_the_value_is_left_out() -> None:
    first, second = alike(line("CG", "12,3,4")), alike(line("CG", "1.00"), line("CG", "9,8,7"))
    assert first == second == "unreadable_line his FT1-11 is not an amount"


def test_what_two_changes_mend_is_another_group() -> None:
    both = alike(line("ZB", "1.00"), line("ZC", "1.00"))
    assert both == alike(line("ZC", "2.00"), line("ZB", "3.00")) == "unreadable_line his kinds ZB; kinds ZC"


def test_a_refusal_is_alike_by_destination_and_code() -> None:
    assert holds.likeness("refused", "chart", ["AE"]) == "refused chart AE"
    assert holds.likeness("refused", "chart", [""]) == holds.likeness("refused", "chart") == "refused chart"


@given(
    value=st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"'), min_size=3).filter(
        lambda text: text not in "unreadable_line his FT1-4 is no good"
    ),
    number=st.integers(1, 9),
)
def test_no_likeness_holds_a_value(value: str, number: int) -> None:
    told = holds.likeness("unreadable_line", "his", [Problem(path=f"FT1[{number}]-4", cause=f'"{value}" is no good')])
    assert told == "unreadable_line his FT1-4 is no good"


def test_a_hold_keeps_its_likeness(store: Store) -> None:
    with store.write() as tx:
        holds.add(tx, *AWAY, "not_reachable mail")
        holds.add_new(tx, [("request:R1", "no_phone", "nobody has a phone", "add one", "no_phone his")])
    with store.read() as connection:
        assert list(connection.scalars(tables.hold.select().with_only_columns(tables.hold.c.likeness))) == [
            "not_reachable mail", "no_phone his",
        ]  # fmt: skip
