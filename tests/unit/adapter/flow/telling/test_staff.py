"""Who works there is told of payments that concern them, at once, and of nothing that is a patient's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from mailing import CANARIES, owing, pay_together, use
from mailserver import MailServer
from workbench import Workbench

from chartpost.adapter.flow.telling import staff
from chartpost.adapter.ledger import tables
from chartpost.adapter.users import User

TOLD: dict[str, Any] = {"tell": ["payments"], "email": "x@staff.example.org"}
EVERYBODY = {
    "desk": {"role": "billing", **TOLD, "email": "desk@staff.example.org"},
    "owner": {"role": "administrator", **TOLD, "email": "owner@staff.example.org"},
    "theirs": {"role": "clinician", "billing": True, "provider_ids": ["P77"], **TOLD, "email": "p77@staff.example.org"},
    "others": {"role": "clinician", "billing": True, "provider_ids": ["P78"], **TOLD, "email": "p78@staff.example.org"},
    "silent": {"role": "billing", "email": "silent@staff.example.org"},
}  # fmt: skip


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with closing(MailServer()) as server:
        yield server


def test_a_payment_is_told_to_those_whom_it_concerns_once_each_and_names_nobody(
    bench: Workbench, mail: MailServer
) -> None:
    use(bench, mail, users=EVERYBODY, facility={"receipts": False})
    request = owing(bench, email="payer@example.org", provider="P77^Sample^Petra")
    bench.work("notify")
    bench.pay(request.asked)
    bench.work("notify")
    told = {letter["To"]: letter for letter in mail.mails[1:]}
    assert sorted(told) == ["desk@staff.example.org", "owner@staff.example.org", "p77@staff.example.org"]
    payment = bench.one(tables.payment)
    for letter in told.values():
        assert letter["Subject"] == "Lakeside"
        said = letter.get_body(("plain",)).get_content()
        assert f"A payment was recorded: {payment.public_id}. See it in Chartpost." in said
        assert not [canary for canary in (*CANARIES, "payer@", "P77^", "/p/") if canary in letter.as_string()]
    rows = bench.rows(tables.notice, purpose="staff")
    assert {(row.staff, row.step, row.state) for row in rows} == {
        (name, payment.public_id, "sent") for name in ("desk", "owner", "theirs")
    }


def test_a_payment_for_several_accounts_is_told_once_and_to_the_provider_of_any(
    bench: Workbench, mail: MailServer
) -> None:
    use(bench, mail, users=EVERYBODY, facility={"receipts": False})
    first = owing(bench, email="payer@example.org", provider="P77")
    second = owing(bench, email="payer@example.org", provider="P78")
    bench.work("notify")
    pay_together(bench, (first, 4000), (second, 4000))
    bench.work("notify")
    of = {row.account_id: row.public_id for row in bench.rows(tables.payment)}
    told = {row.staff: row.step for row in bench.rows(tables.notice, purpose="staff")}
    mine, theirs = of[first.account_id], of[second.account_id]
    assert told == {"desk": mine, "owner": mine, "theirs": mine, "others": theirs}
    assert len(mail.mails) == 6


def test_it_is_planned_in_the_transaction_of_the_payment(bench: Workbench, mail: MailServer) -> None:
    use(bench, mail, users={"desk": EVERYBODY["desk"]})
    request = owing(bench, email="payer@example.org")
    bench.pay(request.asked)
    due = [row for row in bench.rows(tables.notice, purpose="staff") if row.state == "due"]
    assert [row.staff for row in due] == ["desk"]
    assert len(bench.rows(tables.errand, kind="notify", subject=due[0].public_id)) == 1


@pytest.mark.parametrize(
    ("user", "provider", "expected"),
    [
        ({"role": "billing"}, "", True),
        ({"role": "billing", "facilities": ["lakeside"]}, "", True),
        ({"role": "billing", "facilities": ["elsewhere"]}, "", False),
        ({"role": "billing", "scopes": ["requests:read"]}, "", False),
        ({"role": "clinician", "billing": True, "provider_ids": ["P1"]}, "P1", True),
        ({"role": "clinician", "billing": True, "provider_ids": ["P1"]}, "P2", False),
        ({"role": "clinician", "billing": True, "provider_ids": ["P1"]}, "", False),
        ({"role": "clinician", "billing": False, "provider_ids": ["P1"]}, "P1", False),
        ({"role": "clinician", "billing": True}, "", False),
        ({"role": "integrator"}, "P1", False),
        ({"role": "auditor"}, "P1", True),
    ],
)
def test_who_may_not_see_payments_is_not_told_of_them(user: dict[str, Any], provider: str, expected: bool) -> None:
    row = SimpleNamespace(facility="lakeside", provider=provider)
    assert staff.concerns(User.model_validate(user), row) is expected


@pytest.mark.parametrize(
    ("user", "complaint"),
    [
        ({"role": "billing", "tell": ["payments"]}, "email: is missing"),
        ({"role": "integrator", **TOLD}, "may not see payments"),
        ({"role": "clinician", **TOLD, "provider_ids": ["P1"]}, "may not see payments"),
        ({"role": "clinician", "billing": True, **TOLD}, "provider_ids: is missing"),
        ({"role": "clinician", "billing": True, **TOLD, "tell": ["holds"]}, "may not see holds"),
        ({"role": "billing", "scopes": ["requests:read"], **TOLD}, "may not see payments"),
    ],
)
def test_a_user_who_could_never_be_told_is_a_mistake_of_the_configuration(user: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        User.model_validate(user)


def test_an_address_that_takes_no_mail_is_told_to_a_person_and_stops_nothing(
    bench: Workbench, mail: MailServer
) -> None:
    use(bench, mail, users={"desk": EVERYBODY["desk"]}, facility={"receipts": False})
    request = owing(bench, email="payer@example.org")
    bench.work("notify")
    mail.answers["RCPT"] = "550 no such user"
    bench.pay(request.asked)
    bench.work("notify")
    [hold] = bench.rows(tables.hold)
    assert (hold.cause, hold.object) == ("staff_not_told", "user:desk")
    assert "staff.example.org" not in hold.text + hold.fix
    assert bench.request().state == "paid"
