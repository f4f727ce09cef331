"""Every name in docs/reference/queues.md is one that the code uses, and none that it uses is missing there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from chartpost.adapter.flow import TRANSLATE, worker
from chartpost.adapter.flow.posting import receipt
from chartpost.adapter.ledger import errands
from chartpost.adapter.listeners.broker import Unheard
from chartpost.mappings import codecs
from chartpost.mappings.hl7.answer import MEANS
from chartpost.mappings.receipt import STATES, NoReceipt
from chartpost.queues.consumer import DEAD_ORIGIN, DEAD_REASON
from chartpost.queues.publisher import connect
from chartpost.queues.topology import DELIVERY_LIMIT, Topology

TEXT = (Path(__file__).parents[2] / "docs/reference/queues.md").read_text("utf-8")
NAMES = Topology("chartpost", ("KIND",), (("DESTINATION", "FORMAT"),), ("DESTINATION",), ("SOURCE",))


def table(heading: str) -> Iterator[list[str]]:
    """The cells of every row below a heading, without the head."""
    found = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    lines = [line for line in found[1].splitlines() if re.match(r"\| (?!---)", line)]
    return iter([cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines)


def first_words(heading: str) -> set[str]:
    return {word for cells in table(heading) for word in re.findall(r"^`([^`]+)`", cells[0])}


def test_the_exchanges_and_queues_are_those_of_the_topology():
    assert first_words("Exchanges") == {NAMES.exchange, NAMES.dead}
    rows = {cells[0].strip("`"): cells[1].strip("`") for cells in table("Queues") if "`" in cells[0]}
    queues = {name: exchange for name, exchange in rows.items() if not name.startswith("x-")}
    assert queues == {name: NAMES.exchange_for(name) for name in NAMES.names}


def test_the_kinds_are_all_that_are_woken():
    kinds = re.search(r"KIND is one of ([\w,\s]+);", TEXT)
    assert kinds is not None
    assert set(kinds[1].replace(" and", ",").replace(",", " ").split()) == set(worker.GROUPS)


def test_the_arguments_are_those_that_are_declared():
    told = {cells[0].strip("`"): cells[1] for cells in table("Queues") if cells[0].startswith("`x-")}
    connection = SimpleNamespace(transport=SimpleNamespace(driver_type="amqp"))
    charge, dead = NAMES.queues([NAMES.charge("SOURCE"), NAMES.dead], connection)  # type: ignore[arg-type]
    assert told.keys() == charge.queue_arguments.keys()
    for name, value in charge.queue_arguments.items():
        assert re.findall(r"`([^`]+)`", told[name])[0] == str(value)
    limit = re.findall(r"`([^`]+)`", told["x-delivery-limit"])
    assert limit == [str(DELIVERY_LIMIT), str(dead.queue_arguments["x-delivery-limit"])]
    assert f"after {DELIVERY_LIMIT} deliveries" in TEXT


def test_the_content_types_are_those_of_the_serializers_and_of_our_own_words():
    assert first_words("Content types") == {codecs.HL7_TYPE, codecs.FHIR_TYPE, "application/json", "text/plain"}


def test_a_wake_up_carries_what_the_reference_says():
    row = SimpleNamespace(destination="chart", body=b"MSH", content_type=codecs.HL7_TYPE, public_id="P", control_id="C")
    flow = SimpleNamespace(
        outbound={"chart": SimpleNamespace(format="hl7v2")},
        settings=SimpleNamespace(destinations={"chart": SimpleNamespace(type="mllp")}),
    )
    carried = worker._carry(flow, NAMES, errands.Head(1, "deliver", "P"), row).envelope  # type: ignore[arg-type]
    headers = {
        word for cells in table("Properties and headers") if cells[0] == "a posting"
        for word in re.findall(r"header `([^`]+)`", cells[1])
    }  # fmt: skip
    assert headers == set(carried.headers)
    assert (carried.message_id, carried.correlation_id, carried.headers["kind"]) == ("P", "C", "deliver")
    assert worker._wake(NAMES, TRANSLATE, "1").envelope.content_type == "text/plain"


def test_what_the_dead_carry_and_why_they_died_is_told():
    told = {word for cells in table("Properties and headers") for word in re.findall(r"header `(dead[^`]+)`", cells[1])}
    assert told == {DEAD_REASON, DEAD_ORIGIN}
    ours = {one.__name__ for one in (Unheard, NoReceipt, receipt.UnknownPosting)}
    assert first_words("The dead queue") - {DEAD_REASON} == ours


@pytest.mark.parametrize("code", MEANS)
def test_every_acknowledgement_code_stands_with_its_meaning(code):
    [row] = [cells for cells in table("Receipts") if "acknowledgement" in cells[0]]
    meanings = dict.fromkeys(re.findall(r"`(\w+)`", row[2]))
    assert tuple(sorted(meanings)) == tuple(sorted(STATES))
    groups = re.findall(r"((?:[A-Z]{2}[, ]*(?:and )?)+)`(\w+)`", row[2])
    assert [state for codes, state in groups if code in codes] == [MEANS[code]]


def test_the_names_hold_where_they_are_declared():
    with connect("memory://") as connection:
        NAMES.declare(connection)
        with connection.channel() as channel:
            for name in NAMES.names:
                assert channel.queue_declare(name, passive=True).message_count == 0
