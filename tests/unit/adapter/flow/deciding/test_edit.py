"""edit: a person corrects a held message; what came stays as it came, and nothing counts twice."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from workbench import MAY, Clock, Workbench, configuration, dft, line

from chartpost.adapter.flow.charges import translate
from chartpost.adapter.flow.deciding import edit, release
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.story import story


def draft(bench: Workbench, *sets: str, text: bytes | None = None, number: int | None = None) -> edit.Draft:
    number = number or bench.rows(tables.hold, state="open")[-1].id
    return edit.draft(bench.flow, number, sets=sets, text=text)


def keep(bench: Workbench, made: edit.Draft, why: str = "told by the clinic") -> str:
    said = edit.keep(bench.flow, made, by="anna", why=why)
    bench.translate()
    return said.text


def told(bench: Workbench, name: str, *, reveal: bool = False) -> str:
    with bench.store.read() as connection:
        moments = story(connection, name, reveal=reveal)
    return "\n".join("\n".join((moment.text, *moment.details)) for moment in moments)


def refused(bench: Workbench, *sets: str, text: bytes | None = None, number: int | None = None) -> str:
    with pytest.raises(No) as no:
        draft(bench, *sets, text=text, number=number)
    return str(no.value)


def test_a_corrected_message_counts_as_corrected_and_the_original_stays_as_it_came(bench):
    came = dft(line("CG", "10.00", "A"), line("ZB", "30.00", "B"))
    bench.take(came)
    made = draft(bench, "FT1[2]-6=CG")
    assert ([tuple(one) for one in made.differences], made.moves) == ([("FT1[2]-6", "ZB", "CG")], False)
    assert keep(bench, made) == "the message is read again, as corrected"
    row = bench.one(tables.message)
    assert (row.state, row.raw, row.edited) == ("translated", came, came.replace(b"|ZB|", b"|CG|"))
    assert (row.edited_by, row.edited_why, bench.one(tables.account).balance) == ("anna", "told by the clinic", 4000)


def test_the_story_says_who_edited_it_and_why_and_shows_the_text_only_when_asked_to(bench):
    bench.take(dft(line("ZB", "30.00", "B")))
    keep(bench, draft(bench, "FT1-6=CG"))
    assert "edited by anna because told by the clinic" in told(bench, "M1")
    assert "Silvia" not in told(bench, "M1")
    assert "as corrected:" in told(bench, "M1", reveal=True)
    assert bench.one(tables.hold).note == "(edited)"


def test_nothing_is_kept_before_a_person_has_seen_the_draft(bench):
    bench.take(dft(line("ZB", "30.00")))
    draft(bench, "FT1-6=CG")
    assert (bench.one(tables.message).state, bench.one(tables.message).edited, bench.holds()) == (
        "held", None, ["unreadable_line"],
    )  # fmt: skip


def test_a_whole_text_may_be_given_also_with_line_feeds_as_editors_write_them(bench):
    came = dft(line("ZB", "30.00"))
    bench.take(came)
    made = draft(bench, text=came.replace(b"|ZB|", b"|CG|").replace(b"\r", b"\n"))
    assert [one.path for one in made.differences] == ["FT1[1]-6"]
    keep(bench, made)
    assert bench.one(tables.account).balance == 3000


@pytest.mark.parametrize(
    ("sets", "why"),
    [
        (["FT1-6=ZC"], "still cannot be read"),
        (["FT1[4]-6=CG"], "no such segment"),
        (["FT1-6"], "--set is a path"),
        (["nonsense=CG"], "is not a path"),
        (["FT1-6=CG", "PID-18="], "names no account"),
        (["MSH-9=ADT^A99"], "still cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(bench, sets, why):
    bench.take(dft(line("ZB", "30.00")))
    assert why in refused(bench, *sets)
    assert bench.holds() == ["unreadable_line"]


def test_a_text_that_says_the_same_as_before_is_no_correction(bench):
    bench.take(dft(line("CG", "30.00&EUR")))
    assert "nothing to correct" in refused(bench, "FT1-6=CG")


def test_a_refusal_names_no_value_of_a_person(bench):
    bench.take(dft(line("ZB", "30.00")))
    for sets in (["PID-5.1=Halloran|x", "FT1-6=ZB"], ["PID-5=Halloran|x"], ["PID-99[4]-1=Halloran"]):
        assert "Halloran" not in refused(bench, *sets)
    assert "Halloran" not in refused(bench, text=b"Halloran, no message at all")


def test_a_correction_that_leads_to_another_account_says_so_and_its_message_moves_there(bench):
    bench.take(dft(line("ZB", "30.00", "A"), account="A-1"))
    first = bench.one(tables.message).lane
    made = draft(bench, "FT1-6=CG", "PID-18=A-2^^^LAKESIDE^AN")
    assert made.moves
    keep(bench, made)
    account = bench.one(tables.account)
    assert (account.number, account.key == bench.one(tables.message).lane != first) == (b"A-2", True)


def test_a_message_that_named_no_account_may_be_given_one(bench):
    bench.take(dft(line("CG", "30.00"), account=""))
    assert bench.holds() == ["no_account"]
    made = draft(bench, "PID-18=A-7^^^LAKESIDE^AN")
    assert not made.moves
    keep(bench, made)
    assert bench.one(tables.account).number == b"A-7"


def test_an_adt_that_names_no_account_is_corrected_like_any_other(bench):
    source = bench.flow.settings.sources["all"].model_copy(update={"map": "hl7v2-dft-adt"})
    bench.use(bench.flow.settings.model_copy(update={"sources": {"all": source}}))
    bench.take(dft(line("CG", "40.00")))
    came = b"MSH|^~\\&|HIS|LAKESIDE|CHARTPOST|DOOR|20260505||ADT^A40|ADT1|P|2.5.1\rPID|1||M-9^^^LAKESIDE^MR\rMRG|\r"
    assert bench.take(came).state == "held"
    made = draft(bench, "MRG-1=M-A-1^^^LAKESIDE^MR")
    assert not made.moves
    keep(bench, made)
    assert bench.one(tables.account).chart["PID-3"] == "M-9^^^LAKESIDE^MR"


def test_an_invoice_is_corrected_as_a_whole(bench):
    came = {"resourceType": "Invoice", "id": "i-1", "status": "issued", "subject": {"display": "Silvia Sample"}}
    came["totalGross"] = {"value": 42.5, "currency": "EUR"}
    bench.take(json.dumps(came).encode(), source="fhir_all")
    assert bench.holds() == ["currency"]
    assert "--file" in refused(bench, "Invoice.totalGross=1")
    assert "not JSON" in refused(bench, text=b"{")
    came["totalGross"]["currency"] = "USD"
    made = draft(bench, text=json.dumps(came).encode())
    assert [tuple(one) for one in made.differences] == [("Invoice.totalGross.currency", "EUR", "USD")]
    keep(bench, made)
    assert (bench.one(tables.account).balance, bench.one(tables.message).edited_by) == (4250, "anna")


def test_it_can_be_corrected_again_from_where_it_stands(bench):
    bench.take(dft(line("ZB", "30.00&EUR", "A")))
    keep(bench, draft(bench, "FT1-6=CG"))
    assert bench.holds() == ["currency"]
    made = draft(bench, "FT1-11=30.00&USD")
    assert [one.path for one in made.differences] == ["FT1[1]-11"]
    keep(bench, made, "the clinic bills in dollars")
    row = bench.one(tables.message)
    assert (row.state, row.edited_why, b"ZB" in row.raw) == ("translated", "the clinic bills in dollars", True)


def test_of_two_people_who_correct_one_message_the_second_is_told_that_it_is_done(bench):
    bench.take(dft(line("ZB", "30.00")))
    mine, yours = draft(bench, "FT1-6=CG"), draft(bench, "FT1-6=CO")
    keep(bench, mine)
    assert keep(bench, yours) == "it is done already"
    assert "it is done already" in refused(bench, "FT1-6=CO", number=mine.number)
    assert [row.kind for row in bench.rows(tables.entry)] == ["charge"]


def test_only_what_holds_a_message_can_be_corrected(bench):
    bench.take(dft(line("CG", "30.00"), phone=""))
    assert "only what holds a message" in refused(bench, "FT1-6=CO")
    assert "no such hold" in refused(bench, "FT1-6=CO", number=99)


def test_what_was_waived_for_the_old_text_is_asked_again_of_the_new_one(bench):
    bench.take(dft(line("CG", "30.00&EUR", date="20200101")))
    (number,) = release.open_holds(bench.store)
    with bench.store.write() as tx:
        tx.run(tables.message.update().values(waived="old_charges"))
    keep(bench, draft(bench, "FT1-11=30.00", number=number))
    assert bench.holds() == ["old_charges"]


def test_a_text_that_was_read_before_the_correction_is_not_what_counts(bench):
    """Another process may have read the message, and settle it only after a person has corrected it."""
    bench.receive(dft(line("CG", "30.00&EUR")))
    row = bench.one(tables.message)
    stale = [(row, translate._read(bench.flow, row))]
    bench.translate()
    edit.keep(bench.flow, draft(bench, "FT1-11=20.00&USD"), by="anna", why="in dollars")
    with bench.store.write() as tx:
        translate._settle(bench.flow, tx, stale, {})
    assert bench.one(tables.message).state == "received", "left to be read anew"
    bench.translate()
    assert bench.one(tables.account).balance == 2000


# -------------------------------------------------------------------------------------------------- what always holds

DO = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.sampled_from(["CG", "CD", "ZB"]), st.sampled_from("XY"), st.sampled_from("12")),
        st.tuples(st.just("retry"), st.integers(0, 5), st.booleans()),
        st.tuples(st.just("edit"), st.integers(0, 5), st.sampled_from(["CG", "CD", "ZB", "CO"])),
        st.tuples(st.just("dismiss"), st.integers(0, 5)),
        st.tuples(st.just("translate")),
    ),
    max_size=12,
)


@given(steps=DO)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_in_whatever_order_people_edit_and_retry_each_line_of_a_message_counts_at_most_once(migrated, steps):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "chartpost.db"
        shutil.copy(migrated, path)
        store = Store.open(f"sqlite:///{path}", clock=Clock(MAY), migrate=False)

        @event.listens_for(store.engine, "connect")
        def _fast(connection, _):
            connection.execute("PRAGMA synchronous=OFF")

        bench = Workbench(store, store.clock, configuration())  # type: ignore[arg-type]
        raws: dict[int, bytes] = {}
        try:
            for step in steps:
                numbers = [row.id for row in bench.rows(tables.hold)] or [1]
                match step:
                    case ("take", kind, code, account):
                        bench.receive(dft(line(kind, "10.00", code), line("CG", "5.00", "Z"), account=f"A-{account}"))
                    case ("retry", which, sure):
                        release.retry(bench.flow, numbers[which % len(numbers)], by="anna", sure=sure)
                    case ("edit", which, kind):
                        try:
                            made = draft(bench, f"FT1-6={kind}", number=numbers[which % len(numbers)])
                        except No:
                            continue
                        edit.keep(bench.flow, made, by="anna", why="a test")
                    case ("dismiss", which):
                        release.dismiss(bench.store, numbers[which % len(numbers)], by="anna", why="a test")
                    case _:
                        bench.translate()
                for row in bench.rows(tables.message):
                    assert raws.setdefault(row.id, row.raw) == row.raw, "what came stays as it came"
            bench.translate()
            bench.check()
            entries = bench.rows(tables.entry)
            assert len({entry.cause for entry in entries}) == len(entries)
            for row in bench.rows(tables.message):
                counted = [entry for entry in entries if entry.message_id == row.id]
                assert len(counted) <= 2, "two lines, two entries at most"
                assert not counted or row.state == "translated", "and none unless it counts as a whole"
        finally:
            bench.close()
            store.close()
