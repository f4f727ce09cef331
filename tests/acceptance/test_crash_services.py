"""Killed at a handful of points with PostgreSQL and RabbitMQ, whose queues outlive the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import services
from broker import empty, rabbitmq
from crash import PAID, live
from killer import Passage

pytestmark = [pytest.mark.postgres, pytest.mark.rabbitmq]

PASSAGES: list[Passage] = [
    ("after the commit at the MLLP door", 1),
    ("after publish to chartpost.errand.translate", 1),
    ("after the commit in translate.batch ← worker.Worker.translate", 1),
    ("after call TwilioNotifier.send", 1),
    ("before ack chartpost.errand.notify", 1),
    ("after call StripeProvider.create_session", 2),
    ("after publish to posting.chart.hl7v2", 1),
    ("after the commit in attempt.attempt ← deliver.run", 1),
    ("after call MllpSender.send", 1),
    ("before ack posting.chart.hl7v2", 1),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with rabbitmq() as url:
        yield url


@pytest.mark.parametrize("passage", PASSAGES, ids=[f"{point} {number}" for point, number in PASSAGES])
def test_killed_with_real_services_nothing_is_done_twice_and_nothing_is_silently_missing(
    passage: Passage, broker: str, tmp_path: Path
) -> None:
    with services.postgres_database() as database:
        try:
            life = live(tmp_path / "story", PAID, passage, database=database, broker=broker)
        finally:
            empty(broker)
    assert life.died, "the point was not passed"
