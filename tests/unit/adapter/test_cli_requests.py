"""`chartpost request`, as a person types it, on a ledger of its own with one account that owes something."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from chartpost.adapter import cli
from chartpost.adapter.ledger import sealed, tables
from chartpost.adapter.ledger.store import Store, sqlite_url

PAID = "R00000000001"


@pytest.fixture(autouse=True)
def _process_as_before():
    keys, umask = sealed.keyring(), os.umask(0o022)
    yield
    sealed.use(keys)
    os.umask(umask)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The embedded sample, with a source that this ledger knows and nobody listening."""
    path = tmp_path / "site.yaml"
    path.write_text(
        """
facilities:
  lakeside:
    {name: Lakeside Clinic, message_name: Lakeside, timezone: America/Chicago, region: US, currency: USD,
     provider: card, notifiers: [sms], quiet: none, amounts: {review_above: 50.00}}
sources:
  his: {type: mllp, listen: "127.0.0.1:0", facility: lakeside, share: all, consent: on_file}
providers:
  card: {type: stripe, secret_key: sandbox, webhook_secret: sandbox, base_url: sandbox}
notifiers:
  sms: {type: twilio, account_sid: sandbox, auth_token: sandbox, sender: "+16085550100", base_url: sandbox}
sandbox: {http: "127.0.0.1:0", mllp: "127.0.0.1:0"}
"""
    )
    return path


@pytest.fixture
def run(monkeypatch, capsys, mine, config):
    def call(*arguments: str | Path, typed: str = "") -> tuple[int, str, str]:
        words = ["request", "--config", config, "--data", mine, *arguments]
        monkeypatch.setattr(sys, "argv", ["chartpost", *map(str, words)])
        monkeypatch.setattr("typer.confirm", lambda question: typed == "y")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def mine(ledger, tmp_path) -> Path:
    """A copy of the ledger with one story in it, in which 45.00 more is owed."""
    import shutil

    data = Path(shutil.copytree(ledger, tmp_path / "data"))
    from chartpost.adapter.keys import data_keys

    keys = data_keys(data)
    sealed.use(sealed.Keyring(keys.searching, keys.sealing))
    store = Store.open(sqlite_url(data))
    with store.write() as tx:
        line = {"account_id": 1, "cause": "message:9:1", "kind": "charge", "amount": 4500, "at": tx.now}
        tx.run(tables.entry.insert(), [line])
        tx.run(update(tables.account).values(balance=4500))
    store.close()
    return data


def one(out: str) -> dict[str, Any]:
    (row,) = json.loads(out)
    return dict(row)


def test_a_request_is_made_after_its_preview_was_confirmed_and_the_ledger_remembers_who(run):
    code, out, err = run("make", "A1", "--amount", "40.00", "--by", "anna", typed="n")
    assert (code, err) == (1, "nothing was done\n")
    assert "40.00 USD of 45.00 owed" in out
    assert "to +16085550111, 1 segment" in out
    assert "request " not in out, "there is none"
    code, out, _ = run("make", "A1", "--amount", "40.00", "--by", "anna", typed="y")
    assert code == 0
    name = re.search(r"^request +(R\w{11})$", out, re.MULTILINE)[1]
    shown = one(run("show", name, "--json")[1])
    assert (shown["asked"], shown["owed_minor"], shown["made_by"]) == ("40.00", 4500, "anna")


def test_the_trace_tells_what_people_did_and_their_words_only_to_whom_may_see_them(
    run, monkeypatch, capsys, config, mine
):
    name = one(run("make", "A1", "--yes", "--json", "--by", "anna")[1])["request"]
    run("settle", name, "--method", "cheque", "--amount", "10", "--reference", "No 77", "--by", "ben")
    told = []
    for reveal in ((), ("--reveal",)):
        words = ["chartpost", "trace", name, "--config", config, "--data", mine, *reveal]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit):
            cli.main()
        told.append(capsys.readouterr().out)
    assert all(f"act          {name}  settle by ben" in text for text in told)
    assert all("elsewhere -10.00 USD on A1" in text for text in told)
    assert ["No 77" in text for text in told] == [False, True]


def test_the_whole_life_of_a_request_from_the_command_line(run):
    made = one(run("make", "A1", "--yes", "--json", "--to", "608 555 0112; pat@example.org")[1])
    name = made["request"]
    assert [(row["to"], bool(row["text"])) for row in made["messages"]] == [
        ("+16085550112", True), ("pat@example.org", False),
    ]  # fmt: skip
    assert one(run("edit", name, "--amount", "30", "--note", "Call us", "--json")[1])["state"] == "open"
    assert one(run("pause", name, "--json")[1])["text"] == "nobody is reminded of it any more"
    assert one(run("resume", name, "--json")[1])["text"] == "reminders go on"
    assert "10.00 USD recorded" in run("settle", name, "--method", "cash", "--amount", "10")[1]
    assert "withdrawn; 20.00 USD" in run("cancel", name, "--why", "asked in error")[1]
    assert "open again, for 35.00 USD" in run("reopen", name)[1]
    assert "it has no end" in run("extend", name, "--expires", "never")[1]
    assert run("resend", name, "--yes")[0] == 1, "the first message waits still"
    told = run("show", name, "--reveal")[1]
    assert "Call us" in told
    assert "Maeve Halloran" in told
    hidden = run("show", name)[1]
    assert not any(word in hidden for word in ("Call us", "Halloran", "608"))


def test_instalments_are_agreed_on_to_the_cent_and_ended(run):
    name = one(run("make", "A1", "--yes", "--json", "--amount", "30")[1])["request"]
    parts = ("--part", "2030-06-30=10.00", "--part", "2030-07-30=20.00")
    code, told = run("plan", name, *parts, "--why", "by telephone", "--json")[:2]
    assert (code, [row["amount"] for row in json.loads(told)]) == (0, ["10.00 USD", "20.00 USD"])
    assert run("plan", name, "--part", "2030-06-30=29.99")[0] == 1, "it must add up"
    assert run("plan", name, "--part", "2030-06-30=10.001", "--part", "2030-07-30=19.999")[0] == 1
    assert run("plan", name, "--count", "3")[0] == 1, "the facility offers none"
    assert run("plan", "R0", "--drop")[0] == 1
    for wrong in ((), ("--drop", "--count", "2"), ("--part", "tomorrow=1"), ("--part", "2030-06-30")):
        assert run("plan", name, *wrong)[0] == 2
    assert "all that is asked is due" in run("plan", name, "--drop")[1]


def test_what_is_refused_ends_with_1_and_what_was_mistyped_with_2(run):
    assert run("make", "A1", "--yes", "--amount", "-3")[2] == "the amount must be above zero\n"
    code, _, err = run("make", "A1", "--yes", "--to", "nobody")
    assert (code, err.startswith("recipient 1 is no phone number")) == (1, True)
    for words in (
        ("make", "A1", "--yes", "--amount", "12,50"), ("make", "A1", "--yes", "--due", "soon"),
        ("make", "A1", "--yes", "--item", "Crown"), ("make", "A1", "--json"), ("resend", PAID, "--json"),
    ):  # fmt: skip
        assert run(*words)[0] == 2, words
    assert "a method is one of" in run("settle", PAID, "--method", "beads")[2]
    assert "is paid" in run("reopen", PAID)[2]
    assert "no such request" in run("cancel", "RNOTHERE0000")[2]
    assert run("show", "RNOTHERE0000")[0] == 1


def test_items_are_typed_with_bars_between(run):
    made = one(run("make", "A1", "--yes", "--json", "--item", "Crown|20|2|4.50|0.50", "--item", "Gauze|1")[1])
    assert made["amount"] == "37.00"


def test_what_needs_approval_goes_out_once_somebody_says_so(run, mine):
    from chartpost.adapter.ledger import store as stores

    store = stores.Store.open(sqlite_url(mine))
    with store.write() as tx:
        line = {"account_id": 1, "cause": "message:9:2", "kind": "charge", "amount": 4500, "at": tx.now}
        tx.run(tables.entry.insert(), [line])
        tx.run(update(tables.account).values(balance=9000))
    store.close()
    assert "approves it" in run("preview", "A1")[2]
    assert one(run("preview", "A1", "--approved", "--json")[1])["amount_minor"] == 9000


def test_the_link_is_handed_over_as_a_code_on_the_screen_or_in_a_file(run, tmp_path):
    name = one(run("make", "A1", "--yes", "--json")[1])["request"]
    code, out, _ = run("qr", name)
    assert code == 0
    address = out.splitlines()[-1]
    assert re.fullmatch(r"http://127\.0\.0\.1:8080/p/[\w-]{22}", address)
    assert "█" in out or "▄" in out
    svg, png = tmp_path / "link.svg", tmp_path / "link.png"
    shown = one(run("qr", name, "--svg", svg, "--png", png, "--json")[1])
    assert shown["link"] == address
    assert svg.read_bytes().startswith(b"<?xml")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert run("qr", name, "--svg", tmp_path / "none" / "link.svg")[0] == 2


def test_a_practice_with_an_address_of_its_own_gives_it_to_its_links(run, config, capsys, monkeypatch, mine):
    config.write_text(config.read_text().replace("quiet: none", "quiet: none, pay_url: 'http://127.0.0.1:9'"))
    made = one(run("make", "A1", "--yes", "--json")[1])
    assert made["link"].startswith("http://127.0.0.1:9/p/")
    assert made["link"] in made["messages"][0]["text"]
    words = ["chartpost", "link", made["request"], "--config", config, "--data", mine]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().out.strip() == made["link"]
