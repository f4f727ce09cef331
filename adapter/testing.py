"""For plugin authors: what every notifier must do, as tests that your own test suite runs (docs/plugins/README.md).

Subclass `NotifierContract`, say how your notifier is made and how its service answers, and run pytest. Nothing of it
needs pytest itself. The other side is a real server on this machine: `HttpService`, or one of your own.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Protocol

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.ports import NoticeReport, Notifier, OutgoingText, Sent

#: What a service does with the messages that come from now on.
How = Literal["accepts", "refuses", "is_busy", "hangs_up", "is_silent"]

SMS = OutgoingText(
    to="+16085550148", body="Lakeside: ¿tiene 100% & <más>? https://pay.example.org/p/AbC-_123 +'\"\\ Ünïcödé",
    status_url="https://pay.example.org/hooks/x/status?notice=N40XAK2CB8JT", reference="N40XAK2CB8JT",
)  # fmt: skip
EMAIL = replace(
    SMS, to="payer@example.org", body=f".{SMS.body}\n.\nA line that is long: {'word ' * 60}end.\n", subject="Lakeside",
    html="<p>You have a balance to pay.</p>\n", sender_name="Lakeside Billing",
    sender_address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the service got it."""

    to: str
    words: str


class Service(Protocol):
    """The other side of a notifier: a server on this machine."""

    received: list[Received]  #: all that it got whole, in order, also where it then refused or said nothing

    def behave(self, how: How) -> None:
        """Treat messages so from now on."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service over HTTP answers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpService:
    """A service over HTTP. `read` makes of each request (path, headers, body) what was to be sent.

    An answer may be a function of how many messages came before: services give each an id of its own.
    """

    def __init__(
        self, read: Callable[[str, Mapping[str, str], bytes], Received], accepts: Answer | Callable[[int], Answer],
        refuses: Answer, is_busy: Answer,
    ) -> None:  # fmt: skip
        self.received: list[Received] = []
        self._how: How = "accepts"
        self._over, lock = threading.Event(), threading.Lock()
        answers = {"refuses": refuses, "is_busy": is_busy}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    number = len(service.received)
                    service.received.append(read(self.path, dict(self.headers.items()), body))
                if service._how == "is_silent":
                    service._over.wait(30)
                if service._how in ("is_silent", "hangs_up"):
                    self.close_connection = True
                    return
                accepted = accepts(number) if callable(accepts) else accepts
                answer = answers.get(service._how, accepted)
                self.send_response(answer.status)
                for name, value in (*answer.headers.items(), ("Content-Length", str(len(answer.body)))):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def behave(self, how: How) -> None:
        self._how = how

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()


@dataclass(frozen=True, slots=True)
class Report:
    """An authentic status report, as your service would send it to a `status_url`, and what it means."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    means: NoticeReport


class NotifierContract:
    """What every notifier must do. Subclass it as Test…, and fill in what stands first."""

    #: your service sends a message once however often its reference comes: what is Ambiguous may then be Transient
    idempotent = False
    #: of `reports()`: none, because the service sends none
    silent = False

    def service(self) -> Service:
        """Start the other side, accepting."""
        raise AssertionError("say what your service is: def service(self)")

    def notifier(self, service: Service) -> Notifier:
        """Make your notifier, in front of that service, with a time-out of at most a second."""
        raise AssertionError("say how your notifier is made: def notifier(self, service)")

    def reports(self) -> Iterable[Report]:
        """Return authentic reports: one that is DELIVERED, one that is UNDELIVERED, one that you do not know."""
        raise AssertionError("give reports, or say silent = True")

    # ------------------------------------------------------------------------------------------------ the contract

    def test_its_channel_is_one_that_there_is(self) -> None:
        with self._pair() as (_, notifier):
            assert notifier.channel in ("sms", "email")

    def test_it_sends_once_changes_no_word_and_returns_the_id_of_the_service(self) -> None:
        with self._pair() as (service, notifier):
            text = self._text(notifier)
            sent = notifier.send(text)
            assert isinstance(sent, Sent), "send returns Sent"
            assert sent.provider_ref, "the id of the service must not be empty"
            assert _lines(service.received) == _lines([Received(text.to, text.body)])

    def test_several_threads_send_at_once_and_each_message_goes_to_its_own_person(self) -> None:
        with self._pair() as (service, notifier):
            texts = [self._text(notifier, number) for number in range(8)]
            refs: list[str] = []
            threads = [
                threading.Thread(target=lambda one=text: refs.append(notifier.send(one).provider_ref)) for text in texts
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert sorted(_lines(service.received)) == sorted(_lines([Received(one.to, one.body) for one in texts]))
            assert len(set(refs)) == len(texts), "each message has an id of its own"

    def test_a_refusal_is_permanent_and_names_nobody(self) -> None:
        error = self._fails("refuses", Permanent)
        assert isinstance(error, Permanent)
        assert isinstance(error.code, str), "Permanent.code is the service's code as text, or empty"

    def test_a_service_that_takes_nothing_now_is_transient(self) -> None:
        self._fails("is_busy", Transient)

    def test_no_connection_is_transient(self) -> None:
        with self._pair() as (service, notifier):
            service.close()
            self._raises(notifier, Transient)

    def test_a_connection_lost_after_the_message_is_not_known_to_have_failed(self) -> None:
        self._fails("hangs_up", Transient if self.idempotent else Ambiguous)

    def test_silence_after_the_message_is_not_known_to_have_failed(self) -> None:
        self._fails("is_silent", Transient if self.idempotent else Ambiguous)

    def test_nothing_of_a_person_is_logged(self) -> None:
        for how in ("accepts", "refuses", "hangs_up"):
            with self._pair() as (service, notifier), _logged() as lines:
                service.behave(how)
                text = self._text(notifier)
                with suppress(Transient, Ambiguous, Permanent):
                    notifier.send(text)
                _names_nobody("\n".join(lines), text, "a line of the log")

    def test_reports_are_read_and_those_that_are_not_known_change_nothing(self) -> None:
        with self._pair() as (_, notifier):
            if self.silent:
                return self._refused(notifier, Report("https://pay.example.org/", b"{}", {}, NoticeReport.UNKNOWN))
            reports = list(self.reports())
            wanted = {NoticeReport.DELIVERED, NoticeReport.UNDELIVERED, NoticeReport.UNKNOWN}
            assert wanted <= {one.means for one in reports}, "give a report of each kind"
            for one in reports:
                read = notifier.parse_report(one.url, one.body, one.headers)
                assert read.report is one.means
                assert read.event_id, "an event needs an id, by which a second copy of it is known"
                assert read == notifier.parse_report(one.url, one.body, one.headers), "the same report, the same event"
            ids = {notifier.parse_report(one.url, one.body, one.headers).event_id for one in reports}
            assert len(ids) == len(reports), "different reports are different events"
        return None

    def test_what_the_service_did_not_sign_is_refused(self) -> None:
        if self.silent:
            return
        with self._pair() as (_, notifier):
            for one in self.reports():
                self._refused(notifier, replace(one, headers={}))
                self._refused(notifier, replace(one, body=one.body + b" "))
                self._refused(notifier, replace(one, body=b""))
                headers = {
                    name: value[:-1] + ("0" if value[-1:] != "0" else "1") for name, value in one.headers.items()
                }
                self._refused(notifier, replace(one, headers=headers))

    # ------------------------------------------------------------------------------------------------- how it looks

    @contextmanager
    def _pair(self) -> Iterator[tuple[Service, Notifier]]:
        service = self.service()
        try:
            yield service, self.notifier(service)
        finally:
            with suppress(OSError):  # closed by the test already
                service.close()

    def _text(self, notifier: Notifier, number: int = 0) -> OutgoingText:
        text = EMAIL if notifier.channel == "email" else SMS
        to = text.to.replace("payer", f"payer{number}") if notifier.channel == "email" else f"+1608555010{number}"
        return replace(
            text, to=to, reference=f"N40XAK2CB8J{number}", body=f"{text.body}{number}\n" if number else text.body
        )

    def _fails(self, how: How, kind: type[Exception]) -> Exception:
        with self._pair() as (service, notifier):
            service.behave(how)
            error = self._raises(notifier, kind)
            assert len(service.received) <= 1, f"a message that {how} is not sent again by the notifier itself"
            return error

    def _raises(self, notifier: Notifier, kind: type[Exception]) -> Exception:
        text = self._text(notifier)
        try:
            notifier.send(text)
        except kind as error:
            _names_nobody("".join(traceback.format_exception(error)), text, "an error")
            return error
        except Exception as error:
            raise AssertionError(f"send raises {kind.__name__} here, and not {type(error).__name__}") from None
        raise AssertionError(f"send raises {kind.__name__} here, and returned")

    def _refused(self, notifier: Notifier, one: Report) -> None:
        try:
            notifier.parse_report(one.url, one.body, one.headers)
        except Permanent:
            return
        except Exception as error:
            raise AssertionError(f"parse_report raises Permanent here, and not {type(error).__name__}") from None
        raise AssertionError("parse_report raises Permanent for what is not authentic, and returned")


def _lines(messages: Sequence[Received]) -> list[tuple[str, str]]:
    """Return messages so that they can be compared: mail ends its lines in a way of its own."""
    return [(one.to, one.words.replace("\r\n", "\n").rstrip("\n")) for one in messages]


def _names_nobody(said: str, text: OutgoingText, what: str) -> None:
    for value in (text.to, text.to.lstrip("+"), text.to.partition("@")[0], text.body, text.body[:20]):
        assert value not in said, f"{what} repeats the recipient or the words of a message"


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect every line that this thread logs, at whatever level; a server in another thread may say what it likes."""
    lines, mine = [], threading.get_ident()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == mine:
                lines.append(self.format(record))

    root, handler = logging.getLogger(), Collect(logging.NOTSET)
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
