"""The flow's functions that the patient's pages call, bound to one flow; every method blocks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from chartpost.adapter.flow.answering import choices, identify, known
from chartpost.adapter.flow.answering.choices import Choice
from chartpost.adapter.flow.answering.identify import Answered, Ways
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.paying import details, pay, view
from chartpost.adapter.flow.paying.details import Details
from chartpost.adapter.flow.paying.view import PayView
from chartpost.adapter.flow.requests import plan


class PatientDoors:
    """What whoever holds a link can do."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def look(self, token: str, language: str = "") -> PayView | None:
        return view.look(self._flow, token, language)

    def begin(self, token: str, amount: int | None, parts: Mapping[str, int] | None = None) -> str:
        return pay.begin(self._flow, token, amount, parts)

    def returned(
        self, token: str, session_id: str
    ) -> Literal["recorded", "received", "processing", "open", "closed", "unknown"]:
        return pay.returned(self._flow, token, session_id)

    def choose_plan(self, token: str, count: int) -> bool:
        """Return False where this plan is not offered, or not any more."""
        try:
            plan.choose(self._flow, token, count)
        except No:
            return False
        return True

    def speak(self, token: str, language: str) -> None:
        choices.speak(self._flow, token, language)

    def say(self, token: str, choice: Choice, words: str, to: int | None) -> bool:
        return choices.say(self._flow, token, choice, words, to)

    def renew(self, token: str) -> bool:
        return choices.renew(self._flow, token)

    def told(self, token: str) -> list[str]:
        """Return where the link went, masked."""
        with self._flow.store.read() as connection:
            row = view.find(connection, token)
            return [known.masked(*one) for one in known.told(connection, row.id)] if row is not None else []

    def ways(self, token: str) -> Ways:
        return identify.ways(self._flow, token)

    def by_birth_date(self, token: str, answer: dt.date) -> Answered:
        return identify.by_birth_date(self._flow, token, answer)

    def send_code(self, token: str) -> Literal["sent", "often", "nowhere"]:
        return identify.send_code(self._flow, token)

    def by_code(self, token: str, answer: str) -> Answered:
        return identify.by_code(self._flow, token, answer)

    def details(self, token: str, cookie: str, language: str = "") -> Details | None:
        return details.details(self._flow, token, cookie, language)
