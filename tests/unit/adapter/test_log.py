"""Logs: ids and places; never a person's data, never a secret."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from chartpost.adapter import log
from chartpost.adapter.errors import Permanent


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What was logged; everything is put back as it was afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    structlog.reset_defaults()


def last(stream: io.StringIO) -> dict[str, object]:
    found: dict[str, object] = json.loads(stream.getvalue().splitlines()[-1])
    return found


def test_a_line_is_json_with_time_level_logger_and_ids(lines):
    structlog.get_logger("chartpost.test").info("posting accepted", posting="P123", ms=12)
    line = last(lines)
    assert line["event"] == "posting accepted"
    assert (line["posting"], line["ms"], line["level"], line["logger"]) == ("P123", 12, "info", "chartpost.test")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", str(line["timestamp"]))


def test_a_field_that_is_not_allowed_is_named_without_its_value(lines):
    structlog.get_logger("chartpost.test").info("read", patient="Maeve Halloran", message_id=7)
    assert last(lines)["patient"] == "·"
    assert last(lines)["message_id"] == 7
    assert "Halloran" not in lines.getvalue()


def test_our_own_standard_loggers_speak_through_the_same_rules(lines):
    logging.getLogger("chartpost.adapter.listeners.mllp").warning(
        "connection %d closed", 3, extra={"source": "his", "family": "Halloran"}
    )
    assert last(lines)["event"] == "connection 3 closed"
    assert last(lines)["source"] == "his"
    assert "Halloran" not in lines.getvalue()


def test_an_exception_of_somebody_else_is_a_type_and_a_place_without_its_text(lines):
    try:
        int("Halloran^Maeve")
    except ValueError as error:
        log.failure("event.not_applied", error, provider="card", event="evt_1")
    line = last(lines)
    assert line["error"] == "ValueError"
    assert line["event_id"] == "evt_1"
    assert any("test_log.py" in place for place in line["error_at"])
    assert "Halloran" not in lines.getvalue()


def test_an_exception_of_ours_keeps_its_text_and_its_causes(lines):
    try:
        try:
            raise KeyError("Halloran")
        except KeyError as error:
            raise Permanent("FT1-11 is not an amount") from error
    except Permanent as error:
        structlog.get_logger("chartpost.test").error("held", exc_info=error)
    assert last(lines)["error"] == "Permanent: FT1-11 is not an amount ← KeyError"
    assert "Halloran" not in lines.getvalue()


def test_of_a_library_only_the_constant_part_and_the_place_are_shown(lines):
    logging.getLogger("twilio.http_client").warning("sending %s to %s", "a text", "+16085550148")
    assert last(lines)["event"] == "sending %s to %s"
    logging.getLogger("stripe").warning(f"request with {'+16085550148'}")
    assert last(lines)["event"] == "stripe has something to say"
    assert re.search(r"test_log\.py:\d+", str(last(lines)["where"]))
    assert "5550148" not in lines.getvalue()


def test_a_library_that_fails_does_not_print_its_payload(lines):
    try:
        raise RuntimeError("INSERT … ('Halloran')")
    except RuntimeError:
        logging.getLogger("sqlalchemy.pool").exception("cannot reset %s", "Halloran")
    assert last(lines)["error"] == "RuntimeError"
    assert "Halloran" not in lines.getvalue()


def test_access_lines_and_chatter_are_silent(lines):
    logging.getLogger("uvicorn.access").info("GET /p/abcdefghijklmnop")
    logging.getLogger("twilio.http_client").info("POST Data: %s", "Halloran")
    logging.getLogger("stripe").info("request")
    assert lines.getvalue() == ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("GET /p/iUcu782QrZKVMeU36yQ/back", "GET /p/…/back"),
        ("key sk_live_abcDEF123", "key sk_live_…"),
        ("secret whsec_abc", "secret whsec_…"),
        ("postgresql://user:pass@db/x", "postgresql://user:…@db/x"),
    ],
)
def test_tokens_of_links_keys_and_passwords_are_masked_wherever_they_stand(lines, said, shown):
    structlog.get_logger("chartpost.test").info(said, reason=[said], path=said)
    assert last(lines)["event"] == last(lines)["path"] == shown
    assert last(lines)["reason"] == [shown]
