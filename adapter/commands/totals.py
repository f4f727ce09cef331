"""`chartpost totals`: what each destination was told of in a day, to be compared with the chart's own batch total."""

from __future__ import annotations

import datetime as dt
import os
from typing import Annotated

import typer

from chartpost.adapter.commands.shared import DATA, AsJson, Config, Data, print_json, print_table, reading

_DAY = typer.Option("--day", metavar="DATE", formats=["%Y-%m-%d"], help="As in 2026-11-22; without it today.")


def totals(
    day: Annotated[dt.datetime | None, _DAY] = None,
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Add up what each destination was told of in one day.

    By batch and currency: how many postings and how much, in all and by state. A day is one of the facility's own
    calendar. What is accepted is what the chart's batch of that name should come to.
    """
    from chartpost.adapter import settings
    from chartpost.adapter.ledger.store import utc_now
    from chartpost.adapter.totals import COLUMNS
    from chartpost.adapter.totals import totals as added_up

    loaded = settings.load(config, os.environ)
    zones = {name: facility.timezone for name, facility in loaded.facilities.items()}
    with reading(config, data) as connection:
        rows = added_up(connection, day.date() if day else None, zones, utc_now())
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row |= {name: _cell(row[name]["postings"], row[name]["amount"]) for name in COLUMNS}
    print_table(("destination", "batch", "currency", *COLUMNS), rows)


def _cell(postings: int, amount: str) -> str:
    return f"{postings}: {amount}" if postings else ""
