"""Pages of a search: whatever a server does, what has changed is seen, nothing old is, and it ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chartpost.mappings.fhir import paging
from chartpost.mappings.fhir.paging import Progress, Turned, begun, progress, question, turned, unfit
from chartpost.mappings.fhir.state import last_updated, older, same, written

NOON = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)
OVERLAP = dt.timedelta(minutes=5)


def minute(number: float) -> dt.datetime:
    return NOON + dt.timedelta(minutes=number)


def invoice(id: object, at: float | None = None, version: str = "1", **more: Any) -> dict[str, Any]:
    meta = {"versionId": version} | ({} if at is None else {"lastUpdated": written(minute(at))})
    return {"resourceType": "Invoice", "id": str(id), "meta": meta, **more}


def page(*found: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in found], **more}


START = begun(Progress(NOON), OVERLAP)


def test_a_round_asks_from_a_while_before_the_last_change_that_is_known() -> None:
    assert question(START, "status=issued") == (
        "Invoice?status=issued&_lastUpdated=ge2026-05-04T11:55:00.000Z&_sort=_lastUpdated&_count=50"
    )
    assert question(START, "").startswith("Invoice?_lastUpdated=")
    assert begun(START, dt.timedelta(days=9)) is START, "a round that has begun goes on as it was"


def test_the_next_round_begins_with_the_servers_own_newest_time() -> None:
    at, finished, wrong = turned(START, page(invoice(1, 1), invoice(2, 2)), "", minute(60))
    assert (at, finished, wrong) == (Progress(minute(2)), True, "")
    assert turned(begun(at, OVERLAP), page(), "", minute(90)).progress == at, "where nothing is new it stays"


def test_a_time_in_the_future_does_not_hide_what_comes_until_then() -> None:
    assert turned(START, page(invoice(1, 1), invoice(2, 500_000)), "", minute(3)).progress.since == minute(3)


def test_without_times_the_servers_clock_counts() -> None:
    linked = {"link": [{"relation": "self", "url": "/Invoice?_lastUpdated=ge2026"}]}
    assert unfit(START, page(invoice(1), **linked)) == ""
    assert turned(START, page(invoice(1), **linked), "", minute(7)).progress.since == minute(7)


@pytest.mark.parametrize(
    "shown",
    [
        page(invoice(1, -60 * 24)), page(invoice(1, 1), invoice(2, -10)), page(invoice(1)),
        page(invoice(1), link=[{"relation": "self", "url": "Invoice?status=issued"}]),
    ],
)  # fmt: skip
def test_a_server_that_passes_over_the_time_is_not_believed(shown: dict[str, Any]) -> None:
    assert "_lastUpdated" in unfit(START, shown) or "changed" in unfit(START, shown)
    assert unfit(START, page(invoice(1, -5))) == ""


def test_progress_is_kept_page_by_page_where_they_come_in_order() -> None:
    first = turned(START, page(invoice(1, 1), invoice(2, 2)), "page2", minute(9)).progress
    assert (first.next, first.since, first.asked) == ("page2", minute(2), START.asked)
    second = turned(first, page(invoice(3, 1.5)), "page3", minute(9)).progress
    assert (second.next, second.since) == ("page3", minute(2)), "out of order: no further"
    assert turned(second, page(invoice(4, 4)), "", minute(9)) == Turned(Progress(minute(4)), True)
    unsorted = turned(START, page(invoice(2, 2), invoice(1, 1)), "page2", minute(9)).progress
    assert unsorted.since == NOON


def test_what_is_stored_is_what_was_reached() -> None:
    at = turned(START, page(invoice(1, 1.0001)), "https://ehr.example.org/fhir?page=2&x=ü", minute(9)).progress
    assert progress(at.text()) == at
    assert progress(Progress(NOON).text()) == Progress(NOON)


def test_pages_without_end_end() -> None:
    at = START._replace(pages=paging.PAGES - 1)
    found = turned(at, page(invoice(1, 1)), "more", minute(9))
    assert (found.finished, found.progress) == (True, Progress(minute(1)))
    assert "no end" in found.wrong


def test_a_full_page_without_a_next_one_is_asked_on_from_its_end() -> None:
    shown = [invoice(number, number / 10) for number in range(paging.COUNT)]
    found = turned(START, page(*shown), "", minute(9))
    assert (found.finished, found.progress.asked, found.wrong) == (False, minute(4.9), "")
    assert turned(START, page(*shown[:3], total=9), "", minute(9)).progress.asked == minute(0.2), (
        "it says there is more"
    )
    tied = turned(found.progress, page(*[invoice(number, 4.9) for number in range(paging.COUNT)]), "", minute(9))
    assert (tied.finished, tied.progress.size) == (False, paging.COUNT * 4), "all at one instant: more of them at once"
    most = tied.progress._replace(size=paging.MOST)
    assert turned(most, page(*[invoice(n, 4.9) for n in range(paging.MOST)]), "", minute(9)).wrong
    assert turned(START, page(*reversed(shown)), "", minute(9)).wrong, "in what order, it does not say"


# ---------------------------------------------------------------------------------------------- servers of all kinds

Server = Callable[[Progress, list[dict[str, Any]]], tuple[dict[str, Any], str]]


def linking(size: int) -> Server:
    """A server with next links, whose page is the place in the list."""

    def answer(at: Progress, known: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
        there = [one for one in known if at.asked is None or last_updated(one) >= at.asked]  # type: ignore[operator]
        start = int(at.next or 0)
        return page(*there[start : start + size], total=len(there)), str(start + size) * (start + size < len(there))

    return answer


def without_links(at: Progress, known: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """A server that shows the beginning, and no more."""
    there = [one for one in known if at.asked is None or last_updated(one) >= at.asked]  # type: ignore[operator]
    return page(*there[: at.size], total=len(there)), ""


@pytest.mark.parametrize("server", [linking(1), linking(7), without_links])
@given(times=st.lists(st.integers(0, 40), max_size=120), late=st.lists(st.integers(0, 200), max_size=60))
def test_every_change_is_seen_whatever_the_server_calls_a_page(
    server: Server, times: list[int], late: list[int]
) -> None:
    known = sorted((invoice(number, at) for number, at in enumerate(times)), key=lambda one: str(last_updated(one)))
    at, seen = Progress(NOON), set[str]()
    for more in ([], [invoice(f"late{number}", 41 + at) for number, at in enumerate(sorted(late))]):
        known += more
        finished = False
        for _ in range(400):
            at = begun(at, OVERLAP)
            shown, next = server(at, known)
            assert unfit(at, shown) == ""
            seen |= {one["id"] for one in paging.invoices(shown)}
            at, finished, wrong = turned(progress(at.text()), shown, next, minute(1000))
            assert wrong == ""
            if finished:
                break
        assert finished, "it ends"
    assert seen == {one["id"] for one in known}


def test_states_of_one_resource_are_told_apart_as_their_server_numbers_them() -> None:
    one = invoice(1, 1, "1", status="issued")
    assert same(one, invoice(1, 1, "1", status="issued"))
    assert same(one, {key: value for key, value in one.items() if key != "meta"}), "the same content, unnumbered"
    assert same(one, invoice(1, None, "1", status="balanced")), "the version decides, where only one says when"
    assert not same(one, invoice(1, 2, "1", status="balanced")), "a server that counts anew"
    assert not same(one, invoice(1, 2, "2", status="balanced"))
    assert older(one, invoice(1, 2, "2"))
    assert not older(invoice(1, 2, "1"), invoice(1, 1, "9")), "the time is stronger"
    assert older(invoice(1, None, "9"), invoice(1, None, "10"))
    assert not older(invoice(1, None, "abc"), invoice(1, None, "abd"))
