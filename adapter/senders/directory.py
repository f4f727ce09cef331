"""Write each posting as a file into a folder, whole or not at all. Who takes it from there does not answer."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.outbound import in_words
from chartpost.adapter.ports import Answer, Verdict
from chartpost.mappings import postingmap

#: The code of an answer that nobody gave.
WRITTEN = "written"
#: Postings hold what a chart holds: the owner writes, the group reads.
MODE = 0o640
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)


class DirectorySender:
    """A destination that is a folder (ports.Sender)."""

    def __init__(self, folder: Path, extension: str, verdict: Verdict) -> None:
        """Write `CONTROL_ID.extension` into `folder`; `verdict` is what a file that is written means."""
        self._folder, self._extension, self._verdict = folder, extension, verdict

    def send(self, body: bytes, control_id: str) -> Answer:
        """Write one posting. Its file appears whole; the same file again changes nothing.

        Raises Transient while the folder takes nothing, Permanent when another file has the name, Ambiguous when the
        file is there and the disk does not say that it stays.
        """
        if not _NAME.fullmatch(control_id):
            raise Permanent("its control id is no name of a file")
        place = self._folder / f"{control_id}.{self._extension}"
        if not self._is_there(place, body):
            self._write(place, body)
        try:
            _sync(self._folder)
        except OSError as error:
            raise Ambiguous(f"{self._folder}: written, and the disk reports: {in_words(error)}") from None
        return Answer(self._verdict, WRITTEN)

    def check(self) -> list[str]:
        """Say whether files can be written there (ports.Checkable). Writes nothing."""
        try:
            os.scandir(self._folder).close()
        except OSError as error:
            return [f"{self._folder}: {in_words(error)}; make the folder, or correct the path"]
        if not os.access(self._folder, os.W_OK | os.X_OK):
            return [f"{self._folder} cannot be written to; let the user that `serve` runs as write there"]
        return []

    def _is_there(self, place: Path, body: bytes) -> bool:
        """Say whether the file is there already; a file of ours that was cut off never is. Raises Permanent."""
        try:
            with place.open("rb") as file:
                same = file.read(len(body) + 1) == body
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._takes_nothing(error) from None
        if not same:
            raise Permanent(f"{self._folder} has another file of this name already")
        return True

    def _write(self, place: Path, body: bytes) -> None:
        # Hidden, and on the same disk: who reads the folder sees the file when it is whole.
        begun = self._folder / f".{place.name}.tmp"
        try:
            handle = os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            begun.replace(place)
        except OSError as error:
            with suppress(OSError):
                begun.unlink()
            raise self._takes_nothing(error) from None

    def _takes_nothing(self, error: OSError) -> Transient:
        missing = error.errno == errno.ENOENT and not self._folder.exists()
        return Transient(f"{self._folder}: {'the folder is not there' if missing else in_words(error)}")


def _sync(folder: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Options(BaseModel):
    """A destination of `type: directory` in the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    path: str  #: the folder; it must be there
    map: str  #: the map that writes its postings
    #: What a file means that was written: somebody has it, or (where the import reports its own errors) the chart does.
    written: Literal["received", "accepted"] = "received"
    #: After a kill during the writing a person looks, or it is written again: where a file that comes again is dropped.
    resend: Literal["never", "same_name"] = "never"
    sending_application: str = ""  #: MSH-3, in HL7
    sending_facility: str = ""  #: MSH-4
    receiving_application: str = ""  #: MSH-5
    receiving_facility: str = ""  #: MSH-6


def from_settings(options: Options) -> DirectorySender:
    """Make the sender of one configured destination."""
    return DirectorySender(Path(options.path), postingmap.load(options.map).extension, Verdict(options.written))
