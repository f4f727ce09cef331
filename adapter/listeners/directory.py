"""A folder as a door: each file is taken once, all of it in one transaction, and only then moved to `done`.

Nobody waits for an answer. What cannot be taken, or not all of it, goes to `failed` with a note beside it, and a hold
tells a person. No name of a file is logged or stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

from chartpost.adapter import log as logs
from chartpost.adapter.dropfolder import Claim, DropFolder
from chartpost.adapter.errors import CannotStore, Transient
from chartpost.adapter.flow.door import files
from chartpost.adapter.ledger.columns import micros
from chartpost.adapter.ledger.intake import Intake
from chartpost.adapter.ledger.states import Message
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.listeners.broker import NotYet, Wire

log = logs.get(__name__)

#: Seconds between two looks while a file waits for something that takes a moment.
MOMENT = 1.0


class DirectoryListener:
    """One source's folder, looked at by a thread of its own. Make it, `start` it, `stop` it."""

    def __init__(
        self,
        source: str,
        folder: DropFolder,
        wire: Wire,
        intake: Intake,
        store: Store,
        *,
        every: float,
        settle: float,
        on_stored: Callable[[], None] = lambda: None,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """Look `every` so many seconds; `intake` is this listener's own.

        `on_stored` is called after every commit that made work for the translator; `before` may hold up each file.
        """
        self.source = source
        self._folder, self._wire, self._intake, self._store = folder, wire, intake, store
        self._every, self._soon = every, min(every, settle, MOMENT)
        self._on_stored, self._before = on_stored, before
        self._well: bool | None = None  #: None: nobody has looked yet
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"folder {source}", daemon=True)
        self.taken = 0  #: files
        self.failed = 0  #: of them, those that went to `failed`

    def start(self) -> None:
        """Begin to look. Returns at once; a folder that is not there is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the file in hand, leave the others, and let go of the database."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._intake.close()

    def look(self) -> bool:
        """Take every file that is whole; say whether something waits for a moment. Raises nothing."""
        try:
            with closing(self._folder.claims()) as claims:
                for claim in claims:
                    if self._stopping.is_set():
                        return True
                    self._before()
                    self._take(claim)
            self._say(True)
        except NotYet:
            return True  # an Invoice before it is still being worked
        except (CannotStore, Transient) as error:
            self._say(False, str(error))
        except Exception as error:  # whatever it is, the next look may do better, and the log says where
            logs.failure("folder.failed", error, source=self.source)
        return self._folder.unsettled

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self._soon if self.look() else self._every

    def _take(self, claim: Claim) -> None:
        """Store what is in a file, unless that was done, and put the file away."""
        reasons = [claim.problem] if claim.problem else self._store_all(claim)
        self.taken += 1
        if not reasons:
            self._folder.put_away(claim, self._folder.done)
            return
        self.failed += 1
        log.warning("folder.not_taken", source=self.source, bytes=claim.size, count=len(reasons))
        at, failed = self._store.clock(), self._folder.failed
        # Told before it is moved: a process that is killed in between tells again, and the file is counted once.
        files.tell(self._store, self.source, str(failed), self._folder.failures() + 1, claim.size, at, reasons)
        self._folder.put_away(claim, failed, files.note(reasons, at))

    def _store_all(self, claim: Claim) -> list[str]:
        """Store all messages of a file at once; return why some of them are not taken. Raises CannotStore, NotYet."""
        try:
            receipts, refused = self._wire.judge(claim.body, micros(self._store.clock()))
        except (CannotStore, NotYet, Transient):
            raise
        except Exception as error:  # a bug of ours must not stop the feed: the file is kept, and the log says where
            logs.failure("folder.failed", error, source=self.source)
            return [f"an unexpected {type(error).__name__} on our side; report this with the log line"]
        if not (claim.again and files.stored(self._store, receipts, claim.at)):
            fates = self._intake.commit([receipt.row for receipt in receipts])
            log.info("folder.stored", source=self.source, bytes=claim.size, count=len(fates))
            if any(fate.state == Message.RECEIVED for fate in fates):
                self._on_stored()
        return files.refusals(receipts, refused)

    def _say(self, well: bool, reason: str = "") -> None:
        """Tell a person when the folders become unusable, and no longer when they can be used."""
        if well is self._well:
            return
        try:
            if well:
                files.well(self._store, self.source)
            else:
                log.warning("folder.unusable", source=self.source, reason=reason)
                files.ill(self._store, self.source, reason)
        except Transient as error:  # the database is away: the next look tells
            log.error("folder.untold", source=self.source, reason=str(error))
            return
        self._well = well
