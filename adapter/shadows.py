"""What is only tried, for how long, and what came of it: the days of shadows, and the reports on them."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, delete, select, update

from chartpost.adapter.flow.charges.typed import TYPED
from chartpost.adapter.flow.context import Flow
from chartpost.adapter.ledger import holds
from chartpost.adapter.ledger.tables import cursor, entry, message, payment, posting
from chartpost.adapter.settings import Settings, Shadow
from chartpost.adapter.views import View, iso, money

CAUSE = "shadow_over"
#: Messages or postings that a report names for one thing.
EXAMPLES = 5
_PREFIX = "shadow/"
_OVER = "over"
_ORDINAL = re.compile(r"\[\d+\]")


def configured(settings: Settings) -> Iterator[tuple[str, str, Shadow]]:
    """Yield every shadow: "source" or "destination", its name, and for how long."""
    for name, source in settings.sources.items():
        if source.shadow is not None:
            yield "source", name, source.shadow
    for name, place in settings.destinations.items():
        if place.shadow is not None:
            yield "destination", name, place.shadow


def over(flow: Flow) -> None:
    """Note when each shadow began, and tell a person, once, when its days are over. It goes on all the same."""
    wanted = {f"{_PREFIX}{noun}/{name}": (noun, name, shadow) for noun, name, shadow in configured(flow.settings)}
    with flow.store.write() as tx:
        rows = {row.name: row for row in tx.all(select(cursor).where(cursor.c.name.like(f"{_PREFIX}%")))}
        for gone in rows.keys() - wanted.keys():
            holds.close(tx, gone.removeprefix(_PREFIX).replace("/", ":", 1), CAUSE)
            tx.run(delete(cursor).where(cursor.c.name == gone))
        for key, (noun, name, shadow) in wanted.items():
            if key not in rows:
                tx.insert_new(cursor, [{"name": key, "value": "", "at": tx.now}])
                continue
            is_over = tx.now >= rows[key].at + dt.timedelta(days=shadow.days)
            if is_over == (rows[key].value == _OVER):
                continue
            tx.run(update(cursor).where(cursor.c.name == key).values(value=_OVER if is_over else ""))
            if is_over:
                text = f"{noun} {name} has been only tried for {shadow.days} days, and goes on so"
                fix = (
                    f"read `chartpost map shadow {name}`; then take `shadow` out of the configuration, or give it days"
                )
                holds.add(tx, f"{noun}:{name}", CAUSE, text, fix)
            else:
                holds.close(tx, f"{noun}:{name}", CAUSE)


def _since(connection: Connection, noun: str, name: str) -> dt.datetime | None:
    found: dt.datetime | None = connection.scalar(select(cursor.c.at).where(cursor.c.name == f"{_PREFIX}{noun}/{name}"))
    return found


# --------------------------------------------------------------------------------------------------------- sources


def of_source(connection: Connection, name: str) -> View:
    """Return what a source's shadow has shown since it began; without anything about a person."""
    since = _since(connection, "source", name)
    statement = select(message.c.id, message.c.shadow).where(message.c.source == name, message.c.shadow.is_not(None))
    if since is not None:
        statement = statement.where(message.c.received_at >= since)
    targets: dict[str, list[str]] = {}
    would: Counter[str] = Counter()
    told: Counter[str] = Counter()
    last: dict[str, Any] = {}
    maps: dict[str, None] = {}
    total = differ = opened = 0
    for row in connection.execute(statement.order_by(message.c.id).execution_options(yield_per=500)):
        total += 1
        seen = row.shadow
        if "map" in seen:
            maps[seen["map"]] = None
            differ += bool(seen["differences"])
            for target in dict.fromkeys(_ORDINAL.sub("[]", one["target"]) for one in seen["differences"]):
                targets.setdefault(target, []).append(f"M{row.id}")
            continue
        would[seen["cause"] or seen["would"]] += 1
        if "account" in seen:
            last[seen["account"]["key"]] = seen["account"]
            if seen["request"]:
                opened += 1
                told[seen["told"].partition(" ")[0] or seen["not_told"]] += 1
    return {
        "source": name, "since": iso(since) if since else None, "maps": list(maps), "messages": total,
        "differ": differ, "would": dict(would), "requests": opened, "told": dict(told), "asked": _asked(last),
        "targets": [
            {"target": target, "messages": len(found), "examples": found[:EXAMPLES]}
            for target, found in sorted(targets.items(), key=lambda item: -len(item[1]))
        ],
    }  # fmt: skip


def _asked(accounts: dict[str, Any]) -> dict[str, str]:
    """Return by currency what would be asked for now, of all accounts together."""
    sums: Counter[str] = Counter()
    for account in accounts.values():
        sums[account["currency"]] += max(account["balance"], 0)
    return {currency: money(total, currency) for currency, total in sorted(sums.items())}


# ---------------------------------------------------------------------------------------------------- destinations


def of_destination(connection: Connection, name: str) -> View:
    """Return what a destination would have been told since its shadow began, beside what the chart itself told."""
    since = _since(connection, "destination", name)
    statement = (
        select(
            posting.c.public_id, posting.c.state, posting.c.answer_code, posting.c.answer_text, posting.c.created_at,
            payment.c.amount, payment.c.currency, payment.c.account_id,
        )
        .join(payment, payment.c.id == posting.c.payment_id)
        .where(posting.c.destination == name)
        .order_by(posting.c.id)
    )  # fmt: skip
    if since is not None:
        statement = statement.where(posting.c.created_at >= since)
    rows = [row for row in connection.execute(statement) if row.state in ("shadowed", "refused")]
    found = [_compared(connection, row) for row in rows]
    return {
        "destination": name, "since": iso(since) if since else None, "postings": len(found),
        "typed": sum(bool(one["typed"]) for one in found),
        "refused": sum(one["state"] == "refused" for one in found),
        "list": found,
    }  # fmt: skip


def _compared(connection: Connection, row: Any) -> View:
    typed = row.answer_text if row.answer_code == TYPED else ""
    if not typed:  # counted as another payment, by a person's word
        same = (entry.c.account_id == row.account_id, entry.c.amount == -row.amount, entry.c.at >= row.created_at)
        kinds = entry.c.kind.in_(("payment", "patient_payment"))
        number = connection.scalar(select(entry.c.message_id).where(*same, kinds).limit(1))
        typed = f"M{number}, and counted" if number is not None else ""
    shown = {"posting": row.public_id, "state": row.state, "amount": money(row.amount, row.currency)}
    return shown | {"currency": row.currency, "at": iso(row.created_at), "typed": typed}
