"""New work for people is told by e-mail: counted by cause, at most once an hour, and never who it is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from mailing import CANARIES, owing, use
from mailserver import MailServer
from workbench import Workbench

from chartpost.adapter.flow.telling import staff_digest
from chartpost.adapter.ledger import cursors, errands, holds, tables

DESK: dict[str, Any] = {"role": "billing", "tell": ["holds"], "email": "desk@staff.example.org"}


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


def started(bench: Workbench, mail: MailServer, **users: dict[str, Any]) -> None:
    use(bench, mail, users=users or {"desk": DESK})
    with bench.store.write() as tx:
        staff_digest.begin(bench.flow, tx)


def opened(bench: Workbench, *causes: str, of: str = "message") -> None:
    with bench.store.write() as tx:
        for number, cause in enumerate(causes):
            holds.add(tx, f"{of}:{number}", cause, "it waits", "look at it")


def said(letter: Any) -> str:
    return str(letter.get_body(("plain",)).get_content())


def test_new_holds_are_counted_by_cause_in_one_mail(bench: Workbench, mail: MailServer) -> None:
    started(bench, mail)
    opened(bench, "unknown_code", "unknown_code", "no_phone")
    bench.work("staff_digest")
    [letter] = mail.mails
    assert (letter["To"], letter["Subject"]) == ("desk@staff.example.org", "Lakeside")
    assert "New on the work list: 1 × no_phone, 2 × unknown_code. See it in Chartpost." in said(letter)
    assert not [canary for canary in CANARIES if canary in letter.as_string()]


def test_the_next_mail_comes_after_an_hour_and_only_with_something_new(
    bench: Workbench, mail: MailServer, clock: Any
) -> None:
    started(bench, mail)
    opened(bench, "no_phone")
    bench.work("staff_digest")
    opened(bench, "late", of="posting")
    for _ in range(5):
        clock.advance(minutes=11)
        bench.work("staff_digest")
    assert len(mail.mails) == 1
    clock.advance(minutes=6)
    bench.work("staff_digest")
    assert "New on the work list: 1 × late." in said(mail.mails[1])
    for _ in range(30):
        clock.advance(minutes=7)
        bench.work("staff_digest")
    assert len(mail.mails) == 2


def test_a_hold_after_a_quiet_time_is_told_within_a_minute(bench: Workbench, mail: MailServer, clock: Any) -> None:
    started(bench, mail)
    bench.work("staff_digest")
    clock.advance(hours=5)
    bench.work("staff_digest")
    opened(bench, "no_phone")
    clock.advance(seconds=61)
    bench.work("staff_digest")
    assert len(mail.mails) == 1


def test_what_was_settled_meanwhile_is_not_told(bench: Workbench, mail: MailServer) -> None:
    started(bench, mail)
    opened(bench, "no_phone")
    with bench.store.write() as tx:
        holds.close(tx, "message:0", "no_phone")
    bench.work("staff_digest")
    assert mail.mails == []


def test_who_sees_one_facility_hears_of_what_hangs_on_its_accounts(bench: Workbench, mail: MailServer) -> None:
    started(
        bench, mail, here=DESK | {"facilities": ["lakeside"], "email": "here@staff.example.org"},
        there=DESK | {"facilities": ["elsewhere"], "email": "there@staff.example.org"},
    )  # fmt: skip
    owing(bench)  # nobody can be written to
    opened(bench, "unknown_code")
    bench.work("staff_digest")
    assert {letter["To"]: "1 × no_email." in said(letter) for letter in mail.mails} == {"here@staff.example.org": True}


def test_who_is_not_to_be_told_of_holds_or_is_no_user_any_more_is_not_told(bench: Workbench, mail: MailServer) -> None:
    started(bench, mail, silent=DESK | {"tell": ["payments"]})
    assert bench.rows(tables.errand) == []
    with bench.store.write() as tx:
        errands.add(tx, "staff_digest", "gone", "staff_digest:gone")
    opened(bench, "no_phone")
    assert bench.work("staff_digest") == ["staff_digest"]
    assert bench.one(tables.errand).state == "done"
    assert mail.mails == []


def test_a_mail_of_which_nobody_knows_is_not_sent_again_and_a_person_is_told(
    bench: Workbench, mail: MailServer, clock: Any
) -> None:
    started(bench, mail)
    opened(bench, "no_phone")
    mail.answers["DATA"] = "drop"
    bench.work("staff_digest")
    assert bench.holds() == ["no_phone", "staff_not_told"]
    del mail.answers["DATA"]
    clock.advance(hours=2)
    bench.work("staff_digest")
    assert len(mail.mails) == 1
    opened(bench, "late", of="posting")
    clock.advance(hours=2)
    bench.work("staff_digest")
    assert len(mail.mails) == 2
    assert bench.holds() == ["no_phone", "late"], "it closes once a mail goes out again"


def test_while_the_mail_server_is_away_it_is_tried_again(bench: Workbench, mail: MailServer, clock: Any) -> None:
    started(bench, mail)
    opened(bench, "no_phone")
    mail.answers["MAIL"] = "450 later"
    bench.work("staff_digest")
    del mail.answers["MAIL"]
    clock.advance(minutes=10)
    bench.work("staff_digest")
    assert len(mail.mails) == 1
    assert bench.holds() == ["no_phone"]


def test_a_mail_that_was_cut_off_is_not_sent_again_because_more_has_come_meanwhile(
    bench: Workbench, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(bench, mail)
    opened(bench, "no_phone")

    def die(*_: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(cursors, "put", die)  # the mail is out, and nobody has written that down
        with pytest.raises(SystemExit):
            bench.work("staff_digest")
    errands.release_leases(bench.store)
    opened(bench, "late", of="posting")
    bench.work("staff_digest")
    assert (len(mail.mails), bench.holds()) == (1, ["no_phone", "late", "staff_not_told"])
