"""A folder as a destination: real files, and what the flow makes of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from workbench import Workbench, configuration, dft, line

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.flow.deciding import release
from chartpost.adapter.ledger import states, tables
from chartpost.adapter.ports import Answer, Verdict
from chartpost.adapter.senders import directory
from chartpost.adapter.senders.directory import DirectorySender, Options, from_settings
from chartpost.mappings import er7

BODY = b"MSH|^~\\&|CHARTPOST\rFT1|1\r"


def sender(folder: Path) -> DirectorySender:
    return from_settings(Options(type="directory", path=str(folder), map="hl7v2-dft-payment"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_posting_becomes_a_file_named_for_it_and_counts_as_received(tmp_path: Path) -> None:
    assert sender(tmp_path).send(BODY, "PZE8WRGFXKZS") == Answer(Verdict.RECEIVED, "written")
    assert names(tmp_path) == ["PZE8WRGFXKZS.hl7"]
    assert (tmp_path / "PZE8WRGFXKZS.hl7").read_bytes() == BODY
    assert (tmp_path / "PZE8WRGFXKZS.hl7").stat().st_mode & 0o007 == 0, "nobody else may read it"


def test_where_the_site_says_so_a_file_that_is_written_is_accepted(tmp_path: Path) -> None:
    options = Options(type="directory", path=str(tmp_path), map="fhir-payment-reconciliation", written="accepted")
    assert from_settings(options).send(b"{}", "P1-2").verdict is Verdict.ACCEPTED
    assert names(tmp_path) == ["P1-2.json"]


def test_the_same_posting_again_changes_nothing_and_another_of_its_name_is_refused(tmp_path: Path) -> None:
    carrier = sender(tmp_path)
    carrier.send(BODY, "P1")
    before = (tmp_path / "P1.hl7").stat()
    assert carrier.send(BODY, "P1").verdict is Verdict.RECEIVED
    assert (tmp_path / "P1.hl7").stat().st_ino == before.st_ino
    for other in (BODY + b"x", BODY[:-1], b""):
        with pytest.raises(Permanent, match="another file of this name"):
            carrier.send(other, "P1")
    assert (tmp_path / "P1.hl7").read_bytes() == BODY


def test_what_a_killed_process_left_half_written_is_replaced_and_never_taken_for_the_posting(tmp_path: Path) -> None:
    (tmp_path / ".P1.hl7.tmp").write_bytes(BODY[:5])
    sender(tmp_path).send(BODY, "P1")
    assert names(tmp_path) == ["P1.hl7"]
    assert (tmp_path / "P1.hl7").read_bytes() == BODY


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_file_appears_whole_or_not_at_all_and_a_full_disk_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> Any:
        assert "P1.hl7" not in names(tmp_path)
        raise OSError(28, "No space left on device", "Halloran")

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(Path, "replace", full)
        else:
            patch.setattr(directory.os, {"write": "fdopen", "fsync": "fsync"}[step], full)
        with pytest.raises(Transient, match=f"^{tmp_path}: no space left on device$"):
            sender(tmp_path).send(BODY, "P1")
    assert names(tmp_path) == [], "and nothing is left behind"
    assert sender(tmp_path).send(BODY, "P1").verdict is Verdict.RECEIVED


def test_a_folder_that_is_not_there_is_never_made_and_tried_again(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="the folder is not there"):
        sender(tmp_path / "mount").send(BODY, "P1")
    assert names(tmp_path) == []


def test_a_disk_that_does_not_say_that_the_name_stays_leaves_it_to_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(directory, "_sync", broken)
    with pytest.raises(Ambiguous, match="input/output error"):
        sender(tmp_path).send(BODY, "P1")


@pytest.mark.parametrize("control_id", ["", "../P1", "P1/2", ".P1", "P 1"])
def test_an_id_that_is_no_name_of_a_file_is_refused(tmp_path: Path, control_id: str) -> None:
    with pytest.raises(Permanent):
        sender(tmp_path).send(BODY, control_id)
    assert names(tmp_path) == []


def test_check_says_whether_files_can_be_written_and_writes_none(tmp_path: Path) -> None:
    assert sender(tmp_path).check() == []
    assert names(tmp_path) == []
    [missing] = sender(tmp_path / "none").check()
    (tmp_path / "file").write_text("")
    [wrong] = sender(tmp_path / "file").check()
    assert missing.endswith("; make the folder, or correct the path")
    assert "not a directory" in wrong
    if os.geteuid() == 0:
        return
    tmp_path.chmod(0o500)
    [closed] = sender(tmp_path).check()
    assert "cannot be written to" in closed


# ------------------------------------------------------------------------------------------------------- the flow


def configured(bench: Workbench, folder: Path, **more: Any) -> None:
    """Give the source `all` a destination that is this folder."""
    place = {"type": "directory", "path": str(folder), "map": "hl7v2-dft-payment", **more}
    source = {"type": "mllp", "listen": "127.0.0.1:0", "facility": "lakeside", "share": "all", "destinations": ["out"]}
    bench.use(configuration(sources={"all": source}, destinations={"out": place}))


def paid(bench: Workbench) -> Any:
    """Charge and pay 45.00; return the posting."""
    bench.take(dft(line("CG", "45.00", date="20260504")))
    bench.pay(4500)
    bench.work("post", "deliver")
    return bench.one(tables.posting)


def test_a_payment_is_written_into_the_folder_and_its_posting_is_received(bench: Workbench, tmp_path: Path) -> None:
    configured(bench, tmp_path)
    posting = paid(bench)
    assert (posting.state, posting.answer_code) == (states.Posting.RECEIVED, "written")
    written = er7.parse((tmp_path / f"{posting.public_id}.hl7").read_bytes())
    assert (written.text("FT1", 2), written.text("FT1", 11)) == (posting.public_id, "45.00")
    assert bench.holds() == [], "what waited about the request has settled with it"


def test_a_folder_that_goes_away_holds_postings_back_until_it_is_there_again(bench: Workbench, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    configured(bench, folder)
    assert paid(bench).state == states.Posting.PUBLISHED
    for _ in range(6):
        bench.clock.advance(minutes=2)
        bench.work("deliver")
    [hold] = bench.rows(tables.hold, cause="not_reachable")
    assert "the folder is not there" in hold.text
    folder.mkdir()
    bench.clock.advance(minutes=2)
    bench.work("deliver")
    assert bench.one(tables.posting).state == states.Posting.RECEIVED
    assert bench.one(tables.hold, cause="not_reachable").state == "done"


def test_killed_while_it_was_written_a_person_looks_and_writing_it_again_makes_no_second_file(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(self: DirectorySender, body: bytes, control_id: str) -> Answer:
        send(self, body, control_id)
        raise Killed

    folder = tmp_path / "out"
    folder.mkdir()
    configured(bench, folder)
    send = DirectorySender.send
    with monkeypatch.context() as patch:
        patch.setattr(DirectorySender, "send", die)
        with pytest.raises(Killed):
            paid(bench)
    bench.clock.advance(minutes=30)
    bench.work("deliver")
    assert bench.one(tables.posting).state == states.Posting.UNKNOWN
    hold = bench.one(tables.hold, cause="unknown")
    assert release.retry(bench.flow, hold.id, by="Tess", sure=True).done
    bench.work("post", "deliver")
    assert bench.one(tables.posting).state == states.Posting.RECEIVED
    assert len(names(folder)) == 1
