"""Lists come in pages, newest first: `before` names the row under which the next page begins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Select, select

from chartpost.adapter.ledger.tables import hold
from chartpost.adapter.web.api.table import Taken


class Page(Taken):
    """Which part of a list."""

    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=1, lt=2**53)


def page_of(connection: Connection, statement: Select[Any], key: Any, wanted: Page) -> tuple[Sequence[Any], str]:
    """Return a page, newest first, and `before` of the next one: "" at the end."""
    if wanted.before is not None:
        statement = statement.where(key < wanted.before)
    rows = connection.execute(statement.order_by(key.desc()).limit(wanted.limit + 1)).all()
    more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    return rows, str(rows[-1].id) if more else ""


def waiting(connection: Connection, objects: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    wanted = select(hold.c.object, hold.c.cause).where(hold.c.object.in_(list(objects)), hold.c.state == "open")
    for row in connection.execute(wanted.order_by(hold.c.id)):
        found.setdefault(row.object, []).append(row.cause)
    return found
