"""Each sample becomes what stands beside it: the same doors, the same flow and the same writers as in `serve`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jwt
from workbench import TOKEN, Workbench, configuration

from chartpost.adapter import smart
from chartpost.adapter.ledger import tables
from chartpost.mappings import layers, mapfile, postingmap, write
from chartpost.mappings.model import Posting
from chartpost.mappings.yamltext import MapError

SAMPLES = Path(__file__).parents[1] / "samples"
SHAPES = SAMPLES / "shapes"


def samples(folder: str) -> list[Path]:
    return sorted(path for path in (SAMPLES / folder).iterdir() if not path.name.endswith(".expected.json"))


def expected(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.with_suffix(".expected.json").read_text("utf-8")))


@pytest.mark.parametrize("folder", ["hl7", "fhir"])
def test_every_sample_has_its_expectation_and_says_why(folder):
    assert len(samples(folder)) >= 9
    assert all(expected(path)["why"] for path in samples(folder))
    told = {f"{path.stem}.expected.json" for path in samples(folder)}
    assert {path.name for path in (SAMPLES / folder).glob("*.expected.json")} == told


@pytest.mark.parametrize(("folder", "source"), [("hl7", "copay"), ("fhir", "fhir_all")])
def test_the_samples_in_their_order_end_as_expected(bench, folder, source):
    """One ledger for all: some repeat or change what came before."""
    wrong = []
    asked: dict[int, int] = {}
    for path in samples(folder):
        wanted = expected(path)
        row = bench.take(path.read_bytes(), source=source)
        holds = [hold.cause for hold in bench.rows(tables.hold, object=f"message:{row.id}")]
        open_now = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        moved = [amount for number, amount in open_now.items() if asked.get(number) != amount]
        asked = open_now
        seen = {
            "ack": row.ack_code if folder == "hl7" else str(bench.status),
            "state": row.state,
            "hold": holds[0] if holds else None,
            "asked": moved[0] if moved else None,
        }
        if wanted["posted"] and wanted["asked"]:
            bench.pay(wanted["pay"] or wanted["asked"])
            seen["paid"] = bench.request().state == "paid"
            asked = {request.id: request.asked for request in bench.rows(tables.request, state="open")}
        wrong += [f"{path.stem}: {name} is {seen[name]!r}" for name in seen if seen[name] != wanted[name]]
    assert wrong == []


# --------------------------------------------------------------- one shape of the wire each, by the map that it names


def shapes() -> list[Path]:
    return sorted(path for path in SHAPES.iterdir() if not path.name.endswith(".expected.json"))


def clinic(wanted: dict[str, Any], kind: str) -> Any:
    """Return a configuration with the one source that a sample says."""
    stated = dict(wanted["source"])
    facility = configuration().facilities["lakeside"].model_dump(mode="json") | stated.pop("facility", {})
    source = {"facility": "lakeside", "consent": "on_file", "type": kind}
    source |= {"token": TOKEN} if kind == "fhir" else {"listen": "127.0.0.1:0"}
    if stated["map"].startswith("maps/"):
        stated["map"] = str(SAMPLES / stated["map"])
    return configuration(facilities={"lakeside": facility}, sources={"all": source | stated})


def take(bench: Workbench, path: Path, wanted: dict[str, Any]) -> Any:
    """Pay what the sample says is paid before it, then take it; return the last message that it became."""
    if "pay" in wanted:
        bench.pay(wanted["pay"]["amount"], wanted["pay"]["reference"])
    fates = bench.receive(path.read_bytes())
    bench.translate()
    return bench.one(tables.message, id=fates[-1].id)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", shapes(), ids=lambda path: path.stem)
def test_every_shape_of_the_wire_is_read_as_the_sample_says(bench, path):
    wanted = expected(path)
    bench.use(clinic(wanted, "fhir" if path.suffix == ".json" else "mllp"))
    for name in wanted.get("after", []):
        earlier = next(SHAPES.glob(f"{name}.[hj]*[7n]"))
        take(bench, earlier, expected(earlier))
    row = take(bench, path, wanted)
    holds = [hold.cause for hold in bench.rows(tables.hold, object=f"message:{row.id}")]
    asked = [request.asked for request in bench.rows(tables.request, state="open")]
    told = [notice.recipient.decode() for notice in bench.rows(tables.notice) if notice.recipient]
    assert {
        "ack": str(bench.status) if path.suffix == ".json" else row.ack_code,
        "state": row.state,
        "hold": holds[0] if holds else None,
        "asked": asked[0] if asked and row.state == "translated" else None,
        "texted": told[-1] if told and not wanted.get("after") else None,
    } == {key: wanted[key] for key in ("ack", "state", "hold", "asked", "texted")}, (row.reason, bench.holds())


# ------------------------------------------------------------------------------------- postings, and who we say we are


def outgoing(folder: str) -> list[Path]:
    return sorted(path for path in (SAMPLES / folder).glob("*.json") if ".expected." not in path.name)


@pytest.mark.parametrize("path", outgoing("postings"), ids=lambda path: path.stem)
def test_every_posting_is_written_as_the_sample_says_and_its_standard_agrees(path):
    said = json.loads(path.read_text("utf-8"))
    map = postingmap.load(said["map"])
    body = write.write(Posting.model_validate(said["posting"]), map)
    assert write.check(body, map) == []
    fhir = path.with_suffix(".expected.json")
    if fhir.exists():  # numbers as text: 45.00 is not 45.0
        assert json.loads(body, parse_float=str) == json.loads(fhir.read_text("utf-8"), parse_float=str)
    else:
        assert body == path.with_suffix(".expected.hl7").read_bytes()


@pytest.mark.parametrize("path", outgoing("smart"), ids=lambda path: path.stem)
def test_every_assertion_says_what_the_sample_says_and_its_signature_holds(path, tmp_path):
    said, wanted = json.loads(path.read_text("utf-8")), expected(path)
    options = smart.Smart.model_validate(said["options"])
    own = smart.keys(tmp_path)[options.algorithm]
    public = jwk.JWKRegistry.import_key(own.as_dict(private=False))
    told = jwt.decode(smart.assertion(options, own, said["now"], said["jti"]), public, algorithms=[options.algorithm])
    assert told.claims == wanted["claims"]
    assert told.header == {"kid": own.thumbprint()} | wanted["header"]


# ----------------------------------------------------------------------------------------------- nothing is left out


def test_every_line_of_the_tables_in_the_readme_is_covered_and_names_its_samples():
    shown: dict[str, set[str]] = {}
    for folder in ("hl7", "fhir", "shapes", "postings", "smart"):
        for path in (SAMPLES / folder).glob("*.json"):
            for line in json.loads(path.read_text("utf-8")).get("covers", []):
                shown.setdefault(line, set()).add(f"{folder}/{path.name.partition('.')[0]}")
    table = re.findall(r"^\| (\d\.\d+) \| .* \| (.*) \|$", (SAMPLES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert {line: set(re.findall(r"`([^`]+)`", names)) for line, names in table} == shown
    assert [line for line, _ in table] == [f"1.{n}" for n in range(1, 20)] + [f"3.{n}" for n in range(1, 9)]
    assert len(shapes()) + len(samples("hl7")) + len(samples("fhir")) >= 40


def test_every_shipped_map_of_charges_is_shown_by_a_sample_and_explained_to_administrators():
    page = (SAMPLES.parent / "docs" / "admin" / "shapes.md").read_text("utf-8")
    read = {expected(path)["source"]["map"] for path in shapes()}
    explained = set(re.findall(r"^\|.*?\| `([a-z0-9-]+)` \|", page, re.MULTILINE))
    charges = {name for name in layers.shipped() if "chart.PID-3" in charge_targets(name)}
    assert charges <= read
    assert charges == explained


def charge_targets(name: str) -> set[str]:
    """Return what a shipped map of charges reads; nothing for a map of postings."""
    try:
        return {row.target for row in mapfile.load(name).message}
    except MapError:
        return set()


def test_the_samples_show_only_invented_people():
    wrong = []
    for path in sorted(path for path in SAMPLES.glob("[!cs]*/*") if path.is_file()) + sorted(SHAPES.iterdir()):
        text = path.read_bytes().decode("latin-1").replace("@example.org", "")
        numbers = re.findall(r"(?:\+1|\b1?)[ ^(-]*\d{3}\)?[ ^-]*(\d{3}[ -]?\d{4})\b", text)
        wrong += [f"{path.name}: {number}" for number in numbers if not re.fullmatch("555[ -]?01\\d\\d", number)]
        wrong += [f"{path.name}: an address" for _ in re.findall(r"\w@\w", text)]
    assert wrong == []
