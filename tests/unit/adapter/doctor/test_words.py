"""Texts that cost more than they need, and users whom nobody could tell, are found before the first message."""

from __future__ import annotations

from typing import Any

import pytest

from chartpost.adapter.doctor import words
from chartpost.adapter.doctor.finding import State

SITE: dict[str, Any] = {
    "name": "Lakeside Clinic", "message_name": "Lakeside", "timezone": "America/Chicago", "region": "US",
    "currency": "USD", "provider": "card",
}  # fmt: skip
DESK: dict[str, Any] = {"role": "billing", "email": "desk@staff.example.org", "tell": ["payments", "holds"]}


@pytest.mark.parametrize(
    ("changes", "state", "text"),
    [
        ({}, State.OK, "reminder.sms.es.txt, is 157 characters of GSM-7, one segment"),
        ({"message_name": "Clínica Río"}, State.WARNING, "of UCS-2: it is sent, and paid for, as 3 segments"),
        ({"message_name": "Lakeside and Northfield Family Practice"}, State.WARNING, "as 2 segments"),
        ({"templates": "/nowhere/at/all"}, State.SKIPPED, "see the configuration's problems"),
        ({"currency": "none"}, State.SKIPPED, "see the configuration's problems"),
    ],
)
def test_the_longest_text_is_measured_with_the_facilitys_own_name(
    changes: dict[str, Any], state: State, text: str
) -> None:
    [found] = words.texts("facilities.lakeside.words", SITE | changes, "")
    assert found.state is state
    assert text in found.text
    assert bool(found.fix) is (state is State.WARNING)


def test_who_is_told_by_e_mail_needs_a_facility_that_writes_e_mail() -> None:
    users = {"desk": DESK, "here": DESK | {"facilities": ["here"]}, "quiet": {"role": "billing"}, "broken": {}}
    found = {one.what: one.state for one in words.staff(users, {"here": False, "there": True})}
    assert found == {"users.desk": State.OK, "users.here": State.PROBLEM}
