"""The command line: `chartpost serve`, the lists, `chartpost trace` and the sandbox.

Everything heavy is imported where it is used: `chartpost --help` must not wait for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from chartpost.adapter.commands import (
    bounce,
    consents,
    edit,
    lint,
    look,
    maps,
    release,
    requests,
    requests_plan,
    templates,
    totals,
    worklist,
)
from chartpost.adapter.commands.shared import DATA, AsJson, Config, Data, print_json, print_list, reading, screen
from chartpost.adapter.errors import ConfigurationError

app = typer.Typer(
    help="Payment requests out of the EHR, payments back into the chart.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its help pages cost half a second
)


def main() -> None:
    """Run the command line; configuration errors end with 2, everything wrong with it on standard error."""
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} problem{'s' * (count != 1)}; nothing was {_undone()}", file=sys.stderr)
        sys.exit(2)


def _undone() -> str:
    return "started" if sys.argv[1:2] in (["serve"], ["tour"]) else "done"


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
    """Run every role in one process, until SIGTERM or Ctrl-C.

    Prints one line `ready …` when every door is open. Without --config: the embedded sample, with a sandbox beside it.
    """
    # What is made in the data directory is for this user alone, whatever the directory's own mode.
    os.umask(0o077)
    from chartpost.adapter import log, settings

    log.configure()
    loaded = settings.load(config, os.environ)
    from chartpost.adapter import wiring

    sys.exit(wiring.serve(loaded, data))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """Run the sandbox alone: the other side, pretended.

    A payment service, an SMS and a mail service and a small EHR. Options: `chartpost sandbox --help`.
    """
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
    """Tell the whole story of one thing, whatever its kind.

    What came, what it was taken to mean, who was asked, what was paid, and what the chart said.
    """
    from chartpost.adapter.story import story

    with reading(config, data) as connection:
        moments = story(connection, name, reveal=reveal)
    if not moments:
        print(
            f"nothing is stored under {name}; the lists show the ids (chartpost messages, requests …)", file=sys.stderr
        )
        raise typer.Exit(1)
    if as_json:
        print_json(moment.view() for moment in moments)
        return
    from rich.markup import escape

    console = screen()
    day = ""
    for moment in moments:
        if day != (day := f"{moment.at:%Y-%m-%d} UTC"):
            console.print(f"[bold]{day}[/]")
        at, what = f"{moment.at:%H:%M:%S.%f}"[:-3], f"{moment.noun:<12}"
        console.print(f"[dim]{at}[/] [cyan]{what}[/] {moment.id}  {escape(moment.text)}", soft_wrap=True)
        for line in moment.details:
            console.print(f"[dim]{'':>26}{escape(line)}[/]", soft_wrap=True)


@app.command()
def link(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of a request: R and eleven more.")],
    data: Data = DATA,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print the link of a request, for a payer who gets no message."""
    from sqlalchemy import select

    from chartpost.adapter import settings
    from chartpost.adapter.flow.asking.link import token
    from chartpost.adapter.keys import data_keys
    from chartpost.adapter.ledger.tables import account
    from chartpost.adapter.ledger.tables import request as table

    loaded = settings.load(config, os.environ)
    with reading(config, data) as connection:
        its = select(table, account.c.facility).join(account, account.c.id == table.c.account_id)
        row = connection.execute(its.where(table.c.public_id == request)).first()
    if row is None:
        print(f"there is no request {request}; `chartpost requests` lists them", file=sys.stderr)
        raise typer.Exit(1)
    if row.state != "open":
        print(f"request {request} is {row.state}: its page says so and takes no payment", file=sys.stderr)
    own = loaded.facilities[row.facility].pay_url if row.facility in loaded.facilities else None
    if not own and loaded.public_url is None and loaded.web.port == 0:
        raise ConfigurationError(["public_url: is not set and web has no fixed port, so no link can be made; set one"])
    key = data_keys(data, make=False).link
    address = f"{own or loaded.public_url or f'http://{loaded.web}'}/p/{token(key, row.public_id, row.generation)}"
    if as_json:
        print_json([{"request": row.public_id, "state": row.state, "link": address}])
    else:
        print(address)


app.command()(look.check)
app.command()(lint.lint)
app.command()(look.status)
app.command()(totals.totals)
app.command()(bounce.bounce)


@app.command()
def tour(
    yes: Annotated[bool, typer.Option("--yes", help="Go on without waiting for Enter.")] = False,
) -> None:
    """Walk through one message with the real commands.

    On a sandbox and a ledger of its own, which are removed afterwards.
    """
    from chartpost.adapter.demo.tour import walk

    raise typer.Exit(walk(wait=not yes))


def _list(name: str, about: str) -> Callable[..., None]:
    def command(data: Data = DATA, config: Config = None, as_json: AsJson = False) -> None:
        print_list(name, config, data, as_json)

    command.__doc__ = about
    return command


for _name, _about in {
    "messages": "List everything that came through a door.",
    "accounts": "List what is owed at each place.",
    "requests": "List every ask.",
    "notices": "List every SMS and e-mail.",
    "payments": "List the money that moved through a provider.",
    "errands": "List the work that goes on outside.",
}.items():
    app.command(_name)(_list(_name, _about))

app.add_typer(maps.maps, name="map")
app.add_typer(consents.consents, name="consents")
app.add_typer(release.postings, name="postings")
requests.request.command("plan")(requests_plan.plan)
app.add_typer(requests.request, name="request")
app.add_typer(templates.templates, name="templates")
release.holds.callback(invoke_without_command=True)(worklist.bare)
release.holds.command("list")(worklist.listed)
release.holds.command("show")(worklist.show)
release.holds.command("edit")(edit.edit)
app.add_typer(release.holds, name="holds")


if __name__ == "__main__":
    main()
