"""The command line: `chartpost serve`, the lists, `chartpost trace` and the sandbox.

Everything heavy is imported where it is used: `chartpost --help` must not wait for it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chartpost.adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(
    help="Payment requests out of the EHR, payments back into the chart.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its help pages cost half a second
)

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The configuration; without it the embedded sample.")
]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="The data directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON array, one object a row.")]
DATA = Path("chartpost-data")


def main() -> None:
    """Run the command line; configuration errors end with 2, everything wrong with it on standard error."""
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} problem{'s' * (count != 1)}; nothing was started", file=sys.stderr)
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"chartpost {version('chartpost')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(config: Config = None, data: Data = DATA) -> None:
    """Run every role in one process until SIGTERM or Ctrl-C; prints one `ready …` line when every door is open."""
    # What is made in the data directory is for this user alone, whatever the directory's own mode.
    os.umask(0o077)
    from chartpost.adapter import log, settings

    log.configure()
    loaded = settings.load(config, os.environ)
    from chartpost.adapter import wiring

    sys.exit(wiring.serve(loaded, data))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """Run the sandbox alone: a pretended payment service, SMS service and EHR. Options: `chartpost sandbox --help`."""
    # Another program: product and sandbox never import each other.
    command = [sys.executable, "-m", "chartpost.adapter.sandbox", *context.args]
    os.execv(sys.executable, command)  # noqa: S606


@app.command()
def trace(
    name: Annotated[
        str, typer.Argument(metavar="ID", help="M12, A3, H4, an id from a list, a control id or a provider's id.")
    ],
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Show names, contact data and raw texts too.")] = False,
) -> None:
    """Tell the whole story of a message, request, notice, payment or posting."""
    from chartpost.adapter.story import story

    with _reading(config, data) as connection:
        moments = story(connection, name, reveal=reveal)
    if not moments:
        print(
            f"nothing is stored under {name}; the lists show the ids (chartpost messages, requests …)", file=sys.stderr
        )
        raise typer.Exit(1)
    if as_json:
        _print_json(moment.view() for moment in moments)
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(soft_wrap=True, highlight=False)
    day = ""
    for moment in moments:
        if day != (day := f"{moment.at:%Y-%m-%d} UTC"):
            console.print(f"[bold]{day}[/]")
        console.print(
            f"[dim]{moment.at:%H:%M:%S.%f}"[:-3] + f"[/] [cyan]{moment.noun:<12}[/] {moment.id}  {escape(moment.text)}"
        )
        for line in moment.details:
            console.print(f"[dim]{'':>26}{escape(line)}[/]")


@app.command()
def link(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of a request: R and eleven more.")],
    data: Data = DATA,
    config: Config = None,
) -> None:
    """Print the link of a request, for a payer who is to get it by other means than SMS."""
    from sqlalchemy import select

    from chartpost.adapter import settings
    from chartpost.adapter.flow.link import token
    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger.tables import request as requests

    loaded = settings.load(config, os.environ)
    if loaded.public_url is None and loaded.web.port == 0:
        raise ConfigurationError(["public_url: is not set and web has no fixed port, so no link can be made; set one"])
    with _reading(config, data) as connection:
        row = connection.execute(select(requests).where(requests.c.public_id == request)).first()
    if row is None:
        print(f"there is no request {request}; `chartpost requests` lists them", file=sys.stderr)
        raise typer.Exit(1)
    if row.state != "open":
        print(f"request {request} is {row.state}: its page says so and takes no payment", file=sys.stderr)
    key = data_keys(data, make=False).link
    print(f"{loaded.public_url or f'http://{loaded.web}'}/p/{token(key, row.public_id, row.generation)}")


def _list(name: str, about: str) -> Callable[..., None]:
    def command(data: Data = DATA, config: Config = None, as_json: AsJson = False) -> None:
        from chartpost.adapter.views import LISTS

        shown = LISTS[name]
        with _reading(config, data) as connection:
            rows = list(shown.rows(connection))
        if as_json:
            _print_json(rows)
        else:
            _print_table(name, shown.columns, rows)

    command.__doc__ = about
    return command


for _name, _about in {
    "messages": "List everything that came through a door.",
    "accounts": "List what is owed at each place.",
    "requests": "List every ask.",
    "notices": "List every SMS and e-mail.",
    "payments": "List the money that moved through a provider.",
    "postings": "List every movement told to a destination, and its answer.",
    "holds": "List what waits or waited for a person: why, and what would help.",
    "errands": "List the work that goes on outside.",
}.items():
    app.command(_name)(_list(_name, _about))


@contextmanager
def _reading(config: Path | None, data: Path) -> Iterator[Connection]:
    """Open the ledger to read, also while `serve` runs. Raises ConfigurationError when there is none."""
    from sqlalchemy.exc import OperationalError, ProgrammingError

    from chartpost.adapter import settings
    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger import sealed
    from chartpost.adapter.ledger.store import Store, sqlite_url

    url = settings.database(config, os.environ)
    if not data.is_dir():
        raise ConfigurationError([f"{data}: there is no such data directory; name the one of `serve` with --data"])
    if url == "sqlite":
        if not (data / "chartpost.db").exists():
            raise ConfigurationError([f"{data}: holds no ledger yet; `chartpost serve` makes it"])
        url = sqlite_url(data.resolve())
    keys = data_keys(data, make=False)
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(url, readonly=True)
    try:
        with store.read() as connection:
            yield connection
    except (OperationalError, ProgrammingError) as error:
        raise ConfigurationError([f"the ledger cannot be read ({type(error.orig).__name__}: {error.orig})"]) from None
    finally:
        store.close()


def _print_json(rows: Any) -> None:
    """Print a JSON array with one object a line, so that `grep` works on it too."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    print("[\n" + ",\n".join(lines) + "\n]" if lines else "[]")


def _print_table(name: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in ("asked", "amount", "balance", "paid") else "left")
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    # A pipe gets whole lines: width is for terminals.
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    console.print(table)
    console.print(f"[dim]{len(rows)} {name if len(rows) != 1 else name[:-1]}[/]", highlight=False)


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {one}" for key, one in value.items())
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
