"""Run `chartpost serve` in a process that kills itself (SIGKILL) at one chosen passage through one chosen point.

The product knows nothing of this: its classes are patched in the child process only, after it was forked. Points are
named for what they are at ("after the commit in notify.run ← worker.Worker._perform"); each passage is written to a
file, so that a run without a kill tells which passages there are.

Children are forked from a server that has imported everything already, which makes a start cost a tenth of a second.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

Passage = tuple[str, int]  #: a point, and the how-manieth passage through it, from 1

#: Everything that a start would import otherwise, lazily loaded parts of the SDKs among it.
_PRELOAD = """
    pytest chartpost.adapter.cli chartpost.adapter.wiring chartpost.adapter.providers.stripe
    chartpost.adapter.notifiers.twilio chartpost.adapter.senders.mllp chartpost.adapter.sandbox.__main__
    chartpost.adapter.senders.fhir chartpost.adapter.senders.directory chartpost.adapter.notifiers.smtp
    chartpost.adapter.ledger.migrations chartpost.mappings.hl7.conformance
    chartpost.mappings.fhir.read chartpost.mappings.fhir.write fhirpathpy fhir.resources.R4B.paymentreconciliation
    alembic.command alembic.config anyio._backends._asyncio babel.dates hl7apy.parser hl7apy.v2_5_1 httptools
    kombu.messaging kombu.transport.memory kombu.transport.pyamqp phonenumbers.data.region_US psycopg sqlite3
    stripe._stripe_client stripe._object_classes stripe.checkout._session_service stripe._webhook
    stripe._event_service stripe._v1_services stripe._v2_services
    twilio.rest.api.v2010 twilio.request_validator uvloop
    uvicorn.protocols.http.httptools_impl uvicorn.lifespan.off warm
""".split()  # noqa: SIM905
_PR_SET_PDEATHSIG = 1


@contextmanager
def _here_on_path() -> Iterator[None]:
    """Let the server that is forked from find `warm`: until Python 3.12 it is not told our sys.path."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    try:
        yield
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


class Child:
    """A forked process, with the methods of subprocess.Popen that a house needs. Several threads may have some."""

    #: multiprocessing looks after all children whenever one starts. Two threads that look at the same child at once
    #: both read its exit code from one pipe: the second finds the pipe empty, and calls that 255.
    _one_at_a_time = threading.Lock()

    def __init__(self, target: Callable[..., None], *args: object) -> None:
        context = multiprocessing.get_context("forkserver")
        with self._one_at_a_time:
            context.set_forkserver_preload(_PRELOAD)
            self._process = context.Process(target=target, args=args, daemon=True)
            with _here_on_path():
                self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        with self._one_at_a_time:
            return self._process.exitcode

    def wait(self, timeout: float) -> int | None:
        deadline = time.monotonic() + timeout
        while self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.poll()

    def terminate(self) -> None:
        with self._one_at_a_time:
            self._process.terminate()

    def kill(self) -> None:
        with self._one_at_a_time:
            self._process.kill()
        self.wait(5)


def product(argv: list[str], out: Path, passages: Path | None = None, kill: Passage | None = None) -> None:
    """Be `chartpost ARGV`, with standard output and error in the file `out`. Target of a Child."""
    _become(out)
    if passages is not None:
        _watch(Passages(passages, kill))
    from chartpost.adapter import cli

    sys.argv = ["chartpost", *argv]
    cli.main()


def sandbox(argv: list[str], out: Path) -> None:
    """Be `python -m chartpost.adapter.sandbox ARGV`. Target of a Child."""
    _become(out)
    from chartpost.adapter.sandbox import __main__ as program

    program.main(argv)


def _become(out: Path) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no orphans when the tests themselves are killed
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
    os.dup2(1, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    for name in [name for name in os.environ if name.startswith("CHARTPOST_")]:
        del os.environ[name]


class Passages:
    """Counts the passages through each point, writes them down, and kills at the chosen one."""

    def __init__(self, path: Path, kill: Passage | None) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._kill = kill
        self._count: Counter[str] = Counter()
        self._lock = threading.Lock()

    def passed(self, point: str) -> None:
        with self._lock:
            self._count[point] += 1
            os.write(self._file, f"{self._count[point]}\t{point}\n".encode())
            if self._kill == (point, self._count[point]):
                os.kill(os.getpid(), signal.SIGKILL)


def read(path: Path) -> list[Passage]:
    """Return the passages of a run, in order."""
    lines = [line.partition("\t") for line in path.read_text("utf-8").splitlines()]
    return [(point, int(number)) for number, _, point in lines]


# ------------------------------------------------------------------------------------------------------- the points


def _watch(passages: Passages) -> None:
    """Patch every place where a process may die between two effects."""
    from chartpost.adapter.dropfolder import DropFolder
    from chartpost.adapter.ledger.intake import Intake
    from chartpost.adapter.notifiers.smtp import SmtpNotifier
    from chartpost.adapter.notifiers.twilio import TwilioNotifier
    from chartpost.adapter.providers.stripe import StripeProvider
    from chartpost.adapter.senders.directory import DirectorySender
    from chartpost.adapter.senders.fhir import FhirSender
    from chartpost.adapter.senders.mllp import MllpSender
    from chartpost.queues.publisher import Publisher

    _commits(passages)
    _around(passages, Intake, "commit", lambda self, rows: "the commit at the MLLP door", before=False)
    _around(passages, Publisher, "publish", lambda self, envelope: f"publish to {envelope.routing_key}")
    for method in ("create_session", "expire_session", "retrieve_session", "events_since"):
        _around(passages, StripeProvider, method, lambda *_, method=method: f"call StripeProvider.{method}")
    _around(passages, TwilioNotifier, "send", lambda *_: "call TwilioNotifier.send")
    _around(passages, SmtpNotifier, "send", lambda *_: "call SmtpNotifier.send")
    _around(passages, MllpSender, "send", lambda *_: "call MllpSender.send")
    _around(passages, DirectorySender, "send", lambda *_: "call DirectorySender.send")
    _around(passages, DropFolder, "put_away", lambda *_: "the move of a file")
    for method in ("send", "settle_invoice", "read"):
        _around(passages, FhirSender, method, lambda *_, method=method: f"call FhirSender.{method}")
    _broker_acks(passages)
    _mllp_acks(passages)
    _web_answers(passages)


def _around(passages: Passages, owner: type, method: str, name: Callable[..., str], *, before: bool = True) -> None:
    original = getattr(owner, method)

    @functools.wraps(original)
    def around(*args: Any, **more: Any) -> Any:
        if before:
            passages.passed(f"before {name(*args, **more)}")
        try:
            return original(*args, **more)
        finally:
            passages.passed(f"after {name(*args, **more)}")

    setattr(owner, method, around)


def _commits(passages: Passages) -> None:
    """After COMMIT, before anything else: inside SQLAlchemy's own call of the driver."""
    from sqlalchemy.engine.default import DefaultDialect

    original = DefaultDialect.do_commit

    def do_commit(self: Any, connection: Any) -> None:
        original(self, connection)
        if writer := _writer(sys._getframe(1)):
            passages.passed(f"after the commit in {writer}")

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]


def _writer(frame: FrameType | None) -> str:
    """Name the two innermost functions of ours that write; "" for a read."""
    from chartpost.adapter.ledger.store import Store

    reads = Store.read.__wrapped__.__code__  # type: ignore[attr-defined]
    names: list[str] = []
    while frame is not None and len(names) < 2:
        module = frame.f_globals.get("__name__", "")
        if frame.f_code is reads:
            return ""
        ours = module.startswith("chartpost.") and module != Store.__module__
        if ours and "<lambda>" not in frame.f_code.co_qualname:
            names.append(f"{module.rpartition('.')[2]}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return " ← ".join(names)


def _broker_acks(passages: Passages) -> None:
    from chartpost.queues import consumer

    original = consumer._settle

    def settle(act: Any) -> None:
        point = f"{act.__name__} {act.__self__.delivery_info.get('routing_key', '')}"
        passages.passed(f"before {point}")
        original(act)
        passages.passed(f"after {point}")

    consumer._settle = settle


def _mllp_acks(passages: Passages) -> None:
    from chartpost.adapter.listeners.mllp import _Connection

    original = _Connection.stored

    def stored(self: _Connection, receipts: Any, fates: Any) -> None:
        transport, loop = self.transport, asyncio.get_running_loop()
        passages.passed("before the ACK at the MLLP door")
        original(self, receipts, fates)

        def out() -> None:  # the event loop writes at the end of its turn
            if transport is None or transport.is_closing() or not transport.get_write_buffer_size():
                passages.passed("after the ACK at the MLLP door")
            else:
                loop.call_later(0.001, out)

        loop.call_later(0.001, out)

    _Connection.stored = stored  # type: ignore[method-assign]


def _web_answers(passages: Passages) -> None:
    """Answers to webhooks, to Invoices, and to the button that opens the card page."""
    from chartpost.adapter.web.guard import Guard

    original = Guard.__call__

    async def called(self: Guard, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT"):
            return await original(self, scope, receive, send)
        known = {"/hook": scope["path"], "/fhir": "an Invoice"}
        place = known.get(scope["path"][:5], "the pay button")

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                passages.passed(f"before the answer to {place}")
            await send(message)
            if message["type"] == "http.response.body":
                for _ in range(3):  # the event loop writes at the end of its turn
                    await asyncio.sleep(0)
                passages.passed(f"after the answer to {place}")

        return await original(self, scope, receive, watched)

    Guard.__call__ = called  # type: ignore[method-assign]
