"""Twelve sites, hundreds of messages, labels out of the invented truth: nobody is asked for more than their share."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from shapes.site import Site
from shapes.sites import SITES
from shapes.stories import folder, right_targets, stories
from workbench import Workbench, configuration

from chartpost.adapter.ledger import tables
from chartpost.mappings import mapfile

MAPS = Path(__file__).parents[2] / "samples" / "maps"
SEEDS = (1,)
COLUMNS = ("messages", "rightful", "made", "held", "must be held", "over-asked", "lowered later")


def map_of(site: Site) -> str:
    return str(MAPS / site.map) if site.map.endswith(".yaml") else site.map


def clinic() -> Any:
    """Return a configuration with a source and a facility for each site."""
    usual = configuration().facilities["lakeside"].model_dump(mode="json")
    facilities, sources = {}, {}
    for site in SITES:
        facilities[site.name] = usual | {
            "currency": site.currency, "region": site.region, "timezone": site.timezone
        }  # fmt: skip
        source = {"type": "mllp", "listen": "127.0.0.1:0", "facility": site.name, "consent": "on_file"}
        sources[site.name] = source | {"map": map_of(site), "share": site.share, **site.options}
    return configuration(facilities=facilities, sources=sources)


class Books:
    """What the ledger says of the accounts of one site."""

    def __init__(self, bench: Workbench, site: Site) -> None:
        self.bench, self.site = bench, site
        self.ids: dict[str, int] = {}

    def request(self, number: str) -> Any:
        """Return the open request of an account, None where there is none."""
        if number not in self.ids:
            rows = self.bench.rows(tables.account, source=self.site.name)
            self.ids = {row.number.decode(): row.id for row in rows}
        found = self.bench.rows(tables.request, account_id=self.ids.get(number), state="open")
        return found[0] if found else None

    def told(self, request: Any) -> str:
        """Return who got the link."""
        return str(self.bench.rows(tables.notice, request_id=request.id)[-1].recipient.decode())


def play(bench: Workbench, site: Site, seed: int) -> tuple[Counter[str], list[str]]:
    """Send all messages of a site; return the figures, and what was asked too much, or not asked."""
    books = Books(bench, site)
    figures: Counter[str] = Counter()
    remarks: list[str] = []
    for number, label in enumerate(stories(site, seed), 1):
        if label.pay:
            request = books.request(label.account)
            if request is not None and request.asked == label.pay[0]:
                bench.pay(*label.pay, request=request)
        row = bench.take(label.body, source=site.name)
        request = books.request(label.account)
        asked = request.asked if request else 0
        made = label.rightful and asked == label.owed and books.told(request) == label.payer
        figures += Counter({
            "messages": 1, "rightful": label.rightful, "made": made, "held": row.state == "held",
            "must be held": label.decide, "over-asked": asked > label.most,
            "lowered later": label.most >= asked > label.owed,
        })  # fmt: skip
        if asked > label.most or made < label.rightful:
            what = f"{number} {label.event} on {label.account}: asked {asked}, owed {label.owed}, at most {label.most}"
            remarks.append(f"{site.name} {what}; {row.state}: {row.reason}")
    return figures, remarks


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_asks_for_more_than_the_patients_share_and_nine_in_ten_rightful_ones_are_made(bench, seed):
    bench.use(clinic())
    played = {site.name: play(bench, site, seed) for site in SITES}
    everything: Counter[str] = sum((figures for figures, _ in played.values()), Counter())
    remarks = [remark for _, found in played.values() for remark in found]
    print(f"\n{'shape':10}", *(f"{column:>14}" for column in COLUMNS))
    for name, figures in {**{name: figures for name, (figures, _) in played.items()}, "all": everything}.items():
        print(f"{name:10}", *(f"{figures[column]:14}" for column in COLUMNS))
    print("\n".join(remarks))
    assert len(played) >= 10
    assert all(figures["messages"] >= 20 for figures, _ in played.values())
    assert everything["over-asked"] == 0
    assert everything["made"] >= 0.9 * everything["rightful"]
    assert everything["rightful"] >= 100


def test_the_labels_know_nothing_of_the_product():
    for path in Path(__file__).parent.glob("*.py"):
        if not path.name.startswith("test_"):
            modules = [
                node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)
            ]
            assert not [node.module for node in modules if (node.module or "").startswith("chartpost")], path.name


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_a_site_writes_the_same_folder_for_the_same_seed_and_another_for_another(site, tmp_path):
    paths = folder(site.name, tmp_path / "a", 7)
    assert len(paths) >= 20
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in folder(site.name, tmp_path / "b", 7)]
    assert paths[0].read_bytes() != folder(site.name, tmp_path / "c", 8)[0].read_bytes()


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_the_map_of_a_site_reads_every_right_target_from_its_path(site):
    map = mapfile.load(map_of(site))
    rows: dict[str, list[str]] = {"account": [path.text for path in map.account]}
    for row in (*map.message, *map.charge):
        rows.setdefault(row.target, []).extend(path.text for path in row.paths)
    wrong = {
        target: rows.get(target)
        for target, path in right_targets(site.name).items()
        if path not in rows.get(target, ())
    }
    assert wrong == {}
