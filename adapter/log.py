"""Logging: JSON lines, or colours on a terminal; ids and places, never a person's data and never a secret.

Two rules hold whatever a line was meant to say. Only fields on an allow-list keep their value. And the text of an
exception is shown only when it is one of ours, whose texts carry no data; of any other we show its type and the place,
because libraries put statements, numbers and payloads into theirs.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from chartpost.adapter.errors import ChartpostError

#: Fields whose values may stand in a log. Anything else is shown as its name and a dot.
ALLOWED = frozenset(
    """
    account_id address attempt attempt_id attempts bytes card_session cause code connections
    control_id correlation count database destination due errand errand_id error error_at event event_id
    facility fix frames hold host internal kind lane level logger map map_version message message_id
    method ms name notice notifier object outcome path payment pid port posting provider
    provider_ref queue reason request roles rows sandbox seconds segments signal source state status
    subject timestamp type variable version waiting web where
    """.split()  # noqa: SIM905
)

#: Loggers whose whole message is trusted. Of others only the constant part of a message is shown.
_TRUSTED = ("chartpost", "uvicorn.error")

#: Said so often, or with so much in it, that only trouble is of interest.
_QUIET = ("alembic", "amqp", "asyncio", "httpx", "kombu", "multipart", "sqlalchemy", "stripe", "twilio", "urllib3")

_MASKS = (
    (re.compile(r"(/p/)[\w-]{6,}"), r"\1…"),  # the token of a link opens a payment page
    (re.compile(r"\b((?:sk|rk)_(?:live|test)|whsec)_\w+"), r"\1_…"),
    (re.compile(r"(://[^:/@\s]+):[^@/\s]+@"), r"\1:…@"),  # the password of a database or broker
)

_HOME = Path(__file__).resolve().parents[1]


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send everything that this process logs through the rules above, to `stream` (standard error)."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        show_exception,
        only_allowed,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # What serves logs much, a command little: it may share its process with others (tests, shells).
        cache_logger_on_first_use=level == "INFO",
    )
    colours = stream.isatty()
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if colours else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[constant_part, *shared],
            pass_foreign_args=True,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # An access line holds the address of a patient and the token of a link.
    logging.getLogger("uvicorn.access").disabled = True


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger: `log.get(__name__).info("posting accepted", posting=public_id, ms=12)`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def failure(what: str, error: BaseException, /, **ids: Any) -> None:
    """Log an error with its place: `failure("event.not_applied", error, provider="card", event="evt_…")`."""
    # structlog calls the text of a line its event.
    fields = {"event_id" if name == "event" else name: value for name, value in ids.items()}
    get("chartpost.adapter").error(what, exc_info=error, **fields)


def constant_part(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Reduce what a library says to the constant text in its source, and where that is."""
    record: logging.LogRecord | None = event.get("_record")
    arguments = event.pop("positional_args", None)
    if record is None or record.name.split(".")[0] in _TRUSTED or record.name in _TRUSTED:
        return event
    # With arguments the text is a template; without, somebody may have formatted a payload into it.
    constant = arguments and isinstance(record.msg, str)
    event["event"] = record.msg if constant else f"{record.name} has something to say"
    event["where"] = _place(record.pathname, record.lineno)
    return event


def show_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Replace an exception by its type, the chain of causes, and our own lines that it came through."""
    info = event.pop("exc_info", None)
    event.pop("stack_info", None)
    event.pop("color_message", None)  # uvicorn's text once more, with colours
    error = info if isinstance(info, BaseException) else None
    if isinstance(info, tuple):
        error = info[1]
    elif info is True:
        error = sys.exc_info()[1]
    if error is None:
        return event
    event["error"] = " ← ".join(_named(one) for one in _causes(error))
    event["error_at"] = places(error.__traceback__)
    return event


def only_allowed(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Keep the values of allowed fields, and mask tokens and secrets in what is left."""
    for key, value in event.items():
        if key.startswith("_"):
            continue
        if key not in ALLOWED:
            event[key] = "·"
        elif isinstance(value, str):
            event[key] = masked(value)
        elif value is not None and not isinstance(value, int | float):
            event[key] = [masked(str(one)) for one in value] if isinstance(value, list | tuple) else masked(str(value))
    return event


def masked(text: str) -> str:
    """Return `text` without tokens of links, provider keys and passwords in addresses."""
    for pattern, shown in _MASKS:
        text = pattern.sub(shown, text)
    return text


def places(trace: TracebackType | None) -> list[str]:
    """Return "file:line in function" of our own frames, and of the last one whoever owns it."""
    frames = traceback.extract_tb(trace)
    shown = [frame for frame in frames if _is_ours(Path(frame.filename)) or frame is frames[-1]]
    return [f"{_place(frame.filename, frame.lineno or 0)} in {frame.name}" for frame in shown]


def _is_ours(path: Path) -> bool:
    return any(path.is_relative_to(_HOME / package) for package in ("adapter", "mappings", "queues"))


def _place(filename: str, line: int) -> str:
    path = Path(filename)
    return f"{path.relative_to(_HOME) if _is_ours(path) else '/'.join(path.parts[-2:])}:{line}"


def _named(error: BaseException) -> str:
    name = type(error).__qualname__
    return f"{name}: {error}" if isinstance(error, ChartpostError) else name


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(chain) < 5 and at not in chain:
        chain.append(at)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return chain
