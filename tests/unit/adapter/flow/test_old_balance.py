"""share: balance. An engine sends an old message once more: the balance in it is no longer what is owed."""

from __future__ import annotations

import pytest
from workbench import Workbench, configuration

from chartpost.adapter.ledger import tables


@pytest.fixture
def river(bench: Workbench) -> Workbench:
    own = bench.flow.settings.sources["all"].model_dump(mode="json") | {
        "share": "balance", "map": "hl7v2-dft-balance-zbl"
    }  # fmt: skip
    bench.use(configuration(sources={"all": own}))
    return bench


def stated(balance: str, recorded: str, control_id: str, sent: str = "20260504120000") -> bytes:
    segments = [
        f"MSH|^~\\&|HIS|RIVER|CHARTPOST|DOOR|{sent}||DFT^P03|{control_id}|P|2.4",
        f"EVN|P03|{recorded}",
        "PID|1||M1||Sample^Silvia||19800101|F|||||(608) 555-0101|||||K-1",
        f"ZBL|1|{balance}",
    ]
    return "".join(segment + "\r" for segment in segments).encode()


def asked(bench: Workbench) -> list[int]:
    return [row.asked for row in bench.rows(tables.request, state="open")]


def test_an_old_balance_that_is_higher_is_held_and_says_why(river):
    river.take(stated("90.00", "20260504100000", "A1"), stated("20.00", "20260504110000", "A2"))
    old = river.take(stated("90.00", "20260504100000", "A3"))
    assert (old.state, river.holds(), asked(river)) == ("held", ["balance_in_doubt"], [2000])
    assert "M2" in river.one(tables.hold).text


def test_an_old_balance_that_is_lower_is_taken_because_nobody_pays_too_much_by_it(river):
    river.take(stated("20.00", "20260504100000", "A1"), stated("90.00", "20260504110000", "A2"))
    assert river.take(stated("20.00", "20260504100000", "A3")).state == "translated"
    assert asked(river) == [2000]


@pytest.mark.parametrize("recorded", ["20260504110000", "20260504", "", "soon"])
def test_what_is_not_certainly_older_counts_in_the_order_in_which_it_came(river, recorded):
    river.take(stated("20.00", "20260504110000", "A1"))
    river.take(stated("90.00", recorded, "A2"))
    assert (river.holds(), asked(river)) == ([], [9000])
