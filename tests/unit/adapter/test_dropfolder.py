"""A folder that others drop files into, on a real disk; only the clocks are the tests' own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chartpost.adapter import dropfolder
from chartpost.adapter.dropfolder import LOCK, Claim, DropFolder
from chartpost.adapter.errors import Transient


class Ticks:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Drop:
    """One folder and whoever looks at it."""

    def __init__(self, path: Path, **more: object) -> None:
        self.path, self.ticks = path, Ticks()
        self.folder = DropFolder(path, path / "done", path / "failed", monotonic=self.ticks, settle=10.0, **more)

    def put(self, name: str, body: bytes = b"MSH|", *, age: float = 0) -> Path:
        place = self.path / name
        place.write_bytes(body)
        if age:
            when = place.stat().st_mtime - age
            os.utime(place, (when, when))
        return place

    def look(self) -> list[Claim]:
        return list(self.folder.claims())

    def settled(self) -> list[Claim]:
        """Look, wait until what was seen has settled, and look again."""
        first = self.look()
        self.ticks.now += 10
        return first + self.look()

    def names(self, *below: str) -> list[str]:
        files = (path.name for path in self.path.joinpath(*below).iterdir() if path.is_file())
        return sorted(name for name in files if name != LOCK)


@pytest.fixture
def drop(tmp_path: Path) -> Drop:
    path = tmp_path / "in"
    path.mkdir()
    return Drop(path)


def test_a_file_is_claimed_once_it_has_not_changed_for_long_enough(drop: Drop) -> None:
    drop.put("a.hl7", b"MSH|1")
    assert drop.look() == []
    assert drop.folder.unsettled
    drop.ticks.now += 9
    assert drop.look() == []
    drop.put("a.hl7", b"MSH|1\rPID|1")
    drop.ticks.now += 9
    assert drop.look() == [], "it has grown"
    drop.ticks.now += 10
    [claim] = drop.look()
    assert (claim.name, claim.body, claim.problem, claim.again) == ("a.hl7", b"MSH|1\rPID|1", "", False)
    assert drop.names() == [], "nobody writes on into what was claimed by its name"
    assert not drop.folder.unsettled


def test_the_age_that_a_file_claims_to_have_does_not_make_it_whole(drop: Drop) -> None:
    drop.put("copied-with-its-time.hl7", age=86_400)
    assert drop.look() == []


def test_the_oldest_comes_first_and_of_one_time_the_first_by_name(drop: Drop) -> None:
    for name, age in (("b", 30), ("a", 10), ("c", 20)):
        drop.put(name, age=age)
    same = os.stat(drop.path / "a")
    os.utime(drop.put("aa"), ns=(same.st_atime_ns, same.st_mtime_ns))
    assert [claim.name for claim in drop.settled()] == ["b", "c", "a", "aa"]


@pytest.mark.parametrize(
    "name", [".hidden", "a.tmp", "a.HL7.PART", "a.partial", "a.filepart", "~a.hl7", "a.hl7~", ".work", "other.txt"]
)
def test_what_is_hidden_unfinished_or_of_another_name_is_left_alone(tmp_path: Path, name: str) -> None:
    drop = Drop(tmp_path, pattern="*.[hH][lL]7*")
    if name == ".work":
        (tmp_path / "a.hl7").mkdir()
    else:
        drop.put(name)
    drop.put("mine.hl7")
    assert [claim.name for claim in drop.settled()] == ["mine.hl7"]


def test_a_claim_that_was_let_go_comes_again_and_before_all_others(drop: Drop) -> None:
    drop.put("late", age=10)
    [claim] = drop.settled()
    assert not claim.again
    drop.put("later", age=99)
    drop.look()
    drop.ticks.now += 10
    first, second = drop.look()
    assert (first.name, first.again, first.at, first.path) == ("late", True, claim.at, claim.path)
    assert (second.name, second.again) == ("later", False)


def test_one_process_at_a_time_works_a_folder_and_the_next_takes_up_what_it_left(drop: Drop) -> None:
    for name, age in (("one", 20), ("two", 10)):
        drop.put(name, age=age)
    other = Drop(drop.path)
    drop.look(), other.look()
    drop.ticks.now += 10
    other.ticks.now += 10
    claims = drop.folder.claims()
    mine = next(claims)
    assert other.look() == [], "not even what nobody has claimed: the order would be lost"
    claims.close()
    first, second = other.look()
    assert (first.path, first.again, second.name) == (mine.path, True, "two")


def test_a_file_that_somebody_still_writes_to_after_it_was_claimed_waits(
    drop: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = drop.put("one", b"MSH|half").open("ab")

    def goes_on(folder: Path) -> None:
        writer.write(b" and more")
        writer.flush()

    with monkeypatch.context() as patch:
        patch.setattr(dropfolder, "_sync", goes_on)  # between claiming and reading
        assert drop.settled() == []
    assert drop.folder.unsettled
    writer.close()
    assert [claim.body for claim in drop.settled()] == [b"MSH|half and more"]


def test_an_empty_file_is_given_a_minute(drop: Drop) -> None:
    drop.put("empty", b"")
    assert drop.settled() == []
    drop.ticks.now += 60
    assert [claim.problem for claim in drop.look()] == ["it is empty"]


def test_a_link_and_a_pipe_are_never_followed_or_read(drop: Drop, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"MSH|secret")
    (drop.path / "link").symlink_to(tmp_path / "outside")
    os.mkfifo(drop.path / "pipe")
    drop.settled()
    drop.ticks.now += 60  # a pipe has no bytes
    found = {}
    for claim in drop.folder.claims():
        found[claim.name] = claim.problem
        assert claim.body == b""
        drop.folder.put_away(claim, drop.folder.failed)
    assert found == {"link": "it is a link to another place", "pipe": "it is no ordinary file"}
    assert (tmp_path / "outside").read_bytes() == b"MSH|secret"
    assert (drop.path / "failed" / "link").is_symlink()


def test_of_a_file_that_is_too_large_no_more_is_read_than_shows_it(tmp_path: Path) -> None:
    drop = Drop(tmp_path, most=10)
    drop.put("large", b"x" * 1000)
    [claim] = drop.settled()
    assert (claim.size, len(claim.body)) == (1000, 11)


def test_files_are_put_away_under_their_name_or_a_longer_one_and_none_replaces_another(drop: Drop) -> None:
    for body in (b"1", b"2", b"3"):
        drop.put("same.hl7", body)
        drop.look()
        drop.ticks.now += 10
        for claim in drop.folder.claims():
            drop.folder.put_away(claim, drop.folder.done)
    names = drop.names("done")
    assert (len(names), "same.hl7" in names) == (3, True)
    assert all(name.startswith("same") and name.endswith(".hl7") for name in names)
    assert {(drop.path / "done" / name).read_bytes() for name in names} == {b"1", b"2", b"3"}
    assert drop.names(".work") == []


def test_a_note_stands_beside_the_file_that_was_not_taken_and_is_not_counted(drop: Drop) -> None:
    drop.put("bad.hl7")
    drop.look()
    drop.ticks.now += 10
    for claim in drop.folder.claims():
        drop.folder.put_away(claim, drop.folder.failed, "no MSH\n")
    assert drop.names("failed") == ["bad.hl7", "bad.hl7.error.txt"]
    assert (drop.path / "failed" / "bad.hl7.error.txt").read_text() == "no MSH\n"
    assert drop.folder.failures() == 1


def test_the_longest_name_that_a_disk_takes_is_shortened_and_keeps_its_end(drop: Drop) -> None:
    drop.put("ä" * 120 + ".hl7")
    drop.look()
    drop.ticks.now += 10
    for claim in drop.folder.claims():
        drop.folder.put_away(claim, drop.folder.failed, "note")
    [name, note] = drop.names("failed")
    assert name.endswith("ä.hl7")
    assert note == name + ".error.txt"


def test_a_folder_that_is_not_there_is_never_made_and_is_used_once_it_is(tmp_path: Path) -> None:
    drop = Drop(tmp_path / "mount" / "in")
    with pytest.raises(Transient, match=r"mount/in cannot be used: no such file or directory"):
        drop.look()
    assert not (tmp_path / "mount").exists(), "it may be a disk that is not there now"
    drop.path.mkdir(parents=True)
    drop.put("a")
    assert [claim.name for claim in drop.settled()] == ["a"]


def test_a_folder_on_another_disk_is_refused_because_files_are_moved_in_one_step(tmp_path: Path) -> None:
    # One of them is a file system of its own wherever there is a Unix.
    places = [path for path in map(Path, ("/dev/shm", "/run", "/proc", "/dev")) if path.is_dir()]
    other = next(path for path in places if path.stat().st_dev != tmp_path.stat().st_dev)
    folder = DropFolder(tmp_path, other, tmp_path / "failed")
    with pytest.raises(Transient, match="is on another disk"):
        list(folder.claims())


def test_what_is_wrong_with_a_folder_is_said_without_the_name_of_a_file(drop: Drop) -> None:
    drop.put("Halloran_Maeve.hl7")
    drop.look()
    drop.ticks.now += 10
    claim = next(drop.folder.claims())
    (drop.path / "done").rmdir()
    with pytest.raises(Transient) as caught:
        drop.folder.put_away(claim, drop.folder.done)
    assert "Halloran" not in str(caught.value)
    assert str(caught.value).endswith("done cannot be used: no such file or directory")


def test_a_file_that_we_may_not_read_is_said_to_be_one(tmp_path: Path) -> None:
    root = os.geteuid() == 0  # whom no mode keeps from reading: it has to be somebody else meanwhile
    for above in (tmp_path, *tmp_path.parents):
        if root and above.stat().st_uid == 0 and above != Path("/tmp") and above.is_relative_to("/tmp"):
            above.chmod(0o755)
    drop = Drop(tmp_path / "in")
    drop.path.mkdir()
    drop.put("secret").chmod(0)
    if root:
        os.chown(drop.path, 65534, 65534)
        os.seteuid(65534)
    try:
        [claim] = drop.settled()
        assert (claim.problem, claim.body) == ("we may not read it: permission denied", b"")
        drop.folder.put_away(claim, drop.folder.failed)
    finally:
        if root:
            os.seteuid(0)
    assert drop.names("failed") == ["secret"]
