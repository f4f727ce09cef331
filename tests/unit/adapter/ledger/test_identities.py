"""By which record numbers an account is known: in step with its PID-3, and found for accounts from before."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from workbench import Workbench, dft, line

from chartpost.adapter.ledger import identities, tables
from chartpost.mappings.model import Identifier


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "_AT_ONCE", 2)


def known(bench: Workbench) -> set[tuple[int, str]]:
    return {(row.account_id, row.key) for row in bench.rows(tables.account_identity)}


def test_accounts_from_before_get_their_identities_once_and_in_steps(bench: Workbench) -> None:
    bench.take(*(dft(line("CG", "5.00"), account=f"A-{number}") for number in range(5)))
    wanted = known(bench)
    with bench.store.write() as tx:
        tx.run(tables.account_identity.delete().where(tables.account_identity.c.account_id != 2))
    assert identities.backfill(bench.store) == 5
    assert known(bench) == wanted
    assert len(wanted) == 5
    with bench.store.write() as tx:
        tx.run(tables.account_identity.delete())
    assert (identities.backfill(bench.store), known(bench)) == (0, set()), "it was done once"


def test_a_step_that_was_cut_off_goes_on_where_it_was(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.take(*(dft(line("CG", "5.00"), account=f"A-{number}") for number in range(5)))
    wanted = known(bench)
    with bench.store.write() as tx:
        tx.run(tables.account_identity.delete())
    looked, made = [], identities.of_chart

    def cut_off(source: str, chart: dict[str, str]) -> frozenset[str]:
        looked.append(chart["PID-18"])
        if len(looked) == 4:
            raise KeyboardInterrupt
        return made(source, chart)

    with monkeypatch.context() as patch:
        patch.setattr(identities, "of_chart", cut_off)
        with pytest.raises(KeyboardInterrupt):
            identities.backfill(bench.store)
    assert len(known(bench)) == 2, "the first step is kept"
    assert (identities.backfill(bench.store), known(bench)) == (3, wanted)


@pytest.mark.parametrize("store", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_two_processes_that_start_together_both_come_up(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.take(dft(line("CG", "5.00")))
    wanted, made, both = known(bench), identities.of_chart, threading.Barrier(2)

    def at_once(source: str, chart: dict[str, str]) -> frozenset[str]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(3)
        return made(source, chart)

    monkeypatch.setattr(identities, "of_chart", at_once)
    with ThreadPoolExecutor(2) as pool:
        started = [pool.submit(identities.backfill, bench.store) for _ in range(2)]
    assert [one.exception() for one in started] == [None, None]
    assert known(bench) == wanted


def test_an_account_whose_charges_name_another_record_is_known_by_that_one_alone(bench: Workbench) -> None:
    bench.take(dft(line("CG", "5.00", "A")))
    bench.take(dft(line("CG", "6.00", "B")).replace(b"M-A-1^^^LAKESIDE^MR", b"M-7^^^LAKESIDE^MR~E-7^^^EMPI^PI"))
    numbers = [Identifier(value="M-7", authority="LAKESIDE"), Identifier(value="E-7", authority="EMPI")]
    assert {key for _, key in known(bench)} == identities.keys("all", numbers)


def test_an_account_is_found_by_any_of_its_numbers_and_only_at_its_source(bench: Workbench) -> None:
    bench.take(dft(line("CG", "5.00")).replace(b"M-A-1^^^LAKESIDE^MR", b"M-7^^^LAKESIDE^MR~E-7^^^EMPI^PI"))
    key = bench.one(tables.account).key
    with bench.store.write() as tx:
        for number in (("M-7", "LAKESIDE"), ("E-7", "EMPI")):
            one = [Identifier(value=number[0], authority=number[1])]
            assert identities.accounts(tx, identities.keys("all", one)) == [key]
            assert identities.accounts(tx, identities.keys("copay", one)) == []
        assert identities.accounts(tx, []) == []
