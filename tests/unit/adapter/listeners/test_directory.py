"""A folder as a door: real files, the real ledger, the real receivers; look by look, without its thread."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from workbench import MAY, Clock, dft, line

from chartpost.adapter.dropfolder import LOCK, DropFolder
from chartpost.adapter.errors import CannotStore, Transient
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.flow.door import files
from chartpost.adapter.flow.door.receive import SourceRules
from chartpost.adapter.flow.door.receive_fhir import FhirReceiver, FhirRules
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.invoices import KnownInvoices
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.broker import FhirWire, Hl7Wire, Wire
from chartpost.adapter.listeners.directory import DirectoryListener
from chartpost.mappings import mapfile

#: A name that must never be seen but as the name of a file.
NAME = "Halloran_Maeve_19840612.hl7"
CHARGE = line("CO", "45.00")


class Killed(BaseException):
    """The process ends here: nothing of ours catches it."""


class Feed:
    """One source of type directory, and what came of its files."""

    def __init__(self, store: Store, clock: Clock, path: Path, dialect: str = "hl7v2") -> None:
        self.store, self.clock, self.path = store, clock, path
        path.mkdir(exist_ok=True)
        self.now, self.woken = 0.0, 0
        self.max_bytes = 20_000
        if dialect == "hl7v2":
            rules = SourceRules("drop", "lakeside", mapfile.load("hl7v2-dft"), max_bytes=self.max_bytes)
            self.wire: Wire = Hl7Wire(rules, clock)
        else:
            invoices = FhirRules("drop", "lakeside", mapfile.load("fhir-invoice"), max_bytes=self.max_bytes)
            self.wire = FhirWire(FhirReceiver(invoices, KnownInvoices(store, "drop")))
        self.start()

    def start(self) -> None:
        """Begin anew, as after a restart."""
        self.folder = DropFolder(
            self.path, self.path / "done", self.path / "failed", settle=10.0, most=self.max_bytes, clock=self.clock,
            monotonic=lambda: self.now,
        )  # fmt: skip
        self.intake = Intake(self.store)
        self.listener = DirectoryListener(
            "drop", self.folder, self.wire, self.intake, self.store, every=5.0, settle=10.0, on_stored=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    def drop(self, body: bytes, name: str = NAME) -> None:
        (self.path / name).write_bytes(body)

    def look(self) -> bool:
        """Look, wait until what was seen has settled, and look again."""
        self.listener.look()
        self.now += 60
        return self.listener.look()

    def take(self, *bodies: bytes) -> None:
        for number, body in enumerate(bodies):
            self.drop(body, f"{number}-{NAME}")
        self.look()

    def killed(self, monkeypatch: pytest.MonkeyPatch, method: str = "put_away") -> None:
        """Take what lies there, and die before the step; then begin anew."""

        def die(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(DropFolder, method, die)
            with pytest.raises(Killed):
                self.look()
        self.intake.close()
        self.start()

    def rows(self, table: Any = tables.message) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(select(table).order_by(*table.primary_key.columns)))

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]

    def holds(self) -> list[tuple[str, str]]:
        return [(row.object, row.cause) for row in self.rows(tables.hold) if row.state == "open"]

    def lying(self, *below: str) -> list[str]:
        folder = self.path.joinpath(*below)
        files = (path.name for path in folder.iterdir() if path.is_file()) if folder.is_dir() else ()
        return sorted(name for name in files if name != LOCK)


@pytest.fixture
def feed(store: Store, clock: Clock, tmp_path: Path) -> Feed:
    return Feed(store, clock, tmp_path / "in")


@pytest.fixture
def invoices(store: Store, clock: Clock, tmp_path: Path) -> Feed:
    return Feed(store, clock, tmp_path / "in", "fhir")


def invoice(number: str, gross: int = 80, **more: Any) -> dict[str, Any]:
    total = {"value": gross, "currency": "USD"}
    known = {"identifier": [{"system": "urn:bills", "value": number}], "id": f"inv-{number}"}
    return {"resourceType": "Invoice", "status": "issued", "totalGross": total, **known, **more}


def lines(*resources: Any) -> bytes:
    return b"\n".join(json.dumps(one).encode() for one in resources) + b"\n"


# --------------------------------------------------------------------------------------------------------- taken


def test_a_file_is_stored_and_then_moved_to_done_under_its_name(feed: Feed) -> None:
    body = dft(CHARGE)
    feed.drop(body)
    assert not feed.look()
    [row] = feed.rows()
    assert (row.source, row.state, row.raw, row.type) == ("drop", "received", body, "DFT^P03")
    assert (feed.lying("done"), feed.lying(), feed.lying(".work"), feed.woken) == ([NAME], [], [], 1)
    assert feed.look() is False
    assert len(feed.rows()) == 1, "once"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_every_message_of_a_file_is_stored_whatever_its_line_ends_and_wrappers(
    feed: Feed, end: bytes, wrapped: bool
) -> None:
    bodies = [dft(CHARGE, account=f"A-{number}") for number in range(3)]
    head, tail = (b"FHS|^~\\&\rBHS|^~\\&\r", b"BTS|3\rFTS|1\r") if wrapped else (b"", b"")
    feed.drop((head + b"".join(bodies) + tail).replace(b"\r", end))
    feed.look()
    assert feed.states() == ["ignored", "received", "received", "received"]
    assert {row.parent_id for row in feed.rows()[1:]} == {feed.rows()[0].id}
    assert feed.holds() == []
    assert feed.lying("done") == [NAME]


def test_all_of_a_file_is_one_transaction(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, groups = Intake.commit, []

    def counted(self: Intake, rows: Any) -> Any:
        groups.append(len(rows))
        return commit(self, rows)

    monkeypatch.setattr(Intake, "commit", counted)
    feed.drop(b"".join(dft(CHARGE) for _ in range(5)))
    feed.look()
    assert groups == [6]


def test_a_batch_that_misses_messages_is_taken_and_a_person_is_told(feed: Feed) -> None:
    feed.drop(b"BHS|^~\\&\r" + dft(CHARGE) + b"BTS|2\r")
    feed.look()
    assert feed.states() == ["ignored", "received"]
    assert feed.holds() == [(f"message:{feed.rows()[0].id}", "batch_count")]
    assert feed.lying("done") == [NAME]


def test_a_file_that_comes_again_is_a_duplicate_and_its_copy_is_kept_beside_the_first(feed: Feed) -> None:
    for control_id in ("", "C1"):
        body = dft(CHARGE, control_id=control_id)
        feed.take(body)
        feed.take(body)
    assert feed.states() == ["received", "duplicate"] * 2
    assert len(feed.lying("done")) == 4


def test_an_invoice_is_taken_from_a_file(invoices: Feed) -> None:
    invoices.drop(b"\xef\xbb\xbf" + json.dumps(invoice("1"), indent=2).encode(), "bill.json")
    invoices.look()
    assert [(row.type, row.state) for row in invoices.rows()] == [("Invoice", "received")]
    assert invoices.lying("done") == ["bill.json"]


@pytest.mark.parametrize("as_lines", [True, False])
def test_invoices_one_a_line_are_taken_as_a_bundle_of_them_is(invoices: Feed, as_lines: bool) -> None:
    several = [invoice(str(number)) for number in range(3)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in several]}
    invoices.drop(lines(*several) if as_lines else json.dumps(bundle).encode(), "bills.ndjson")
    invoices.look()
    assert [row.type for row in invoices.rows()] == ["Bundle", "Invoice", "Invoice", "Invoice"]
    assert invoices.states() == ["ignored", "received", "received", "received"]
    assert invoices.lying("done") == ["bills.ndjson"]


def test_one_bad_line_of_invoices_keeps_all_of_them_out_and_names_its_place(invoices: Feed) -> None:
    invoices.drop(lines(invoice("1"), invoice("2", id="not/an/id")), "bills.ndjson")
    invoices.look()
    assert invoices.states() == ["ignored"]
    assert invoices.lying("failed") == ["bills.ndjson", "bills.ndjson.error.txt"]
    assert "Bundle.entry[1].resource.id" in (invoices.path / "failed" / "bills.ndjson.error.txt").read_text()


def test_an_invoice_that_waits_for_the_one_before_it_stays_and_comes_again(invoices: Feed) -> None:
    renamed = invoice("2", id="inv-1")
    invoices.take(json.dumps(invoice("1")).encode(), json.dumps(renamed).encode())
    assert invoices.states() == ["received"]
    assert (len(invoices.lying("done")), len(invoices.lying(".work"))) == (1, 1)
    assert invoices.listener.look(), "it asks to be called again soon"
    with invoices.store.write() as tx:
        tx.run(tables.message.update().values(state="ignored"))
    invoices.listener.look()
    assert invoices.states() == ["ignored", "received"]
    assert invoices.lying(".work") == []


# ------------------------------------------------------------------------------------------------------ not taken


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"PID|1\rFT1|1\r", "byte 0: a segment outside of any message"),
        (b"MSH|^~^~|HIS\r", "MSH-2"),
        (b"MSH|^~\\&|" + b"x" * 30_000, "larger than 20000 bytes"),
        (dft(CHARGE).replace(b"DFT^P03", b"ADT^A04"), "MSH-9 is ADT^A04"),
    ],
    ids=["empty", "no-header", "no-delimiters", "large", "type"],
)
def test_what_cannot_be_taken_goes_to_failed_with_a_note_and_a_person_is_told(
    feed: Feed, body: bytes, reason: str
) -> None:
    feed.drop(body)
    feed.look()
    assert feed.lying("failed") == [NAME, NAME + ".error.txt"]
    assert (feed.path / "failed" / NAME).read_bytes() == body
    assert reason in (feed.path / "failed" / f"{NAME}.error.txt").read_text()
    [hold] = feed.rows(tables.hold)
    assert (hold.object, hold.cause, hold.state) == ("source:drop", "file_failed", "open")
    assert hold.text.startswith(f"1 file lies in {feed.path / 'failed'}, ")
    assert reason in hold.text
    assert hold.likeness == "file_failed drop"


def test_of_a_file_with_one_bad_message_the_others_count_and_the_file_is_shown_to_a_person(feed: Feed) -> None:
    bodies = [dft(CHARGE, control_id="C1"), dft(CHARGE, processing_id="T"), dft(CHARGE, control_id="C3")]
    feed.drop(b"".join(bodies))
    feed.look()
    assert feed.states() == ["ignored", "received", "ignored", "received"]
    assert "message 2 of 3: MSH-11 is T" in (feed.path / "failed" / f"{NAME}.error.txt").read_text()
    feed.drop(b"".join(bodies).replace(b"|T|", b"|P|"), "mended.hl7")
    feed.look()
    assert feed.states()[4:] == ["ignored", "duplicate", "received", "duplicate"], "what came before is recognised"
    assert feed.lying("done") == ["mended.hl7"]


def test_one_hold_tells_of_all_files_that_lie_there_with_the_newest_reason(feed: Feed) -> None:
    for number in range(3):
        feed.drop(b"nothing" * number, f"{number}.hl7")
        feed.look()
    [hold] = feed.rows(tables.hold)
    assert hold.text.startswith("3 files lie in ")
    assert "of 14 bytes" in hold.text


def test_the_hold_can_be_dismissed_and_there_is_nothing_to_retry(feed: Feed) -> None:
    feed.take(b"nothing")
    [hold] = feed.rows(tables.hold)
    assert release.dismiss(feed.store, hold.id, by="Tess", why="deleted").done
    assert feed.holds() == []
    feed.take(b"nothing again")
    assert feed.holds() == [("source:drop", "file_failed")]


def test_no_name_of_a_file_is_stored_or_logged(feed: Feed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    feed.take(dft(CHARGE), b"nothing", dft(CHARGE, processing_id="T"))
    (feed.path / "done").rename(feed.path / "gone")
    (feed.path / "done").write_text("")
    feed.take(dft(CHARGE))
    assert ("source:drop", "folder_unusable") in feed.holds()
    stored = repr([feed.rows(table) for table in tables.metadata.sorted_tables])
    assert "19840612" not in stored + caplog.text


# -------------------------------------------------------------------------------------------- killed, full, away


@pytest.mark.parametrize("days", [0, 30], ids=["soon", "after dedupe_days"])
@pytest.mark.parametrize("control_id", ["C1", ""])
@pytest.mark.parametrize("batch", [True, False])
def test_killed_between_commit_and_move_it_counts_once_and_is_moved_at_the_next_start(
    feed: Feed, monkeypatch: pytest.MonkeyPatch, days: int, control_id: str, batch: bool
) -> None:
    feed.drop(dft(CHARGE, control_id=control_id) + (dft(CHARGE) if batch else b""))
    feed.killed(monkeypatch)
    before = feed.states()
    assert before.count("received") == (2 if batch else 1)
    feed.clock.advance(days=days)
    feed.look()
    assert feed.states() == before
    assert (feed.lying("done"), feed.lying(".work")) == ([NAME], [])


def test_killed_before_the_commit_it_is_taken_at_the_next_start(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    feed.drop(dft(CHARGE))
    feed.killed(monkeypatch, "_held")
    assert (feed.states(), len(feed.lying(".work"))) == ([], 1)
    feed.look()
    assert (feed.states(), feed.lying("done")) == (["received"], [NAME])


def test_killed_before_a_bad_file_is_moved_the_hold_is_one_and_counts_it_once(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.drop(b"nothing")
    feed.killed(monkeypatch)
    feed.look()
    [hold] = feed.rows(tables.hold)
    assert hold.text.startswith("1 file lies in ")
    assert feed.states() == ["unreadable"]
    assert feed.lying("failed") == [NAME, NAME + ".error.txt"]


def test_an_invoice_that_was_stored_before_a_kill_is_stored_once_and_before_what_came_since(
    invoices: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoices.drop(json.dumps(invoice("1", 80)).encode(), "z-old.json")
    invoices.killed(monkeypatch)
    invoices.drop(json.dumps(invoice("1", 50)).encode(), "a-new.json")
    Feed(invoices.store, invoices.clock, invoices.path, "fhir").look()  # another process takes both up
    invoices.look()
    assert [json.loads(row.raw)["totalGross"]["value"] for row in invoices.rows()] == [80, 50]
    assert invoices.lying("done") == ["a-new.json", "z-old.json"]


def test_the_same_invoice_dropped_again_on_purpose_is_stored_again(invoices: Feed) -> None:
    for gross in (80, 50, 80):
        invoices.clock.advance(minutes=1)
        invoices.drop(json.dumps(invoice("1", gross)).encode(), "bill.json")
        invoices.look()
    assert [json.loads(row.raw)["totalGross"]["value"] for row in invoices.rows()] == [80, 50, 80]


def test_what_cannot_be_stored_waits_and_a_person_hears_of_it_until_it_can(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CannotStore("1 messages not stored (OperationalError)")

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "commit", full)
        feed.drop(dft(CHARGE))
        feed.look()
        assert feed.lying("done") == []
        assert feed.holds() == [("source:drop", "folder_unusable")]
    feed.look()
    assert (feed.states(), feed.lying("done"), feed.holds()) == (["received"], [NAME], [])


def test_a_folder_that_goes_away_is_told_once_and_taken_back_when_it_is_there(feed: Feed) -> None:
    feed.look()
    away = feed.path.with_name("away")
    feed.path.rename(away)
    feed.look()
    feed.look()
    [hold] = feed.rows(tables.hold)
    assert (hold.cause, hold.state) == ("folder_unusable", "open")
    assert "no such file or directory" in hold.text
    feed.start()  # a restart meanwhile
    away.rename(feed.path)
    feed.take(dft(CHARGE))
    assert (feed.holds(), feed.states()) == ([], ["received"])


def test_a_database_that_is_away_while_a_person_is_told_stops_nothing(
    feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise Transient("the database did not answer")

    feed.drop(b"nothing")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", away)
        feed.look()
    feed.look()
    assert feed.holds() == [("source:drop", "file_failed")]
    assert feed.lying("failed") == [NAME, NAME + ".error.txt"]


def test_a_mistake_of_ours_with_one_file_does_not_stop_the_next(feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = feed.wire.judge

    def trips(body: bytes, now: int) -> Any:
        if b"Fatal" in body:
            raise KeyError("Halloran")
        return judge(body, now)

    monkeypatch.setattr(feed.wire, "judge", trips)
    feed.take(dft(CHARGE, name="Fatal^Maeve"), dft(CHARGE))
    assert feed.states() == ["received"]
    note = (feed.path / "failed" / f"0-{NAME}.error.txt").read_text()
    assert "an unexpected KeyError on our side" in note
    assert "Halloran" not in note


# ------------------------------------------------------------------------------------------------------ its thread


def test_its_thread_takes_files_by_itself_and_stops_when_told(store: Store, clock: Clock, tmp_path: Path) -> None:
    feed = Feed(store, clock, tmp_path / "in")
    woken = threading.Event()
    folder = DropFolder(feed.path, feed.path / "done", feed.path / "failed", settle=0.02, clock=clock)
    listener = DirectoryListener(
        "drop", folder, feed.wire, Intake(store), store, every=0.02, settle=0.02, on_stored=woken.set
    )
    feed.drop(dft(CHARGE))
    listener.start()
    try:
        assert woken.wait(10)
    finally:
        listener.stop()
    assert (feed.states(), feed.lying("done"), listener.taken) == (["received"], [NAME], 1)


HL7 = Hl7Wire(SourceRules("drop", "lakeside", mapfile.load("hl7v2-dft"), max_bytes=500))
FHIR = FhirWire(FhirReceiver(FhirRules("drop", "lakeside", mapfile.load("fhir-invoice"), max_bytes=500)))
PIECES = (b"MSH|^~\\&|", b"\r", b"BTS|2", b"FT1|1", b'{"resourceType":"Invoice"}', b"\n", b'{"resourceType":"Bundle"')


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=12).map(b"".join))
def test_whatever_a_file_holds_it_is_taken_or_there_is_a_reason_to_put_beside_it(body: bytes) -> None:
    for wire in (HL7, FHIR):
        receipts, refused = wire.judge(body, 1)
        reasons = files.refusals(receipts, refused)
        assert receipts
        assert bool(reasons) == refused
        assert all(reasons)
        assert all(f"- {reason}\n" in files.note(reasons, MAY) for reason in reasons)
