"""Killed (SIGKILL) after each commit, before and after each publish, each call outside and each acknowledgement.

A first run without a kill tells which passages one story has. Then the story is lived once for each of them, killed
there, and started again plainly on the same data; crash.py says what must be true at the end.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crash import INVOICED, LOWERED, PAID, Life, Story, live
from killer import Passage

#: kind of point: (how its passages are told from the others, in how many tests they are killed)
KINDS: dict[str, tuple[Callable[[str], bool], int]] = {
    "after each commit": (lambda point: "the commit" in point, 4),
    "around each publish": (lambda point: " publish to " in point, 1),
    "around each call outside": (lambda point: " call " in point, 2),
    "around each broker acknowledgement": (lambda point: " ack " in point or " requeue " in point, 1),
    "around the ACK to the sender": (lambda point: " the ACK " in point, 1),
    "around each answer to a webhook or payer": (lambda point: " the answer " in point, 3),
}
PARTS = [pytest.param(kind, part, id=f"{kind} {part}") for kind, (_, parts) in KINDS.items() for part in range(parts)]
AT_ONCE = 4


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return live(tmp_path_factory.mktemp("undisturbed") / "story", PAID, None)


def test_an_undisturbed_story_passes_points_of_every_kind_and_ends_complete(undisturbed: Life) -> None:
    assert undisturbed.outcome == "complete"
    for mine, _ in KINDS.values():
        assert any(mine(point) for point, _ in undisturbed.passages)
    for point, _ in undisturbed.passages:
        assert sum(mine(point) for mine, _ in KINDS.values()) == 1, f"nobody kills {point!r}"


@pytest.mark.parametrize(("kind", "part"), PARTS)
def test_killed_anywhere_nothing_is_done_twice_and_nothing_is_silently_missing(
    kind: str, part: int, undisturbed: Life, tmp_path: Path
) -> None:
    mine, parts = KINDS[kind]
    passages = [passage for passage in undisturbed.passages if mine(passage[0])][part::parts]
    kill_at_each(PAID, passages, tmp_path)


@pytest.mark.parametrize("part", range(2))
def test_killed_while_an_open_card_page_is_closed_nobody_can_pay_too_much(part: int, tmp_path: Path) -> None:
    """From the second message at the door until the page of the old amount is closed."""
    passages = live(tmp_path / "undisturbed", LOWERED, None).passages
    first = passages.index(("after the commit at the MLLP door", 2))
    last = passages.index(("after ack chartpost.errand.expire", 1))
    kill_at_each(LOWERED, passages[first : last + 1][part::2], tmp_path)


#: What only the way of an Invoice passes.
OF_AN_INVOICE = re.compile(r"Invoice|FhirSender|fetch|settle|posting\.fhir")


@pytest.mark.parametrize("part", range(2))
def test_killed_on_the_way_of_an_invoice_the_same_holds(part: int, tmp_path: Path) -> None:
    """Where its way differs: the door, the fetching, the PaymentReconciliation, and the Invoice set to balanced."""
    undisturbed = live(tmp_path / "undisturbed", INVOICED, None)
    assert undisturbed.outcome == "complete"
    mine = [passage for passage in undisturbed.passages if OF_AN_INVOICE.search(passage[0])]
    assert len(mine) >= 15
    kill_at_each(INVOICED, mine[part::2], tmp_path)


def kill_at_each(story: Story, passages: list[Passage], folder: Path) -> None:
    """Live the story once for each passage, several at once."""

    def one(number: int) -> str:
        # Threads do not always pass in the same order: a passage may not come up in every life.
        try:
            died = any(live(folder / f"{number}-{life}", story, passages[number]).died for life in range(2))
        except Exception as error:
            return f"{passages[number]}:\n{''.join(traceback.format_exception(error))}"
        return "" if died else "missed"

    with ThreadPoolExecutor(AT_ONCE) as threads:
        problems = list(threads.map(one, range(len(passages))))
    wrong = [problem for problem in problems if problem not in ("", "missed")]
    assert not wrong, "\n".join(wrong)
    assert problems.count("missed") <= len(passages) // 5, "most kills did not happen"
