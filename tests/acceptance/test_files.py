"""Charges come as a file, payments go as a file, and the house is killed (SIGKILL) where it is most awkward."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from crash import armed, other_side, plainly
from house import CONFIGURATION, SAMPLES, House, running
from killer import Passage, read
from people import Patient, link_or_hold

from chartpost.adapter.dropfolder import LOCK

SAMPLE = SAMPLES / "01_two_charges.hl7"
#: What some systems name their files for.
NAME = "HALLORAN_MAEVE_19840612.hl7"
FILES = CONFIGURATION.replace(
    "sources:\n",
    "sources:\n"
    "  drop:\n"
    "    {{type: directory, path: in, every: 0.1, settle: 0.2, map: hl7v2-dft, facility: lakeside, share: copay,\n"
    "      consent: on_file, destinations: [files]}}\n",
).replace("destinations:\n", "destinations:\n  files: {{type: directory, path: out, map: hl7v2-dft-payment}}\n", 1)
FILES = FILES.replace("notifiers: [sms, mail],", "notifiers: [sms, mail], receipts: false,")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def state_of(house: House) -> str:
    """Return the state of the one posting once nobody works on it any more."""
    posting = house.one("postings")
    return posting["state"] if posting and posting["state"] not in ("due", "published") else ""


@pytest.mark.parametrize(
    "kill",
    [
        ("after the commit at the MLLP door", 1),  # every door's: the file is stored, and not moved yet
        ("after the move of a file", 1),
        ("after call DirectorySender.send", 1),  # the posting is written, and nobody has noted it
    ],
    ids=["stored", "moved", "written"],
)
def test_a_file_becomes_a_payment_and_a_file_and_a_kill_makes_nothing_happen_twice(
    kill: Passage, tmp_path: Path
) -> None:
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir(), outbox.mkdir()
    with running(tmp_path, product=plainly, sandbox=other_side, configuration=FILES) as house:
        (inbox / NAME).write_bytes(SAMPLE.read_bytes())
        house.start(partial(armed, tmp_path / "passages", kill))
        patient = Patient(house, link_or_hold(house))
        patient.pay(patient.reach_card_page("$45.00"))
        patient.paid()
        state = house.until("the posting's end", lambda: state_of(house))
        house.until("the file in done", lambda: names(inbox / "done"))

        assert house.ends == [-9], "it was killed, once"
        assert kill in read(tmp_path / "passages")
        assert (names(inbox / "done"), names(inbox / ".work"), names(inbox / "failed")) == ([NAME], [LOCK], [])
        [message], [posting] = house.rows("messages"), house.rows("postings")
        assert (message["state"], message["source"]) == ("translated", "drop")
        assert len(house.sandbox.texts()) == 1
        [written] = outbox.iterdir()
        assert written.name == f"{posting['id']}.hl7"
        assert f"|{posting['id']}|".encode() in written.read_bytes()
        holds = [(row["cause"], row["object"]) for row in house.rows("holds") if row["state"] == "open"]
        in_doubt = kill[0] == "after call DirectorySender.send"
        assert (state, holds) == (("unknown", [("unknown", posting["id"])]) if in_doubt else ("received", []))

        (inbox / "again.hl7").write_bytes(SAMPLE.read_bytes())
        house.until("the copy", lambda: names(inbox / "done") == [NAME, "again.hl7"])
        assert [row["state"] for row in house.rows("messages")] == ["translated", "duplicate"]
        assert len(house.sandbox.texts()) == 1
        assert house.stop() == 0, "it did not drain"
    assert "19840612" not in (tmp_path / "serve.out").read_text("utf-8")
