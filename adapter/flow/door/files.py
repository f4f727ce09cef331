"""Files that bring charges: whether a file's messages are stored already, and what a person is told of the others.

Names of files never come here: they may name a patient.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlalchemy import select, update

from chartpost.adapter.flow.door.receive import Receipt
from chartpost.adapter.ledger import holds, states
from chartpost.adapter.ledger.store import Store
from chartpost.adapter.ledger.tables import hold, message

#: Reasons that the note beside a file spells out.
SHOWN = 50


def stored(store: Store, receipts: Sequence[Receipt], since: int) -> bool:
    """Say whether all of a file was stored at or after `since` (microseconds since 1970), when it was claimed.

    A process that was killed after its commit left the file where it was, and may have been away for longer than a
    copy is recognised. All of a file is stored at once, so it is all there or nothing is.
    """
    when = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=since)
    rows = [receipt.row for receipt in receipts if receipt.row.digest]
    with store.read() as connection:
        for row in rows:
            same = (message.c.source == row.source, message.c.control_key == row.control_key)
            then = (message.c.received_at >= when, message.c.digest == row.digest)
            if connection.execute(select(message.c.id).where(*same, *then).limit(1)).first() is None:
                return False
    return bool(rows)


def refusals(receipts: Sequence[Receipt], refused: bool) -> list[str]:
    """Return why what was judged is not taken, a sentence for each message; [] when all of it is."""
    if not refused:
        return []
    inside = [receipt for receipt in receipts if receipt.row.back] or list(receipts)
    wrong = [
        f"message {number} of {len(inside)}: {receipt.row.reason}"
        for number, receipt in enumerate(inside, start=1)
        if receipt.problem is not None
    ]
    return wrong or [receipts[0].row.reason]  # of FHIR the first row tells of all


def note(reasons: Sequence[str], at: dt.datetime) -> str:
    """Return the text that is put beside a file of which something was not taken."""
    more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    lines = [
        f"Picked up at {_time(at)}, and not taken, or not all of it:",
        *(f"- {reason}" for reason in [*reasons[:SHOWN], *more]),
        "",
        "What could be taken is counted. Mend the file and drop it again: what came before is recognised.",
    ]
    return "\n".join(lines) + "\n"


def tell(
    store: Store, source: str, folder: str, lying: int, size: int, at: dt.datetime, reasons: Sequence[str]
) -> None:
    """Tell a person, once and with the newest figures, of `lying` files in `folder`; the last has `size` bytes."""
    obj = f"source:{source}"
    files = "1 file lies" if lying == 1 else f"{lying} files lie"
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    text = (
        f"{files} in {folder}, not taken, or not all of it; the last, of {_size(size)}, was picked up at {_time(at)}: "
        f"{reasons[0]}{more}"
    )
    fix = (
        "read the note (.error.txt) beside each file, mend the file and drop it again, or delete both; what came "
        "before is recognised. Then dismiss this"
    )
    with store.write() as tx:
        same = (hold.c.object == obj, hold.c.cause == "file_failed", hold.c.state == states.Hold.OPEN)
        if not tx.run(update(hold).where(*same).values(text=text, at=tx.now)).rowcount:
            holds.add(tx, obj, "file_failed", text, fix, holds.likeness("file_failed", source))


def ill(store: Store, source: str, reason: str) -> None:
    """Tell a person that a source's folders cannot be used."""
    with store.write() as tx:
        holds.add(
            tx, f"source:{source}", "folder_unusable", f"no file is picked up: {reason}",
            "see that the folder is there, is ours to read and write, and has room; it goes on by itself",
            holds.likeness("folder_unusable", source),
        )  # fmt: skip


def well(store: Store, source: str) -> None:
    """Note that the folders can be used, again or at the start."""
    with store.write() as tx:
        holds.close(tx, f"source:{source}", "folder_unusable")


def _time(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1000 else f"{size / 1000:.0f} kB"
