"""Maps that change while it runs: good ones come into force, bad ones are refused, and messages know who read them."""

from __future__ import annotations

import json
import os
import threading

import pytest
from sqlalchemy import select
from workbench import configuration, dft, line

from chartpost.adapter import goldens, livecheck, livemaps, status
from chartpost.adapter.assembly import rules, wire
from chartpost.adapter.flow.charges.translate import batch
from chartpost.adapter.flow.door.receive import Receiver
from chartpost.adapter.ledger import tables
from chartpost.adapter.livecheck import Judged
from chartpost.adapter.livemaps import LiveMaps
from chartpost.mappings import layers, mapfile, postingmap

SITE = "extends: hl7v2-dft\n"
MENDED = "extends: hl7v2-dft\ntables: {kinds: {codes: {ZB: copay}}}\n"
BROKEN = "extends: hl7v2-dft\nmessages: [DFT^P03\n"
OUT = "extends: hl7v2-dft-payment\n"


def here(kind, path, stop):
    """Judge in this process: a second of a test is better spent otherwise."""
    return livecheck.judge(kind, path)


def put(path, text):
    """Write a file as an editor does: beside it, then in its place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


@pytest.fixture
def out(tmp_path):
    path = tmp_path / "out.yaml"
    path.write_text(OUT)
    return path


@pytest.fixture
def live(bench, site, out):
    """Return what looks after the maps of a bench whose source `all` reads by site.yaml."""
    settings = configuration()
    source = settings.sources["all"].model_copy(update={"map": str(site)})
    chart = {"type": "mllp", "address": "127.0.0.1:1", "map": str(out)}
    there = configuration(destinations={"chart": chart}).destinations
    bench.use(settings.model_copy(update={"sources": {"all": source}, "destinations": there}))
    made = LiveMaps(bench.flow, threading.Event(), lambda: None, here)
    look(made)
    return made


def look(live, times=2):
    for _ in range(times):
        live.look()


def maps(bench):
    with bench.store.read() as connection:
        return {(row["use"], row["place"]): row for row in status.maps(connection)}


def test_a_changed_map_is_in_force_once_it_was_the_same_twice_and_each_message_knows_which_map_read_it(
    bench, live, site
):
    before = bench.flow.maps["all"].label
    held = bench.take(dft(line("ZB", "25.00")))
    assert (held.state, held.map) == ("held", before)
    put(site, MENDED)
    look(live, 1)
    assert bench.flow.maps["all"].label == before, "it may still be being written"
    look(live, 1)
    after = bench.flow.maps["all"].label
    assert after != before
    assert bench.take(dft(line("ZB", "25.00"), account="A-2")).map == after
    assert maps(bench)["source", "all"]["map"] == after


def test_a_broken_map_is_refused_with_its_place_and_the_old_one_goes_on(bench, live, site):
    before = bench.flow.maps["all"].label
    put(site, BROKEN)
    look(live)
    (hold,) = bench.rows(tables.hold, state="open")
    assert (hold.object, hold.cause) == ("map:site.yaml", "map_refused")
    assert "site.yaml:" in hold.text
    assert str(site.parent) not in hold.text, "a path may say whose machine it is"
    told = maps(bench)["source", "all"]
    assert (told["map"], bool(told["refused"])) == (before, True)
    assert bench.take(dft(line("CO", "25.00"))).map == before


@pytest.mark.parametrize("text", [SITE, MENDED], ids=["put back", "corrected"])
def test_the_hold_of_a_refused_map_is_closed_once_it_is_put_back_or_corrected(bench, live, site, text):
    put(site, BROKEN)
    look(live)
    assert bench.holds() == ["map_refused"]
    put(site, text)
    look(live)
    assert bench.holds() == []
    assert maps(bench)["source", "all"]["refused"] == ""


def test_a_refused_map_has_one_hold_and_it_tells_of_the_newest_text(bench, live, site):
    put(site, BROKEN)
    look(live)
    first = bench.one(tables.hold, state="open").text
    put(site, "extends: nothing\n")
    look(live)
    assert bench.one(tables.hold, state="open").text != first


def test_a_file_that_is_missing_beside_a_map_brings_it_into_force_when_it_comes(bench, live, site):
    put(site, "extends: hl7v2-dft\ntables: {kinds: {file: codes.csv}}\n")
    look(live)
    assert bench.holds() == ["map_refused"]
    (site.parent / "codes.csv").write_text("code,meaning\nZB,copay\n")
    look(live)
    assert bench.holds() == []
    assert bench.take(dft(line("ZB", "25.00"))).state == "translated"


def test_a_map_that_no_longer_keeps_its_goldens_is_refused_without_a_value_until_they_are_approved_anew(
    bench, live, site
):
    samples = site.with_suffix("")
    samples.mkdir()
    body = samples / "first.hl7"
    body.write_bytes(dft(line("CO", "25.00")))

    def approve():
        map = mapfile.compile_map(layers.read(str(site)))
        terms = goldens.terms(map, "all")
        [found] = goldens.outcomes(map, terms, [body])
        goldens.write(body, goldens.golden(map, terms, found))

    approve()
    put(site, "extends: hl7v2-dft\ntables: {kinds: {codes: {CO: ignore}}}\n")
    look(live)
    (hold,) = bench.rows(tables.hold, state="open")
    assert "first.hl7: message 1, state differs from its golden" in hold.text
    assert "25.00" not in hold.text
    approve()
    look(live)
    assert bench.holds() == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("extends: fhir-invoice\n", "type: mllp carries HL7 v2"),
        ("extends: fhir-invoice\n", "another format"),
    ],
)
def test_a_map_that_the_source_could_not_start_with_does_not_come_into_force_later(bench, live, site, text, why):
    put(site, text)
    look(live)
    assert why in bench.one(tables.hold, state="open").text


def test_a_map_of_postings_comes_into_force_only_if_what_it_writes_conforms(bench, live, out):
    before = bench.flow.outbound["chart"].label
    put(out, f"{OUT}version: '2.3'\n")
    look(live)
    now = bench.flow.outbound["chart"].label
    assert now != before
    put(out, f"{OUT}rows: [{{target: PID-5, constant: '{'x' * 30}'}}, {{target: PV1-99, constant: x}}]\n")
    look(live)
    assert bench.holds() == ["map_refused"]
    assert bench.flow.outbound["chart"].label == now


def test_a_map_that_changes_while_it_is_judged_is_looked_at_again(bench, live, site):
    put(site, MENDED)
    live._judge = lambda kind, path, stop: Judged("site@00000000", [])
    look(live)
    assert "ZB" not in bench.flow.maps["all"].tables["kinds"].codes
    live._judge = here
    look(live)
    assert bench.flow.maps["all"].tables["kinds"].codes["ZB"] == "copay"


def test_a_file_that_was_only_touched_is_not_judged_again(bench, live, site):
    live._judge = lambda kind, path, stop: pytest.fail("nothing has changed")
    os.utime(site, (1, 1))
    look(live)
    assert bench.holds() == []


def test_every_door_reads_by_the_map_in_force_as_soon_as_it_changes(bench, live, site):
    body = dft(line("CO", "25.00")).replace(b"DFT^P03^DFT_P03", b"DFT^P11^DFT_P11")
    receiver, queue = Receiver(rules(bench.flow, "all")), wire(bench.flow, "all")
    assert receiver.receive(body, 0)[0].row.ack_code == "AA"
    put(site, "extends: hl7v2-dft\nmessages: [DFT^P03]\n")
    look(live)
    assert receiver.receive(body, 0)[0].row.ack_code == "AR"
    assert queue.judge(body, 0).refused


def test_one_batch_is_read_by_one_map_whatever_changes_meanwhile(bench, live, site, monkeypatch):
    """The label that a message keeps is that of the map that read it."""
    before = bench.flow.maps["all"]
    put(site, MENDED)
    bench.receive(dft(line("CO", "25.00")))
    write = type(bench.store).write

    def changed_first(store):
        bench.flow.maps["all"] = mapfile.compile_map(layers.read(str(site)))
        return write(store)

    monkeypatch.setattr(type(bench.store), "write", changed_first)
    batch(bench.flow)
    monkeypatch.undo()
    assert bench.one(tables.message).map == before.label != bench.flow.maps["all"].label


def test_which_map_is_in_force_and_since_when_survives_a_restart(bench, live, site):
    live.start()
    since = maps(bench)["source", "all"]["since"]
    bench.clock.advance(hours=3)
    again = LiveMaps(bench.flow, live._stop, lambda: None, here)
    again.start()
    assert maps(bench)["source", "all"]["since"] == since
    assert set(maps(bench)) == {("source", "all"), ("destination", "chart")}
    live._stop.set()
    live.stop()
    again.stop()


def test_every_shipped_map_of_postings_writes_examples_that_conform():
    found = [name for name in layers.shipped() if "\nwrites:" in layers.read_file(name)[0]]
    assert len(found) > 5
    for name in found:
        assert livecheck.judge("postings", name) == Judged(postingmap.load(name).label, [])


def test_another_process_judges_the_same_and_ends_when_we_do(site):
    assert livecheck.elsewhere("charges", str(site), threading.Event()) == here("charges", str(site), None)
    stop = threading.Event()
    stop.set()
    with pytest.raises(livecheck.Interrupted):
        livecheck.elsewhere("charges", str(site), stop)


def test_what_is_in_force_is_a_figure_too(bench, live, site):
    from chartpost.adapter import figures

    put(site, BROKEN)
    look(live)
    with bench.store.read() as connection:
        found = {metric.name: metric for metric in figures.waiting(connection, bench.clock())}
        rows = connection.execute(select(tables.cursor.c.value)).scalars().all()
    told = {sample.labels["place"]: sample.value for sample in found["chartpost_map_refused"].samples}
    assert told == {"all": 1.0, "chart": 0.0}
    assert all(set(json.loads(row)) == {"map", "refused"} for row in rows)


def test_a_map_whose_check_fails_unexpectedly_is_refused_and_the_other_maps_are_looked_at(bench, live, site, out):
    before, other = bench.flow.maps["all"].label, bench.flow.outbound["chart"].label

    def breaks(kind, path, stop):
        if kind == "charges":
            raise OSError("no more processes")
        return here(kind, path, stop)

    live._judge = breaks
    put(site, MENDED)
    put(out, OUT + "note: another text\n")
    look(live)
    assert bench.flow.maps["all"].label == before
    assert bench.flow.outbound["chart"].label != other
    (hold,) = bench.rows(tables.hold, state="open")
    assert (hold.cause, "OSError" in hold.text) == ("map_refused", True)


def test_a_text_that_breaks_its_goldens_does_not_come_into_force_by_a_restart_either(bench, live, site):
    folder = site.with_suffix("")
    folder.mkdir()
    file = folder / "first.hl7"
    file.write_bytes(dft(line("CO", "25.00")))
    map = mapfile.parse(site.read_text(), str(site))
    terms = goldens.terms(map, "copay")
    [found] = goldens.outcomes(map, terms, [file])
    goldens.write(file, goldens.golden(map, terms, found))
    assert livemaps.unproven(bench.flow) == []
    put(site, SITE + "tables: {kinds: {codes: {CO: charge}}}\n")
    look(live)
    assert maps(bench)["source", "all"]["refused"]
    mapfile.load.cache_clear()
    bench.use(bench.flow.settings)  # as after a restart: what lies on the disk is read
    [problem, *_] = livemaps.unproven(bench.flow)
    assert "first.hl7" in problem
    assert "make the golden anew" in problem
    put(site, SITE)
    mapfile.load.cache_clear()
    bench.use(bench.flow.settings)
    assert livemaps.unproven(bench.flow) == []
