"""What a server says through a subscription, in each version's own words; and what was heard of it so far."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notices import FORMS, NOON, bundle, notice

from chartpost.mappings.fhir import versions
from chartpost.mappings.fhir.heard import Heard, advance, heard
from chartpost.mappings.fhir.notification import EVENT, HANDSHAKE, HEARTBEAT, KINDS, Event, Notification, notification

every_form = pytest.mark.parametrize("form", FORMS)


def event(number: int, at: int | None = None, focus: str = "") -> Event:
    return Event(number, focus, None if at is None else NOON + dt.timedelta(minutes=at))


def told(*events: Event, counted: int | None = None, kind: str = EVENT) -> Notification:
    return Notification("Subscription/3", kind, "active", counted, events)


# ------------------------------------------------------------------------------------------------------------ reading


@every_form
def test_the_same_event_is_read_alike_from_every_version(form: str) -> None:
    found = notification(notice(form, EVENT, (4, "Invoice/17"), (5, "Invoice/18"), counted=5))
    assert found is not None
    assert found == Notification(
        "https://ehr.example.org/fhir/Subscription/3", EVENT, "active", 5,
        (Event(4, "Invoice/17", NOON), Event(5, "Invoice/18", NOON)),
    )  # fmt: skip
    assert found.tells


@every_form
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_notification_is_valid_fhir_and_is_known(form: str, kind: str) -> None:
    said = notice(form, kind, counted=2)
    # By the classes alone: FHIR writes an integer64 as a text, and they take it so; versions.check would have a number.
    # Parameters and their names are a profile of an implementation guide, not of FHIR.
    for resource in (said, said["entry"][0]["resource"]):
        versions.root(form, resource["resourceType"]).model_validate(resource)
    found = notification(said)
    assert found is not None
    assert (found.kind, found.counted, found.tells) == (kind, 2, kind in (EVENT, "query-event"))


@pytest.mark.parametrize(
    "plain",
    [
        bundle("history", {"resource": {"resourceType": "Invoice"}}), bundle("history"), bundle("history", {}),
        bundle("collection", *notice("R4", HANDSHAKE)["entry"]), {"type": "history", "entry": 7},
        bundle("history", {"resource": {"resourceType": "Parameters", "parameter": [{"name": "type"}]}}),
        bundle("history", {"resource": {"resourceType": "SubscriptionStatus", "type": "sometimes"}}),
    ],
)  # fmt: skip
def test_a_bundle_that_does_not_begin_with_a_status_is_no_notification(plain: dict[str, Any]) -> None:
    assert notification(plain) is None


def test_an_event_without_a_time_has_that_of_its_notification() -> None:
    said = notice("R5", EVENT, (1, "Invoice/17"))
    del said["entry"][0]["resource"]["notificationEvent"][0]["timestamp"]
    assert notification(said).events[0].at == NOON  # type: ignore[union-attr]
    del said["timestamp"]
    assert notification(said).events[0].at is None  # type: ignore[union-attr]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PART = st.fixed_dictionaries({}, optional={"name": st.sampled_from(["type", "event-number"]) | ANY, "valueCode": ANY})
STATUS = st.fixed_dictionaries(
    {"resourceType": st.sampled_from(["Parameters", "SubscriptionStatus"])},
    optional={"type": st.sampled_from(KINDS) | ANY, "parameter": st.lists(PART) | ANY, "notificationEvent": ANY,
              "subscription": ANY, "eventsSinceSubscriptionStart": ANY},
)  # fmt: skip


@given(st.fixed_dictionaries({"type": st.just("history"), "entry": ANY | st.lists(st.fixed_dictionaries(
    {"resource": STATUS | ANY}), max_size=2)}, optional={"timestamp": ANY}))  # fmt: skip
def test_whatever_a_server_says_is_understood_or_is_no_notification(said: dict[str, Any]) -> None:
    found = notification(said)
    if found is not None:
        advance(advance(None, found).heard, found)


# ---------------------------------------------------------------------------------------------------- what was heard


def test_events_in_their_order_are_news_and_nothing_is_missing() -> None:
    now = advance(None, told(kind=HANDSHAKE, counted=0)).heard
    for number in (1, 2, 3):
        step = advance(now, told(event(number, number), counted=number))
        assert (step.fresh, step.gap) == (True, False)
        now = step.heard
    assert now.last == 3
    assert not now.missing


def test_the_same_event_again_is_no_news_however_it_is_repeated() -> None:
    now = Heard(7, (), NOON + dt.timedelta(minutes=7))
    for again in (
        told(event(5, 5), counted=5),
        told(event(5, 5), counted=7),
        told(event(7, 7)),
        told(event(5, 9), counted=9),
    ):
        step = advance(now, again)
        assert (step.fresh, step.gap, step.heard) == (False, False, now)


def test_a_number_that_was_passed_over_is_a_gap_until_it_comes_late() -> None:
    step = advance(Heard(3, (), NOON), told(event(6, 6), counted=6))
    assert (step.fresh, step.gap, step.heard.missing) == (True, True, ((4, 5),))
    late = advance(step.heard, told(event(5, 5), counted=6))
    assert (late.fresh, late.gap, late.heard.missing) == (True, False, ((4, 4),))
    again = advance(late.heard, told(event(5, 5), counted=6))
    assert not again.fresh
    assert advance(again.heard, told(event(4, 4))).heard.missing == ()


def test_a_heartbeat_that_has_counted_further_shows_a_gap() -> None:
    assert advance(Heard(3), told(kind=HEARTBEAT, counted=3)).gap is False
    step = advance(Heard(3), told(kind=HEARTBEAT, counted=5))
    assert (step.fresh, step.gap, step.heard) == (False, True, Heard(5, ((4, 5),)))
    assert advance(step.heard, told(kind=HEARTBEAT, counted=5)).gap is False, "it is told once"


def test_a_count_that_begins_again_is_told_from_a_repetition() -> None:
    now = Heard(7, ((3, 3),), NOON + dt.timedelta(minutes=7))
    for over in (told(event(1, 8), counted=1), told(event(1, 8))):
        step = advance(now, over)
        assert (step.fresh, step.gap, step.heard.last) == (True, True, 1)
    shaken = advance(now, told(kind=HANDSHAKE, counted=0))
    assert (shaken.gap, shaken.heard) == (True, Heard())
    assert advance(Heard(), told(kind=HANDSHAKE, counted=0)).gap is False


def test_who_first_hears_of_a_subscription_in_its_middle_has_missed_its_beginning() -> None:
    assert advance(None, told(event(4, 4))).heard.missing == ((1, 3),)
    assert advance(None, told(kind=HEARTBEAT, counted=2)).gap
    shaken = advance(None, told(kind=HANDSHAKE, counted=9))
    assert (shaken.gap, shaken.heard.last) == (False, 9), "what was before the handshake is none of its events"


def test_an_event_that_cannot_be_told_from_a_repetition_is_news() -> None:
    assert advance(Heard(7), told(event(5))).fresh
    assert advance(Heard(7, (), NOON), told(event(0, 5))).fresh
    assert advance(Heard(7, (), NOON), told(counted=7)).fresh, "payload empty, and no event is named"


@given(st.permutations(range(1, 30)), st.sets(st.integers(1, 29)))
def test_in_whatever_order_events_come_each_is_news_once_and_what_is_missing_is_known(
    order: list[int], lost: set[int]
) -> None:
    now, news = Heard(), []
    for number in [number for number in order if number not in lost for _ in range(2)]:
        step = advance(now, told(event(number, number), counted=29))
        news += [number] if step.fresh else []
        now = heard(step.heard.text()) or Heard()
    assert sorted(news) == sorted(set(order) - lost)
    now = advance(now, told(kind=HEARTBEAT, counted=29)).heard
    assert {number for first, end in now.missing for number in range(first, end + 1)} == lost


@given(st.lists(st.integers(1, 10**18), max_size=300, unique=True))
def test_gaps_take_a_bounded_room(numbers: list[int]) -> None:
    now = Heard()
    for number in sorted(numbers):
        now = advance(now, told(event(number))).heard
    assert len(now.missing) <= 100
    assert all(first <= end < after for (first, end), (after, _) in zip(now.missing, now.missing[1:], strict=False))
