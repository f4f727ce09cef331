"""Whoever has paid gets one receipt, where the link went, and nobody else does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from mailing import CANARIES, owing, pay_together, use
from mailserver import MailServer
from workbench import Workbench

from chartpost.adapter.flow.paying import record
from chartpost.adapter.flow.telling import consent, notify
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.consents import REVOKED, Word

_last = iter(range(2, 96))


@pytest.fixture
def phone() -> str:
    """A number that no other test of this process writes to."""
    return f"41455502{next(_last):02d}"


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


@pytest.fixture
def shop(live: Workbench, other: Any, mail: MailServer) -> Workbench:
    use(live, mail, other.ready)
    other.hooks.flow = live.flow
    return live


def receipts(bench: Workbench) -> list[tuple[str, str]]:
    return [(row.channel, row.state) for row in bench.rows(tables.notice, purpose="receipt")]


def links(said: str) -> list[str]:
    return [word for word in said.split() if "/p/" in word]


def text_of(letter: Any) -> str:
    return str(letter.get_body(("plain",)).get_content())


def test_a_payer_gets_a_neutral_receipt_by_e_mail_with_the_link_to_what_was_paid(
    shop: Workbench, mail: MailServer
) -> None:
    request = owing(shop, email="payer@example.org")
    shop.work("notify")
    event = shop.pay(request.asked)
    assert shop.work("notify") == ["notify"]
    asked, receipt = mail.mails
    assert (receipt["To"], receipt["Subject"]) == ("payer@example.org", "Lakeside")
    said = text_of(receipt)
    assert "Thank you. Your payment is recorded." in said
    assert links(said) == links(text_of(asked)) != []
    assert not [canary for canary in CANARIES if canary in receipt.as_string()]
    notice = shop.one(tables.notice, purpose="receipt")
    assert (notice.state, notice.step) == ("sent", shop.one(tables.payment).public_id)
    assert event.payment_ref not in receipt.as_string()
    assert shop.holds() == []


def test_who_was_texted_and_has_an_address_gets_the_receipt_by_e_mail(
    shop: Workbench, mail: MailServer, other: Any, phone: str
) -> None:
    request = owing(shop, phone, "payer@example.org")
    shop.work("notify")
    shop.pay(request.asked)
    shop.work("notify")
    assert (len(other.texts("+1" + phone)), len(mail.mails)) == (1, 1)


def test_a_spanish_speaker_is_texted_in_spanish_first_the_request_then_the_receipt(
    shop: Workbench, other: Any, phone: str
) -> None:
    request = owing(shop, phone, language="es")
    shop.work("notify")
    shop.pay(request.asked)
    shop.work("notify")
    first, second = (text["body"] for text in other.texts("+1" + phone))
    assert first.startswith("Lakeside: tiene un saldo pendiente. Puede pagarlo de forma segura: http")
    assert second.startswith("Lakeside: gracias, hemos registrado su pago. Puede verlo en: http")
    assert {row.language for row in shop.rows(tables.notice)} == {"es"}


def test_of_several_whom_a_person_named_the_one_by_e_mail_gets_it(
    shop: Workbench, mail: MailServer, other: Any, phone: str
) -> None:
    request = owing(shop, phone)
    named = [{"channel": "sms", "to": f"+1{phone}"}, {"channel": "email", "to": "named@example.org"}]
    key = shop.one(tables.account, id=request.account_id).key
    with shop.store.write() as tx:
        tx.run(tables.request.update().values(said={"recipients": named}))
        notify.tell(tx, key, request.id, Way("mail", "email", "named@example.org"))
    shop.work("notify")
    shop.pay(request.asked)
    shop.work("notify")
    assert receipts(shop) == [("email", "sent")]
    assert [letter["To"] for letter in mail.mails] == ["named@example.org"] * 2
    assert len(other.texts(f"+1{phone}")) == 1


def test_each_payment_has_its_own_receipt_and_a_copy_of_the_event_none(shop: Workbench, mail: MailServer) -> None:
    request = owing(shop, email="payer@example.org")
    shop.work("notify")
    event = shop.pay(1500)
    shop.pay(request.asked - 1500, request=request)
    record.take(shop.flow, "card", event, b"{}")
    shop.work("notify")
    assert receipts(shop) == [("email", "sent")] * 2
    assert len({row.step for row in shop.rows(tables.notice, purpose="receipt")}) == 2
    assert len(mail.mails) == 3


def test_a_payment_for_several_accounts_has_one_receipt(shop: Workbench, mail: MailServer) -> None:
    first, second = (owing(shop, email="payer@example.org") for _ in range(2))
    shop.work("notify")
    pay_together(shop, (first, first.asked), (second, 1000))
    assert len(shop.rows(tables.payment)) == 2
    shop.work("notify")
    assert receipts(shop) == [("email", "sent")]
    assert len(mail.mails) == 3


def test_the_amount_is_named_where_the_practice_says_so(
    live: Workbench, mail: MailServer, other: Any, tmp_path: Any
) -> None:
    words = tmp_path / "words"
    words.mkdir()
    (words / "receipt.email.en.txt").write_text("Thank you for your payment of {amount}.\n\n{link}\n")
    (words / "request.email.en.txt").write_text("There are {amount} to pay.\n\n{link}\n")
    use(live, mail, other.ready, facility={"templates": str(words), "amount_in_messages": True})
    other.hooks.flow = live.flow
    owing(live, email="payer@example.org")
    live.work("notify")
    live.pay(1550)
    live.work("notify")
    asked, receipt = map(text_of, mail.mails)
    assert "There are $40.00 to pay." in asked
    assert "Thank you for your payment of $15.50." in receipt


def test_nobody_gets_one_where_the_facility_gives_none(live: Workbench, mail: MailServer, other: Any) -> None:
    use(live, mail, other.ready, facility={"receipts": False})
    other.hooks.flow = live.flow
    request = owing(live, email="payer@example.org")
    live.work("notify")
    live.pay(request.asked)
    live.work("notify")
    assert (receipts(live), len(mail.mails)) == ([], 1)


def test_who_wants_no_more_messages_gets_none(shop: Workbench, mail: MailServer, other: Any, phone: str) -> None:
    request = owing(shop, phone)
    shop.work("notify")
    with shop.store.write() as tx:
        consent.record(
            shop.flow, tx, "sms", f"+1{phone}", Word(REVOKED, "reply", "event SM1"), facilities=("lakeside",)
        )
    shop.pay(request.asked)
    shop.work("notify")
    assert (receipts(shop), len(other.texts(f"+1{phone}")), shop.holds()) == ([], 1, [])


def test_who_opts_out_just_before_it_goes_out_gets_none_and_a_person_is_told(
    shop: Workbench, other: Any, phone: str
) -> None:
    request = owing(shop, phone)
    shop.work("notify")
    shop.pay(request.asked)
    with shop.store.write() as tx:
        consent.record(
            shop.flow, tx, "sms", f"+1{phone}", Word(REVOKED, "reply", "event SM2"), facilities=("lakeside",)
        )
    shop.work("notify")
    assert (receipts(shop), len(other.texts(f"+1{phone}"))) == ([("sms", "blocked")], 1)
    assert shop.holds() == ["receipt_not_sent"]


def test_who_paid_by_a_link_that_was_handed_over_gets_it_by_the_usual_way(shop: Workbench, mail: MailServer) -> None:
    request = owing(shop, email="payer@example.org")
    with shop.store.write() as tx:  # the first notice never went out
        tx.run(tables.notice.update().values(state="blocked"))
        tx.run(tables.errand.update().where(tables.errand.c.kind == "notify").values(state="done"))
    shop.pay(request.asked)
    shop.work("notify")
    assert receipts(shop) == [("email", "sent")]
    assert len(mail.mails) == 1


def test_a_receipt_does_not_go_to_a_number_that_the_chart_has_no_more(shop: Workbench, other: Any, phone: str) -> None:
    request, new = owing(shop, phone=phone), f"41455502{next(_last):02d}"
    shop.work("notify")
    with shop.store.write() as tx:
        row = shop.one(tables.account)
        people = {**row.patient, "contacts": [{"kind": "phone", "value": f"+1{new}", "mobile": True}]}
        tx.run(tables.account.update().values(patient=people))
    shop.pay(request.asked)
    shop.work("notify")
    assert [len(other.texts(f"+1{number}")) for number in (phone, new)] == [1, 1]


def test_an_account_that_nobody_is_written_to_about_gets_none(shop: Workbench, mail: MailServer) -> None:
    request = owing(shop, email="payer@example.org")
    shop.work("notify")
    with shop.store.write() as tx:
        tx.run(tables.account.update().values(stopped="deceased"))
    shop.pay(request.asked)
    assert receipts(shop) == []
