"""`chartpost holds retry|dismiss` and `chartpost postings`: what a person decides about what waits."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from chartpost.adapter.commands.shared import (
    DATA,
    AsJson,
    Config,
    Data,
    Where,
    deciding,
    number_of,
    person,
    print_json,
    print_list,
    print_table,
    where,
)

if TYPE_CHECKING:
    from chartpost.adapter.flow.deciding.decide import Release
    from chartpost.adapter.ledger.store import Store

holds = typer.Typer(rich_markup_mode=None)
postings = typer.Typer(rich_markup_mode=None, help="List what destinations were told and answered; send it again.")

Holds = Annotated[list[str] | None, typer.Argument(metavar="HOLD", help="H4 and its like, from `chartpost holds`.")]
Cause = Annotated[str, typer.Option("--cause", metavar="CAUSE", help="Every open hold of this cause.")]
Like = Annotated[str, typer.Option("--like", metavar="HOLD", help="Every open hold that the same change mends.")]
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides; without it, who is logged in.")]
Sure = Annotated[
    bool,
    typer.Option("--yes", help="You have looked: also what may have happened already, or what a rule of ours stopped."),
]
COLUMNS = ("id", "object", "cause", "done", "text")


@holds.command()
def retry(
    context: typer.Context,
    chosen: Holds = None,
    cause: Cause = "",
    like: Like = "",
    by: By = "",
    sure: Sure = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close holds and try again what waits, as if it came now."""
    from chartpost.adapter.flow.deciding import release

    with deciding(*where(context, config, data)) as flow:
        numbers = _numbers(flow.store, chosen, cause, like)
        tell([release.retry(flow, number, by=by or person(), sure=sure) for number in numbers], as_json)


@holds.command()
def dismiss(
    context: typer.Context,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; kept and shown, so name no patient.")],
    chosen: Holds = None,
    cause: Cause = "",
    like: Like = "",
    by: By = "",
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close holds and leave things as they are.

    A held message is ignored for good.
    """
    from chartpost.adapter.flow.deciding import release

    if not why.strip():
        raise typer.BadParameter("say why, for whoever asks later", param_hint="--why")
    with deciding(*where(context, config, data)) as flow:
        numbers = _numbers(flow.store, chosen, cause, like)
        tell([release.dismiss(flow.store, number, by=by or person(), why=why) for number in numbers], as_json)


@postings.command()
def resend(
    context: typer.Context,
    chosen: Annotated[list[str], typer.Argument(metavar="POSTING", help="Ids from `chartpost postings`: P and more.")],
    by: By = "",
    sure: Sure = False,
    data: Where = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write postings anew and send them again.

    Refused ones, and with --yes those whose answer nobody knows.
    """
    from chartpost.adapter.flow.posting.resend import resend as send_again

    with deciding(*where(context, config, data)) as flow:
        tell([send_again(flow, one, by=by or person(), sure=sure) for one in dict.fromkeys(chosen)], as_json)


@postings.callback(invoke_without_command=True)
def _postings(context: typer.Context, data: Data = DATA, config: Config = None, as_json: AsJson = False) -> None:
    context.obj = (config, data)
    if context.invoked_subcommand is None:
        print_list("postings", config, data, as_json)


def _numbers(store: Store, chosen: list[str] | None, cause: str, like: str) -> list[int]:
    """Return the holds that are meant, each once and in the order of arrival: what came first counts first."""
    from chartpost.adapter.flow.deciding.release import open_holds

    if sum(map(bool, (chosen, cause, like))) != 1:
        raise typer.BadParameter("name holds, as in H4 H5, or all of one cause with --cause, or --like one of them")
    if chosen:
        return open_holds(store, only=[number_of(one) for one in chosen])
    found = open_holds(store, cause, number_of(like) if like else 0)
    if not found:
        of = f"has the cause {cause}" if cause else f"is like {like}"
        raise typer.BadParameter(f"no open hold {of}; `chartpost holds` lists them")
    return found


def tell(releases: list[Release], as_json: bool) -> None:
    """Print what came of each; end with 1 unless all was done."""
    from chartpost.adapter.views import named

    rows = [dataclasses.asdict(one) | {"object": named(one.object)} for one in releases]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [row | {"done": "yes" if row["done"] else "no"} for row in rows])
    if not all(one.done for one in releases):
        raise typer.Exit(1)
