"""`chartpost map new` on sites that it was not made for: nine in ten of the right places are found."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from shapes.sites import SITES
from shapes.stories import folder, right_targets

from chartpost.mappings import mapfile, propose
from chartpost.mappings.propose import written
from chartpost.mappings.read import Unreadable, accepts, read
from chartpost.mappings.specimens import Specimens, collect

#: Another seed than the one whose messages the maps in samples/maps were tried on.
SEED = 20


def places(found: Specimens, map: mapfile.Map) -> dict[str, Counter[str]]:
    """Return from which path each target came, and how often, over all messages that the map accepts."""
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for message in found.messages:
        if not accepts(message, map):
            continue
        try:
            trace = read(message, map, currency="USD", region="US", timezone="UTC").trace
        except Unreadable as error:
            trace = error.trace
        for line in trace:
            if line.path:
                seen[re.sub(r"^charges\[\d+\]\.", "", line.target)][re.sub(r"\[\d+\]", "", line.path)] += 1
    return seen


def test_nine_in_ten_of_the_right_targets_are_proposed_for_sites_that_nobody_tuned_it_on(tmp_path: Path) -> None:
    right, wrong = 0, []
    print(f"\n{'shape':<12}{'targets':>9}{'right':>7}   not found")
    for site in SITES:
        files = folder(site.name, tmp_path / site.name, seed=SEED)
        found = collect((path.name, path.read_bytes()) for path in files)
        text = written.text(propose.draft(found), f"{len(files)} messages")
        seen = places(found, mapfile.parse(text, "site.yaml"))
        # What a site calls its own (`my.…`) is for its rules: nobody can propose a name for it.
        wanted = {target: path for target, path in right_targets(site.name).items() if not target.startswith("my.")}
        missed = [
            f"{target}: {path}, not {', '.join(seen[target]) or 'anything'}"
            for target, path in wanted.items()
            if not _mostly(seen[target], path)
        ]
        right += len(wanted) - len(missed)
        wrong += [f"{site.name}: {one}" for one in missed]
        print(f"{site.name:<12}{len(wanted):>9}{len(wanted) - len(missed):>7}   {'; '.join(missed)}")
    share = right / (right + len(wrong))
    print(f"{right} of {right + len(wrong)}: {share:.1%}")
    assert share >= 0.9, wrong


def _mostly(seen: Counter[str], path: str) -> bool:
    """Say whether at least four in five values came from that path, or from a part of it."""
    whole = sum(seen.values())
    same = sum(count for place, count in seen.items() if place == path or place.startswith(f"{path}."))
    return whole > 0 and same >= 0.8 * whole
