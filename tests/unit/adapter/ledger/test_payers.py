"""Which accounts have one payer: name and contact together, and never only one of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from workbench import dft, line

from chartpost.adapter.ledger import payers, tables


def contact(value, kind="phone"):
    return {"kind": kind, "value": value, "mobile": None}


def person(family="Sample", given="Silvia", *contacts):
    return {"family": family, "given": given, "contacts": [contact(one) for one in contacts]}


def owner(patient, guarantor=None, facility="lakeside", patient_only=False):
    return SimpleNamespace(facility=facility, patient=patient, guarantor=guarantor, patient_only=patient_only)


MAE = person("Sample", "Mae", "+16085550101", "+16085550102")


def joined(one, other):
    return bool(payers.keys(one) & payers.keys(other))


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (person("SAMPLE", " mae ", "+16085550102"), True),
        (person("Sample", "Mae", "+16085550199"), False),  # another one of this name
        (person("Other", "Mae", "+16085550101"), False),  # a number that belongs to two families
        (person("Sample", "Max", "+16085550101"), False),
        (person("Sample", "", "+16085550101"), False),
        (person("Sample", "Mae"), False),
    ],
)
def test_one_payer_is_a_name_with_a_number_that_goes_with_it(other, same):
    assert joined(owner(person("Sample", "Kim"), MAE), owner(other)) is same


def test_the_guarantor_pays_and_the_patients_own_number_says_nothing():
    child = person("Sample", "Kim", "+16085550101")
    assert not joined(owner(child, person("Sample", "Mae")), owner(child))
    assert not joined(owner(child, MAE), owner(child))


def test_no_account_is_joined_over_a_facility_or_after_a_confidential_visit():
    assert not joined(owner(MAE), owner(MAE, facility="hillside"))
    assert payers.keys(owner(MAE, patient_only=True)) == frozenset()
    assert payers.keys(owner(person("Sample", "Kim", "+16085550103"), MAE, patient_only=True)) == frozenset()


NAMES = st.sampled_from(["Mae", "Max", "mae", ""])
NUMBERS = st.sets(st.sampled_from(["+16085550101", "+16085550102", "+16085550103"]))


@given(NAMES, NAMES, NUMBERS, NUMBERS)
def test_whatever_the_names_and_numbers_accounts_are_joined_if_both_agree_and_else_never(one, two, here, there):
    same = bool(one) and one.casefold() == two.casefold() and bool(here & there)
    assert joined(owner(person("Sample", one, *here)), owner(person("Sample", two, *there))) is same


def known(bench):
    return {row.account_id: row.key for row in bench.rows(tables.account_payer)}


def test_the_keys_of_an_account_follow_its_people(bench):
    bench.take(dft(line("CG", "40.00", "A"), account="A-1"), dft(line("CG", "10.00", "B"), account="A-2"))
    first = known(bench)
    assert len(first) == 2
    assert len(set(first.values())) == 1, "one name and one number"
    with bench.store.read() as connection:
        assert sorted(connection.scalars(payers.joined(1))) == [1, 2]
    bench.take(dft(line("CG", "5.00", "C"), account="A-2", phone="6085550177"))
    assert known(bench)[1] == first[1]
    assert known(bench)[2] != first[2]
    bench.take(dft(line("CG", "5.00", "D"), account="A-2"))
    assert known(bench) == first
    keys = select(tables.account_payer.c.key)
    with bench.store.read() as connection:
        assert not any("sample" in key.casefold() or "555" in key for key in connection.scalars(keys))


def test_an_account_from_before_gets_its_keys_when_it_is_written_again(bench):
    bench.take(dft(line("CG", "40.00", "A"), account="A-1"))
    before = known(bench)
    with bench.store.write() as tx:
        tx.run(tables.account_payer.delete())
    bench.take(dft(line("CG", "5.00", "B"), account="A-1"))
    assert known(bench) == before
