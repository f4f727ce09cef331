"""Maps that change while we run: a changed file is read, tried, and put into force without a restart; or it is refused.

Every two seconds the files of each configured map are looked at, and what is beside them in its folder. Once they have
been the same twice, the map is compiled, checked as at the start, and judged (livecheck.py). A good one takes the place
of the old one in `Flow.maps`, `outbound` or `shadows`: one assignment. With a bad one the old one stays in force, and a
person is told. Which map is in force stands in the table `cursor`, so that `chartpost status` can say it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chartpost.adapter import checks, goldens, livecheck, shadows
from chartpost.adapter.errors import Transient
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.flow.gate import Stop
from chartpost.adapter.ledger import maps_in_force
from chartpost.adapter.ledger.maps_in_force import Use, row_name
from chartpost.adapter.livecheck import Interrupted, Judged, Kind
from chartpost.adapter.log import get
from chartpost.adapter.settings import ShareRule
from chartpost.mappings import layers, mapfile, postingmap

#: Seconds between two looks.
EVERY = 2.0
#: Looks between two counts of the days of shadows.
_SHADOWS = 30
_ENDINGS = (".yaml", ".yml", ".csv")
log = get(__name__)

Signature = dict[str, tuple[int, int, int]]  #: file → what changes with its content
Judge = Callable[[Kind, str, Stop], Judged]


@dataclass(slots=True)
class _Watched:
    """One map file, and where it is in force."""

    use: Use
    path: str
    places: list[str]  #: sources or destinations
    files: tuple[str, ...]
    seen: Signature | None = None  #: as it was when it was last judged
    pending: Signature | None = None  #: as it was at the last look, if that was something new
    problems: list[str] = field(default_factory=list)  #: why what lies on the disk is refused
    told: bool = False

    @property
    def name(self) -> str:
        return Path(self.path).name


def unproven(flow: Flow) -> list[str]:
    """Return how the maps of charges that were changed since the last run break their goldens.

    A text that was refused while it ran must not come into force by a restart: the one before it is nowhere any more.
    """
    with flow.store.read() as connection:
        before = {(row["use"], row["place"]): row["map"] for row in maps_in_force.in_force(connection)}
    paths = {
        source.map: None
        for name, source in flow.settings.sources.items()
        if flow.maps[name].files and before.get(("source", name)) != flow.maps[name].label
    }
    fix = "correct the map, or make the golden anew and read it (chartpost map try --golden)"
    return [f"{problem}; {fix}" for path in paths for problem in livecheck.judge("charges", path).problems]


class LiveMaps:
    """Looks after the maps of one flow, in a thread of its own."""

    def __init__(
        self, flow: Flow, stop: threading.Event, before: Callable[[], None], judge: Judge = livecheck.elsewhere
    ) -> None:
        """`before` is called before work that takes a processor: it waits while a door is busy."""
        self._flow, self._stop, self._before, self._judge = flow, stop, before, judge
        self._force: Mapping[Use, dict[str, Any]] = {
            "source": flow.maps, "destination": flow.outbound, "shadow": flow.shadows,
        }  # fmt: skip
        self._watched = self._all()
        self._looks = 0
        self._thread = threading.Thread(target=self._run, name="maps", daemon=True)

    def _all(self) -> list[_Watched]:
        settings = self._flow.settings
        wanted: list[tuple[Use, str, str]] = [("source", name, one.map) for name, one in settings.sources.items()]
        wanted += [("destination", name, str(one.options["map"])) for name, one in settings.destinations.items()]
        for name, one in settings.sources.items():
            if one.shadow is not None and one.shadow.map:
                wanted.append(("shadow", name, one.shadow.map))
        found: dict[tuple[Use, str], _Watched] = {}
        for use, place, path in wanted:
            files = self._force[use][place].files
            found.setdefault((use, path), _Watched(use, path, [], files)).places.append(place)
        return list(found.values())

    def start(self) -> None:
        """Begin; every map that is in force is told of at once."""
        with self._flow.store.write() as tx:
            maps_in_force.begin(tx, {row_name(one.use, place) for one in self._watched for place in one.places})
        self._tell()
        self._thread.start()

    def stop(self) -> None:
        """Wait for the thread, which ends once its `stop` is set."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            try:
                self.look()
            except Interrupted:
                return
            except Transient:  # the database is away: it is told at the next look
                continue
            except Exception as error:  # a look that fails must not be the last one
                log.error("map.look_failed", exc_info=error)

    def look(self) -> None:
        """Look once at every file."""
        for one in self._watched:
            if not one.files:  # a shipped map does not change
                continue
            now = _signature(one)
            if now == one.seen:
                one.pending = None
            elif now != one.pending:
                one.pending = now
            else:
                self._before()
                one.seen, one.pending = now, None
                self._change(one)
        self._tell()
        if self._looks % _SHADOWS == 0:
            shadows.over(self._flow)
        self._looks += 1

    def _change(self, one: _Watched) -> None:
        """Judge a changed map; a check that fails by itself refuses it, and says so: the other maps are still due."""
        try:
            self._changed(one)
        except Interrupted:
            raise
        except Exception as error:
            log.error("map.check_failed", exc_info=error, map=one.name)
            said = f"an unexpected {type(error).__name__} while it was checked; save it again to have it checked anew"
            self._refuse(one, [f"{one.path}: {said}"])

    def _changed(self, one: _Watched) -> None:
        now = self._force[one.use][one.places[0]]
        try:
            made = _compile(one)
        except mapfile.MapError as error:
            return self._refuse(one, error.problems)
        if made.label == now.label:  # as it was
            one.told, one.problems = one.told and not one.problems, []
            return None
        if problems := [*self._misfits(one, now, made)]:
            return self._refuse(one, problems)
        judged = self._judge("postings" if one.use == "destination" else "charges", one.path, self._stop)
        if judged.label not in ("", made.label):  # it has changed meanwhile
            one.seen = None
            return None
        return self._refuse(one, judged.problems) if judged.problems else self._go_live(one, made)

    def _misfits(self, one: _Watched, now: Any, made: Any) -> Iterator[str]:
        """Yield why a map cannot take the place of the one in force, as the checks at the start would say it."""
        if _built_in(made) != _built_in(now):
            yield f"{one.path}: it reads or writes another format than before; start `serve` anew to take it"
        settings = self._flow.settings
        for place in one.places:
            if one.use == "destination":
                found = checks.misfits("destinations", settings.destinations[place].type, None, one.path, made)
            else:
                source = settings.sources[place]
                rule = source.share
                share = rule.model_dump(exclude_none=True) if isinstance(rule, ShareRule) else rule
                found = checks.misfits("sources", source.type, share, one.path, made)
            yield from (f"{one.path}: {'.'.join(key)} of {place}: {text}" for key, text in found)

    def _refuse(self, one: _Watched, problems: list[str]) -> None:
        one.problems, one.told = [_plain(problem, one) for problem in problems], False
        log.warning("map.refused", map=one.name, count=len(problems), reason=one.problems[0])

    def _go_live(self, one: _Watched, made: Any) -> None:
        for place in one.places:
            self._force[one.use][place] = made
        one.files, one.problems, one.told = made.files, [], False
        for load in (mapfile.load, postingmap.load):  # whoever loads it by its name gets the new one too
            load.cache_clear()
        name, _, version = made.label.partition("@")
        log.info("map.live", map=name, map_version=version, where=", ".join(one.places))

    def _tell(self) -> None:
        """Write down what has changed, once it can be."""
        if all(one.told for one in self._watched):
            return
        with self._flow.store.write() as tx:
            for one in self._watched:
                if one.told:
                    continue
                reason = "; ".join(one.problems[: maps_in_force.SHOWN])
                for place in one.places:
                    label = self._force[one.use][place].label
                    maps_in_force.note(tx, row_name(one.use, place), label, reason)
                if one.problems:
                    maps_in_force.refused(tx, one.name, one.problems)
                elif not any(other.problems for other in self._watched if other.name == one.name):
                    maps_in_force.mended(tx, one.name)
        for one in self._watched:
            one.told = True


def _compile(one: _Watched) -> Any:
    """Return the map as it lies on the disk now, whatever was read before. Raises MapError."""
    if one.use == "destination":
        return postingmap.parse(*layers.read_file(one.path))
    return mapfile.compile_map(layers.read(one.path))


def _built_in(map: Any) -> tuple[Any, ...]:
    """Return what queues and addresses were made of when we started."""
    version = getattr(map, "version", "") == "R5"
    items = "ChargeItem" in getattr(map, "messages", ())
    return getattr(map, "dialect", ""), getattr(map, "format", ""), getattr(map, "writes", ""), version, items


def _signature(one: _Watched) -> Signature:
    """Return what changes when anything does that the map is made of, or might be: a map names only files beside it."""
    found: Signature = {}
    golden = goldens.folder_of(one.path)
    for folder, all_of_it in ((golden.parent, False), (golden, True)):
        try:
            with os.scandir(folder) as entries:
                names = [entry.path for entry in entries if all_of_it or entry.name.endswith(_ENDINGS)]
        except OSError:
            continue
        for name in names:
            _add(found, name)
    for name in one.files:
        _add(found, name)
    return found


def _add(found: Signature, name: str) -> None:
    try:
        told = os.stat(name)
    except OSError:  # gone between two looks
        return
    found[str(Path(name))] = (told.st_mtime_ns, told.st_size, told.st_ino)


def _plain(problem: str, one: _Watched) -> str:
    """Return a problem with file names only: a path may say whose machine it is."""
    return problem.replace(f"{Path(one.path).parent}{os.sep}", "")
