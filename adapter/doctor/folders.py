"""The folder of a source: is it there, is it ours, and does something lie in it that nobody took? Changes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from chartpost.adapter.doctor.finding import Finding, State
from chartpost.adapter.doctor.machine import LOW_DISK
from chartpost.adapter.dropfolder import NOTE, WORK, is_whole

_OURS = "make it, or correct the path; it must belong to the user that `serve` runs as"


def source(what: str, options: Mapping[str, Any]) -> Iterator[Finding]:
    """The folder that a source of `type: directory` reads, with those that its files are moved to."""
    path = Path(str(options.get("path")))
    if not path.is_dir():
        text = f"{path} is no folder" if path.exists() else f"{path} is not there"
        yield Finding(what, State.PROBLEM, text, _OURS)
        return
    failed = path / str(options.get("failed", "failed"))
    found = [
        problem
        for folder in (path, path / WORK, path / str(options.get("done", "done")), failed)
        for problem in _folder(what, folder, path)
    ]
    yield from found
    if (free := shutil.disk_usage(path).free) < LOW_DISK:
        text = f"{free // 2**20} MB are free for {path}"
        yield Finding(
            what, State.WARNING, text, "make room: files that were taken stay in `done` until you delete them"
        )
    lying = [name for name in os.listdir(failed) if not name.endswith(NOTE)] if failed.is_dir() else []
    if lying:
        text = f"{len(lying)} {'file lies' if len(lying) == 1 else 'files lie'} in {failed}"
        yield Finding(what, State.WARNING, text, "read the note beside each, mend it and drop it again, or delete both")
    pattern = str(options.get("pattern", "*"))
    left = [] if found else [name for name in os.listdir(path) if is_whole(name) and not fnmatchcase(name, pattern)]
    if left := [name for name in left if not (path / name).is_dir()]:
        lie = "1 file lies" if len(left) == 1 else f"{len(left)} files lie"
        text = f"{lie} in {path} whose names do not fit {pattern}: they are never taken"
        yield Finding(what, State.WARNING, text, "correct `pattern`, where capitals count, or take them away")
    if not found and not lying and not left:
        yield Finding(what, State.OK, f"{path} can be read and written")


def _folder(what: str, folder: Path, path: Path) -> Iterator[Finding]:
    """One folder; those below the first are made at the first start, if they can be."""
    if not folder.exists():
        if not folder.parent.is_dir():
            yield Finding(what, State.PROBLEM, f"{folder.parent} is not there", f"make {folder}")
        return
    if not folder.is_dir():
        yield Finding(what, State.PROBLEM, f"{folder} is no folder", _OURS)
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        fix = "let the user that `serve` runs as read and write there: files are moved"
        yield Finding(what, State.PROBLEM, f"{folder} cannot be read and written", fix)
    elif folder.stat().st_dev != path.stat().st_dev:
        fix = "choose a folder on the same disk: files are moved in one step"
        yield Finding(what, State.PROBLEM, f"{folder} is on another disk than {path}", fix)
