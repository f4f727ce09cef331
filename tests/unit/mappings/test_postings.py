"""What each map makes of one payment, one refund and one dispute: goldens that a person has read, in every format."""

from __future__ import annotations

from pathlib import Path

import pytest

from chartpost.mappings import layers, movement, postingmap
from chartpost.mappings.fhir import jsontext
from chartpost.mappings.model import Posting
from chartpost.mappings.write import Unwritable, check, write

FOLDER = Path(__file__).parents[3] / "samples" / "outbound"
SITES = sorted((FOLDER / "maps").glob("*.yaml"))
SHIPPED = [name for name in layers.shipped() if "writes" in layers.read(name).top.data]
NAMES = [*SHIPPED, *map(str, SITES)]
KINDS = ("payment", "refund", "dispute")


def sample(kind: str) -> Posting:
    return Posting.model_validate_json((FOLDER / f"{kind}.json").read_text("utf-8"))


def golden(name: str, kind: str) -> Path:
    map = postingmap.load(name)
    return FOLDER / "golden" / map.name / f"{kind}.{map.extension}"


@pytest.mark.parametrize("name", NAMES, ids=lambda name: Path(name).stem)
def test_what_each_map_writes_is_the_golden_and_conforms_and_what_it_cannot_say_is_refused(name: str) -> None:
    map = postingmap.load(name)
    for kind in KINDS:
        path = golden(name, kind)
        if kind in map.kinds:
            body = write(sample(kind), map)
            assert body == path.read_bytes(), f"{path}: {body!r}"
            assert check(body, map) == []
        else:
            with pytest.raises(Unwritable, match=f"does not say how a {kind} is written"):
                write(sample(kind), map)
            assert not path.exists()


def test_every_golden_belongs_to_a_map_and_every_format_takes_money_back() -> None:
    folders = {postingmap.load(name).name for name in NAMES if postingmap.load(name).kinds}
    assert {path.name for path in (FOLDER / "golden").iterdir()} == folders
    loaded = [postingmap.load(name) for name in NAMES]
    assert {"hl7v2", "fhir", "flat"} == {map.format for map in loaded if {"refund", "dispute"} <= set(map.kinds)}
    assert {"2.3", "2.4", "2.5.1", "2.8"} <= {map.version for map in loaded if map.format == "hl7v2"}


def test_who_takes_money_back_names_the_payment_that_told_of_it() -> None:
    """Oracle's resource has no place for it, and before 2.7 DFT has FT1-9; from 2.5 FT1-30 is that of the payment."""
    predecessor = sample("refund").predecessor
    silent = {"oracle", "dft-2-8"}
    for name in NAMES:
        map = postingmap.load(name)
        if "refund" in map.kinds and map.name not in silent:
            assert predecessor.encode() in write(sample("refund"), map), map.name
            nameless = sample("refund").model_copy(update={"predecessor": ""})
            if map.format != "hl7v2":  # there a person, or FT1-30, finds the payment
                with pytest.raises(Unwritable, match="predecessor is empty"):
                    write(nameless, map)


def test_at_oracle_the_allocations_add_up_and_ids_have_no_special_characters() -> None:
    map = postingmap.load(str(FOLDER / "maps" / "oracle.yaml"))
    made = jsontext.decode(write(sample("payment"), map))
    by_name = {one["url"].rpartition("/")[2]: one for one in made["extension"]}
    allocated = [
        part["valueMoney"]
        for one in made["extension"]
        if one["url"].endswith("financial-transaction-allocation")
        for part in one["extension"]
        if part["url"] == "amount"
    ]
    assert sum(money["value"] for money in allocated) == by_name["financial-transaction-amount"]["valueMoney"]["value"]
    assert made["identifier"][0]["value"].isalnum()
    assert by_name["financial-transaction-card-brand"]["valueString"] == "VISA"


def test_at_oracle_a_card_of_no_known_brand_waits_and_what_is_no_card_has_none() -> None:
    map = postingmap.load(str(FOLDER / "maps" / "oracle.yaml"))
    with pytest.raises(Unwritable, match="not in the table brands of map oracle"):
        write(sample("payment").model_copy(update={"medium": "card/unionpay"}), map)
    made = write(sample("payment").model_copy(update={"medium": "card"}), map)
    assert b"financial-transaction-card-brand" not in made
    assert check(made, map) == []


def test_a_charge_that_names_no_account_of_the_server_is_not_posted_to_oracle() -> None:
    map = postingmap.load(str(FOLDER / "maps" / "oracle.yaml"))
    with pytest.raises(Unwritable, match="account_reference is empty"):
        write(sample("payment").model_copy(update={"chart": {"PID-18": "K-30101"}}), map)


def test_a_way_to_pay_that_nobody_named_is_held_or_has_the_stated_code() -> None:
    unknown = sample("payment").model_copy(update={"medium": "giro"})
    with pytest.raises(Unwritable, match='medium "giro" is not in the table media'):
        write(unknown, postingmap.load("hl7v2-dft-payment"))
    assert b"|PY|OTHER|" in write(unknown, postingmap.load(str(FOLDER / "maps" / "dft-2-4.yaml")))


def test_a_batch_that_is_longer_than_its_field_is_not_sent() -> None:
    with pytest.raises(Unwritable, match="batch is longer than 10 characters"):
        write(sample("payment").model_copy(update={"batch": "LAKESIDE261122"}), postingmap.load("hl7v2-dft-payment"))


def test_a_map_knows_its_files_and_its_text() -> None:
    site = postingmap.load(str(FOLDER / "maps" / "lockbox.yaml"))
    assert [Path(name).name for name in site.files] == ["lockbox.yaml"]
    assert postingmap.load("flat-lockbox").files == ()
    assert site.label == f"lockbox@{site.edition}"
    assert len(site.edition) == 8


def test_rows_of_another_kind_are_not_there() -> None:
    map = postingmap.load("hl7v2-dft-payment")
    assert isinstance(map, postingmap.Hl7Map)
    assert "FT1-9" not in {row.place for row in movement.rows_for(map.rows, "payment")}
    assert "FT1-9" in {row.place for row in movement.rows_for(map.rows, "refund")}
