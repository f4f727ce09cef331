"""An amount in a message is what is due, on all that the message speaks of; on a receipt it is what was paid."""

from __future__ import annotations

from typing import Any

from workbench import Workbench, dft, line

from chartpost.adapter.flow.telling import notify
from chartpost.adapter.flow.telling.reach import Way
from chartpost.adapter.flow.wording import mentioned
from chartpost.adapter.ledger import tables


def owing(bench: Workbench, account: str, amount: str) -> Any:
    bench.take(dft(line("CG", amount), account=account))
    return bench.request()


def told(bench: Workbench, request: Any, purpose: str, step: str = "") -> str:
    key = bench.one(tables.account, id=request.account_id).key
    with bench.store.write() as tx:
        return notify.tell(tx, key, request.id, Way("sms", "sms", "+16085550101"), purpose=purpose, step=step)


def named(bench: Workbench, notice_id: str) -> str:
    return str(mentioned.amount(bench.flow, notice_id))


def planned(bench: Workbench, request: Any, *parts: tuple[str, int]) -> None:
    rows = [
        {"request_id": request.id, "number": number, "due_on": due_on, "amount": amount}
        for number, (due_on, amount) in enumerate(parts, start=1)
    ]
    with bench.store.write() as tx:
        tx.run(tables.instalment.insert(), rows)


def test_without_a_plan_all_that_is_asked_is_named(bench: Workbench) -> None:
    owing(bench, "A-1", "90.00")
    assert named(bench, bench.one(tables.notice).public_id) == "90.00 USD"


def test_with_a_plan_only_what_may_not_wait_is_named(bench: Workbench) -> None:
    request = owing(bench, "A-1", "90.00")
    planned(bench, request, ("2026-05-04", 3000), ("2026-06-04", 3000), ("2026-07-04", 3000))
    assert named(bench, told(bench, request, "request")) == "30.00 USD"
    assert named(bench, told(bench, request, "reminder", "due-3 2026-06-04")) == "60.00 USD"


def test_a_request_that_is_sent_once_more_names_what_is_due_today(bench: Workbench) -> None:
    request = owing(bench, "A-1", "90.00")
    planned(bench, request, ("2026-05-04", 3000), ("2026-06-04", 6000))
    assert named(bench, told(bench, request, "request", "resend:12")) == "30.00 USD"


def test_a_reminder_of_several_accounts_names_the_sum(bench: Workbench) -> None:
    first, second = owing(bench, "A-1", "90.00"), owing(bench, "A-2", "10.50")
    reminder = told(bench, first, "reminder", "due 2026-05-04")
    with bench.store.write() as tx:
        row = bench.one(tables.notice, public_id=reminder)
        cover = {"notice_id": row.id, "request_id": second.id, "step": "due-3 2026-05-07"}
        tx.run(tables.notice_cover.insert(), [cover])
    assert named(bench, reminder) == "100.50 USD"
    with bench.store.write() as tx:
        tx.run(tables.request.update().where(tables.request.c.id == second.id).values(state="expired"))
    assert named(bench, reminder) == "90.00 USD"


def test_a_receipt_names_what_one_payment_brought_to_all_accounts(bench: Workbench) -> None:
    first, second = owing(bench, "A-1", "90.00"), owing(bench, "A-2", "10.50")
    bench.pay(2000, "pi_shared", first)
    bench.pay(500, "pi_other", first)
    payment = bench.rows(tables.payment)[0]
    values = {**payment._mapping, "public_id": "M0SECOND0001", "account_id": second.account_id, "amount": 1050}
    with bench.store.write() as tx:
        tx.run(tables.payment.insert(), [{name: value for name, value in values.items() if name != "id"}])
    receipt = told(bench, first, "receipt", payment.public_id)
    assert named(bench, receipt) == "30.50 USD"
    with bench.store.write() as tx:
        tx.run(tables.payment.delete().where(tables.payment.c.public_id == "M0SECOND0001"))
