"""What several commands share: their options, the ledger to read or to write, and rows as JSON or as a table.

Everything heavy is imported where it is used: `chartpost --help` must not wait for it.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.errors import ConfigurationError, Transient

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Connection

    from chartpost.adapter.flow.context import Flow
    from chartpost.adapter.keys import Keys
    from chartpost.adapter.ledger.store import Store

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration; without it the embedded sample.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="The data directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON array, one object a row.")]
DATA = Path("chartpost-data")
#: The same as `Data`, for commands of two words: given before or after the second.
Where = Annotated[Path | None, typer.Option("--data", metavar="DIR", help=f"The data directory (default: {DATA}).")]
Keep = Callable[[Mapping[str, Any]], bool]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,15}Z")
#: Columns that are numbers.
_RIGHT = frozenset(["amount", "asked", "balance", "due", "entries", "late_seconds", "later", "leased", "messages"]) | {
    "holds", "open", "paid", "payments", "readers", "waiting",
}  # fmt: skip
#: Columns that hold a sentence, or nothing in most rows.
_SENTENCES = frozenset(["answer_text", "error", "evidence", "fix", "reason", "text", "what", "why"]) | {
    "closed_at", "code",
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------- the ledger


@contextmanager
def reading(config: Path | None, data: Path) -> Iterator[Connection]:
    """Open the ledger to read, also while `serve` runs. Raises ConfigurationError when there is none."""
    from sqlalchemy.exc import OperationalError, ProgrammingError

    store, _ = _open(config, data, readonly=True)
    try:
        with store.read() as connection:
            yield connection
    except (OperationalError, ProgrammingError) as error:
        raise ConfigurationError([f"the ledger cannot be read ({type(error.orig).__name__}: {error.orig})"]) from None
    finally:
        store.close()


@contextmanager
def deciding(config: Path | None, data: Path) -> Iterator[Flow]:
    """Open the ledger to write, also while `serve` runs: what a person decides. Calls nobody outside.

    Raises ConfigurationError when there is no ledger, or it is not this program's to write.
    """
    os.umask(0o077)
    from chartpost.adapter import assembly, checks, settings
    from chartpost.adapter.ledger import migrations

    loaded = settings.load(config, os.environ)
    store, keys = _open(config, data, readonly=False)
    try:
        if (found := migrations.revision(store.engine)) != migrations.HEAD:
            raise ConfigurationError(
                [f"the ledger has schema {found or 'none'}, this program {migrations.HEAD}; start `serve` once"]
            )
        if not store.has_our_keys():
            raise ConfigurationError([f"{data}: its keys are not those of this ledger; restore the keys made with it"])
        # Nobody is called, so what a sandbox that does not run would say may be supposed.
        supposed = loaded.resolve_sandbox(checks.SUPPOSED) if loaded.sandbox else loaded
        yield assembly.make_flow(supposed, keys, store, loaded.public_url or f"http://{loaded.web}")
    except Transient as error:
        raise ConfigurationError([f"{error}; nothing was changed, try again"]) from None
    finally:
        store.close()


def _open(config: Path | None, data: Path, *, readonly: bool) -> tuple[Store, Keys]:
    from chartpost.adapter import settings
    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger import sealed
    from chartpost.adapter.ledger.store import Store, sqlite_url

    url = settings.database(config, os.environ)
    if not data.is_dir():
        raise ConfigurationError([f"{data}: there is no such data directory; name the one of `serve` with --data"])
    if url == "sqlite":
        ledger = data / "chartpost.db"
        if not ledger.exists():
            raise ConfigurationError([f"{data}: holds no ledger yet; `chartpost serve` makes it"])
        # SQLite makes files beside it that its owner must be able to write.
        if not readonly and ledger.stat().st_uid != os.geteuid():
            raise ConfigurationError([f"{ledger}: belongs to another user; run this as the user that `serve` runs as"])
        url = sqlite_url(data.resolve())
    keys = data_keys(data, make=False)
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    return Store.open(url, readonly=readonly, migrate=False), keys


def where(context: typer.Context, config: Path | None, data: Path | None) -> tuple[Path | None, Path]:
    """Return configuration and data directory, wherever in a line of two words they were given."""
    before = context.obj or (None, DATA)
    return config or before[0], data or before[1]


def number_of(name: str) -> int:
    """Return the number of a hold by its name: H4. Raises BadParameter."""
    digits = name[1:] if name[:1] in ("H", "h") else name
    if not digits.isdecimal():
        raise typer.BadParameter(f"{name} is no hold; they are called H and a number")
    return int(digits)


def person() -> str:
    """Return who gives the command, as this machine calls them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.geteuid())


# --------------------------------------------------------------------------------------------------------- printing


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print a JSON array with one object a line, so that `grep` works on it too."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    print("[\n" + ",\n".join(lines) + "\n]" if lines else "[]")


def screen() -> Console:
    """Return where to print: colours and the terminal's width on a terminal; a pipe gets whole lines."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=10_000, highlight=False)


def print_list(name: str, config: Path | None, data: Path, as_json: bool, keep: Keep = lambda row: True) -> None:
    """Print one of the lists, or of its rows those to `keep`."""
    from chartpost.adapter.views import LISTS

    shown = LISTS[name]
    with reading(config, data) as connection:
        rows = [row for row in shown.rows(connection) if keep(row)]
    if as_json:
        print_json(rows)
    else:
        print_table(shown.columns, rows, name[:-1])


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], count: str = "") -> None:
    """Print rows as a table for people; `count` names one of them: "hold".

    Where a terminal is too narrow for it, sentences stand below their row, and no id is ever broken in two.
    """
    from rich.measure import Measurement

    console = screen()
    made = table(columns, rows)
    if Measurement.get(console, console.options.update(width=10_000), made).maximum <= console.width:
        console.print(made)
    else:
        _print_narrow(console, columns, rows)
    if count:
        console.print(f"[dim]{len(rows)} {count}{'s' * (len(rows) != 1)}[/]")


def _print_narrow(console: Console, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    short = [column for column in columns if column not in _SENTENCES]
    cells = [[_cell(row[column], people=True) for column in short] for row in rows]
    widths = [max(map(len, found)) for found in zip(short, *cells, strict=True)]

    def line(values: Sequence[str]) -> str:
        aligned = zip(short, values, widths, strict=True)
        return "  ".join(one.rjust(width) if name in _RIGHT else one.ljust(width) for name, one, width in aligned)

    console.print(Text(line(short).rstrip(), "bold"), soft_wrap=True)
    for row, values in zip(rows, cells, strict=True):
        console.print(Text(line(values).rstrip()), soft_wrap=True)
        for column in columns:
            if column in _SENTENCES and row[column]:
                console.print(Padding(Text(f"{column}: {_cell(row[column], people=True)}", "dim"), (0, 0, 0, 4)))


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Any:
    """Return rows as a table without lines. Where it is too wide a cell goes on below: nothing is left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in _RIGHT else "left", overflow="fold")
    people = sys.stdout.isatty()
    for row in rows:
        made.add_row(*(Text(_cell(row[column], people=people)) for column in columns))
    return made


def _cell(value: Any, *, people: bool) -> str:
    """Return a value as text; people at a terminal get times to the second, all others as they are."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    text = "" if value is None else str(value)
    return f"{text[:10]} {text[11:19]}" if people and _TIME.fullmatch(text) else text
