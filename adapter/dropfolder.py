"""A folder that others drop files into: which of them are whole, who works them, and where they go afterwards.

One process at a time works a folder: it holds the lock of `.work`, which ends with it. It claims a file by renaming it
into there; what a killed process left is taken up first by whoever looks next. A name may say who the patient is: none
leaves this module but as the name of a file.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import BinaryIO

from chartpost.adapter.errors import Transient
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.store import Clock, utc_now

WORK = ".work"
LOCK = ".lock"
#: Beside a file that was not taken, with the reason.
NOTE = ".error.txt"
#: Ends of names that programs give a file while they still write it.
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
#: Seconds that an empty file may stay so: some programs make it first, and write when they have something to say.
EMPTY_SECONDS = 60.0
#: Why a file is not read, by what the system says when it is opened.
_WRONG = {
    errno.ELOOP: "it is a link to another place",
    errno.ENXIO: "it is no ordinary file",
    errno.EACCES: "we may not read it: permission denied",
    errno.EPERM: "we may not read it: permission denied",
}
_LONGEST = 180  # bytes of a name; most filesystems take 255, and we add to it


@dataclass(slots=True)
class Claim:
    """A file that is ours to work; unless it is put away, it comes again."""

    path: Path
    name: str  #: as it was dropped
    at: int  #: when it was claimed, in microseconds since 1970
    again: bool  #: an earlier attempt may have stored what is in it
    size: int = 0
    body: bytes = b""
    problem: str = ""  #: why it cannot be read, "" when it was


class DropFolder:
    """One folder, looked at by one thread."""

    def __init__(
        self, path: Path, done: Path, failed: Path, *, pattern: str = "*", settle: float = 10.0, most: int = 2**24,
        clock: Clock = utc_now, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """Take files whose names fit `pattern` once they have not changed for `settle` seconds.

        Of a file no more than `most` bytes and one are read: whoever judges it sees that it is too large.
        """
        self.path, self.work, self.done, self.failed = path, path / WORK, done, failed
        self._pattern, self._settle, self._most = pattern, settle, most
        self._clock, self._monotonic = clock, monotonic
        #: device and inode → size, time of the last change, and since when we have seen it so
        self._seen: dict[tuple[int, int], tuple[int, int, float]] = {}
        self.unsettled = False  #: whether the last look left a file that may still be written to

    def claims(self) -> Generator[Claim, None, None]:
        """Yield each file that is whole: first what was begun before, then the oldest; none while another looks.

        Raises Transient when the folders cannot be used; it says which, and why. Close it after use.
        """
        self._prepare()
        with self._lock() as ours:
            if not ours:
                return
            before, self._seen, self.unsettled = self._seen, {}, False
            for entry in self._listed(self.work, before, begun=True):
                time_, _, name = entry.name.partition("-")
                yield from self._held(Claim(Path(entry.path), name, int(time_), again=True))
            for entry in self._listed(self.path, before, begun=False):
                if claim := self._claimed(entry):
                    yield from self._held(claim)

    def put_away(self, claim: Claim, folder: Path, note: str = "") -> None:
        """Move a claimed file to `done` or `failed` under its own name, or a longer one if that is taken.

        `note` is written beside it. Raises Transient.
        """
        try:
            place = _reserved(folder, claim)
            claim.path.replace(place)
            if note:
                (folder / (place.name + NOTE)).write_text(note, "utf-8")
        except OSError as error:
            raise _unusable(folder, error) from None

    def failures(self) -> int:
        """Count the files that lie in `failed`. Raises Transient."""
        try:
            return sum(not name.endswith(NOTE) for name in os.listdir(self.failed))
        except OSError as error:
            raise _unusable(self.failed, error) from None

    # ------------------------------------------------------------------------------------------------- looking

    def _prepare(self) -> None:
        """Make what is ours below the folder, never the folder itself: it may be a disk that is not there now."""
        at = self.path
        try:
            device = at.stat().st_dev
            for at in (self.work, self.done, self.failed):
                at.mkdir(exist_ok=True)
                if at.stat().st_dev != device:
                    raise Transient(f"{at}: it is on another disk than {self.path}, and files are moved in one step")
        except OSError as error:
            raise _unusable(at, error) from None

    def _listed(
        self, folder: Path, before: dict[tuple[int, int], tuple[int, int, float]], *, begun: bool
    ) -> list[os.DirEntry[str]]:
        """Return what has settled, in the order in which it is worked."""
        found: list[tuple[int, str, os.DirEntry[str]]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # somebody else was faster
                        if _is_claim(entry.name) if begun else self._wanted(entry):
                            state = entry.stat(follow_symlinks=False)
                            if self._settled(state, before):
                                found.append((0 if begun else state.st_mtime_ns, entry.name, entry))
        except OSError as error:
            raise _unusable(folder, error) from None
        return [entry for _, _, entry in sorted(found, key=lambda one: one[:2])]

    def _wanted(self, entry: os.DirEntry[str]) -> bool:
        fits = is_whole(entry.name) and fnmatchcase(entry.name, self._pattern)
        return fits and not entry.is_dir(follow_symlinks=False)

    def _settled(self, state: os.stat_result, before: dict[tuple[int, int], tuple[int, int, float]]) -> bool:
        """Say whether a file has kept size and time for long enough by our own clock: theirs may be another's."""
        key, now = (state.st_dev, state.st_ino), self._monotonic()
        seen = before.get(key)
        since = seen[2] if seen is not None and seen[:2] == (state.st_size, state.st_mtime_ns) else now
        self._seen[key] = (state.st_size, state.st_mtime_ns, since)
        patience = self._settle if state.st_size else max(self._settle, EMPTY_SECONDS)
        settled = now - since >= patience
        self.unsettled = self.unsettled or not settled
        return settled

    # ------------------------------------------------------------------------------------------------ claiming

    @contextmanager
    def _lock(self) -> Iterator[bool]:
        """Have the folder for ourselves, and say whether we have: not while another process works it."""
        try:
            # A file of our own, because some disks in the network lock only what may be written to.
            handle = os.open(self.work / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise _unusable(self.work, error) from None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = True
            except BlockingIOError:
                ours = False
            except OSError as error:
                raise _unusable(self.work, error) from None
            yield ours
        finally:
            os.close(handle)

    def _claimed(self, entry: os.DirEntry[str]) -> Claim | None:
        """Take a file into `.work`, None when it is gone."""
        at = micros(self._clock())
        name = _short(entry.name)
        claim = Claim(self.work / f"{at:020d}-{name}", name, at, again=False)
        try:
            os.rename(entry.path, claim.path)
            _sync(self.work)  # after a power cut it must still be known when it was claimed
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self.path, error) from None
        return claim

    def _held(self, claim: Claim) -> Iterator[Claim]:
        """Read a claim, and yield it if it did not change meanwhile."""
        try:
            handle = os.open(claim.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _WRONG:
                raise _unusable(self.work, error) from None
            claim.problem = _WRONG[error.errno]
            yield claim
            return
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                claim.problem = "it is no ordinary file"
            elif not self._read(claim, file):
                self.unsettled = True  # somebody writes to it still; it waits in `.work`
                return
        yield claim

    def _read(self, claim: Claim, file: BinaryIO) -> bool:
        """Read the file, and say whether it is still as it was when it had settled."""
        try:
            claim.body = file.read(self._most + 1)
            state = os.fstat(file.fileno())
        except OSError as error:
            raise _unusable(self.work, error) from None
        claim.size = state.st_size
        if not claim.body:
            claim.problem = "it is empty"
        seen = self._seen.get((state.st_dev, state.st_ino))
        return seen is not None and seen[:2] == (state.st_size, state.st_mtime_ns)


def is_whole(name: str) -> bool:
    """Say whether a name is not one that programs give a file while they still write it."""
    return not name.startswith((".", "~")) and not name.lower().endswith(UNFINISHED)


def _is_claim(name: str) -> bool:
    return name[:20].isdecimal() and name[20:21] == "-"


def _short(name: str) -> str:
    """Return a name that leaves room for what we add to it: the end of it, which says of what kind the file is."""
    raw = os.fsencode(name)
    if len(raw) <= _LONGEST:
        return name
    return f"{blake2b(raw, digest_size=8).hexdigest()}-{os.fsdecode(raw[-60:])}"


def _reserved(folder: Path, claim: Claim) -> Path:
    """Make an empty file that the claim will replace: two that have one name must not meet in one. Raises OSError."""
    stem, dot, end = claim.name.rpartition(".")
    stem, end = (stem, dot + end) if stem else (claim.name, "")
    when = dt.datetime.fromtimestamp(claim.at / 1_000_000, dt.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    for number in count():
        more = "" if not number else f"-{when}" if number == 1 else f"-{when}-{number}"
        place = folder / f"{stem}{more}{end}"
        try:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        return place
    raise AssertionError("numbers have no end")


def _sync(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(folder: Path, error: OSError) -> Transient:
    """Say what is wrong with a folder; the error's own text would name a file."""
    reason = os.strerror(error.errno) if error.errno else type(error).__name__
    return Transient(f"the folder {folder} cannot be used: {reason.lower()}")
