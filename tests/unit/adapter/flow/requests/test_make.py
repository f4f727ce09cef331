"""A request that a person makes, on both databases: what is shown is what is sent, and policy has the last word."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from workbench import MAY, Workbench, dft, line

from chartpost.adapter.flow.answering import optout
from chartpost.adapter.flow.asking import link
from chartpost.adapter.flow.deciding.decide import No
from chartpost.adapter.flow.requests.change import cancel
from chartpost.adapter.flow.requests.make import Item, Wish, facility_of, make, preview
from chartpost.adapter.ledger import tables
from chartpost.adapter.ledger.consents import REVOKED, Word
from chartpost.adapter.policy import Amounts, Quiet
from chartpost.adapter.settings import Mail
from chartpost.adapter.users import User

MAIL = Mail(sender="Lakeside", address="pay@lakeside.example.org", reply_to="billing@lakeside.example.org")


def policy(bench: Workbench, users: dict[str, User] | None = None, **changes: Any) -> None:
    """Take another policy for the facility, as after a restart."""
    old = bench.flow.settings
    facility = old.facilities["lakeside"].model_copy(update=changes)
    bench.use(old.model_copy(update={"facilities": {"lakeside": facility}, "users": users or {}}))
    both = {"sms": SimpleNamespace(channel="sms"), "mail": SimpleNamespace(channel="email")}
    bench.flow = replace(bench.flow, world=replace(bench.flow.world, notifiers=both))


def amounts(**values: Any) -> Amounts:
    return Amounts.model_validate(values)


def owe(bench: Workbench, amount: str = "100.00", account: str = "A-1") -> Any:
    """Charge an account and withdraw the request that this opens, so that nobody is asked; return its row."""
    bench.take(dft(line("CG", amount), account=account))
    cancel(bench.flow, bench.request().public_id, by="ben")
    return bench.rows(tables.account)[-1]


def refusal(bench: Workbench, wish: Wish, by: str = "anna") -> str:
    """Return why a wish is refused; preview and make agree, and nothing has changed."""
    before = [bench.rows(table) for table in (tables.account, tables.request, tables.notice, tables.hold)]
    with pytest.raises(No) as seen:
        preview(bench.flow, wish, by=by)
    with pytest.raises(No) as no:
        make(bench.flow, wish, by=by)
    assert str(no.value) == str(seen.value)
    assert before == [bench.rows(table) for table in (tables.account, tables.request, tables.notice, tables.hold)]
    return str(no.value)


def test_a_wish_without_an_amount_asks_for_what_is_owed_and_tells_whom_the_chart_names(bench):
    owe(bench)
    made = make(bench.flow, Wish("A1"), by="anna")
    row = bench.request()
    assert (made.request, made.amount.minor, made.owed.minor, made.account) == (row.public_id, 10000, 10000, "A1")
    assert made.link == link.address(bench.flow, "lakeside", bench.token(row))
    assert (row.state, row.asked, row.made_by, made.payer) == ("open", 10000, "anna", "Silvia Sample")
    assert [(one.channel, one.to, one.why_not) for one in made.messages] == [("sms", "+16085550101", "")]
    assert made.link in made.messages[0].text
    (act,) = bench.rows(tables.act, object=f"request:{row.public_id}")
    assert (act.by, act.verb, act.note) == ("anna", "make", b"100.00 USD")
    bench.check()


def test_a_preview_is_what_make_would_do_and_changes_nothing(bench):
    owe(bench)
    counted = {table: len(bench.rows(table)) for table in tables.metadata.sorted_tables}
    wish = Wish("A1", amount=Decimal("40.00"), note="Bring the form", expires="once", language="es")
    seen = preview(bench.flow, wish, by="anna")
    assert counted == {table: len(bench.rows(table)) for table in tables.metadata.sorted_tables}
    made = make(bench.flow, wish, by="anna")
    assert (seen.request, seen.link) == ("", "")
    assert replace(seen, request=made.request, link=made.link, messages=()) == replace(made, messages=())
    (before,), (after,) = seen.messages, made.messages
    token = made.link.rpartition("/")[2]
    assert (before.text, before.segments) == (after.text.replace(token, "x" * 22), after.segments)
    assert token not in before.text, "nobody hands on a link that leads nowhere"
    assert (made.expires_at, made.amount.minor) == (MAY + dt.timedelta(hours=24), 4000)
    assert "Bring the form" not in after.text


def test_several_recipients_get_a_message_each_and_what_quiet_hours_hold_back_says_until_when(bench):
    owe(bench)
    policy(bench, notifiers=("sms", "mail"), mail=MAIL, quiet=Quiet(hours="09:00-17:00"))
    wish = Wish("A1", recipients="608 555 0107; pat@example.org ;+1 (608) 555-0107")
    seen = preview(bench.flow, wish, by="anna")
    assert [(one.channel, one.notifier, one.to) for one in seen.messages] == [
        ("sms", "sms", "+16085550107"), ("email", "mail", "pat@example.org"),
    ]  # fmt: skip
    assert {one.later for one in seen.messages} == {dt.datetime(2026, 5, 4, 22, 0, tzinfo=dt.UTC)}
    assert (seen.messages[0].segments, seen.messages[1].segments, seen.messages[1].subject) == (1, 0, "Lakeside")
    made = make(bench.flow, wish, by="anna")
    due = [row for row in bench.rows(tables.notice) if row.request_id == bench.request().id]
    assert [row.recipient.decode() for row in due] == [one.to for one in made.messages]
    assert bench.request().said["recipients"] == [
        {"channel": "sms", "to": "+16085550107"}, {"channel": "email", "to": "pat@example.org"},
    ]  # fmt: skip


def test_where_nobody_may_be_written_to_the_preview_says_why_and_the_link_is_there_to_be_handed_over(bench):
    bench.take(dft(line("CG", "10.00")), source="no_consent")
    cancel(bench.flow, bench.request().public_id, by="ben")
    seen = preview(bench.flow, Wish("A1"), by="anna")
    (one,) = seen.messages
    assert (one.to, one.text, "consent" in one.why_not, "consent" in seen.why_nobody) == (
        "+16085550101",
        "",
        True,
        True,
    )
    assert make(bench.flow, Wish("A1"), by="anna").link


def test_where_the_first_channel_may_not_be_used_the_preview_shows_what_goes_out_by_the_next(bench):
    bench.take(dft(line("CG", "10.00"), phone="(608) 555-0101~^NET^Internet^silvia@example.org"))
    cancel(bench.flow, bench.request().public_id, by="ben")
    policy(bench, notifiers=("sms", "mail"), mail=MAIL, quiet=Quiet(hours=None))
    with bench.store.write() as tx:
        optout.take(
            bench.flow, tx, "sms", "+16085550101", Word(REVOKED, "staff", "call", "anna"), facilities=["lakeside"]
        )
    seen = preview(bench.flow, Wish("A1"), by="anna")
    assert [(one.channel, one.to, bool(one.why_not), bool(one.text)) for one in seen.messages] == [
        ("sms", "+16085550101", True, False), ("email", "silvia@example.org", False, True),
    ]  # fmt: skip
    assert seen.why_nobody == ""


def test_a_recipient_whom_no_notifier_can_write_to_is_shown_with_the_reason_beside_one_who_is_told(bench):
    owe(bench)
    seen = preview(bench.flow, Wish("A1", recipients="pat@example.org; 6085550107"), by="anna")
    assert [(one.to, bool(one.text), "no notifier" in one.why_not) for one in seen.messages] == [
        ("pat@example.org", False, True), ("+16085550107", True, False),
    ]  # fmt: skip
    assert seen.why_nobody == ""
    make(bench.flow, Wish("A1", recipients="pat@example.org; 6085550107"), by="anna")
    assert bench.holds() == ["no_notifier"]


def test_items_are_kept_and_add_up_to_the_amount_exactly(bench):
    owe(bench)
    items = (
        Item("Crown", Decimal("30.00"), Decimal("2"), discount=Decimal("5.00"), tax=Decimal("4.40")),
        Item("Gauze", Decimal("0.125"), Decimal("8")),
    )
    made = make(bench.flow, Wish("A1", items=items), by="anna")
    assert made.amount.minor == 6040
    assert [one["total"] for one in bench.request().said["items"]] == ["59.40", "1.00"]
    assert not any(word in one.text for one in made.messages for word in ("Crown", "Gauze"))


# ------------------------------------------------------------------------------------------------------------ amounts


@pytest.mark.parametrize(
    ("amount", "why"),
    [
        ("0", "above zero"), ("-1.00", "above zero"), ("1.001", "more decimals"), ("1E+30", "too large"),
        ("NaN", "no number"), ("Infinity", "no number"), ("1E-30", "more decimals"), ("1E+999999", "too large"),
        ("100.01", "no more is asked for"),
    ],
)  # fmt: skip
def test_what_is_no_amount_that_may_be_asked_for_is_refused_with_a_sentence(bench, amount, why):
    owe(bench)
    assert why in refusal(bench, Wish("A1", amount=Decimal(amount)))


def test_another_currency_is_refused(bench):
    owe(bench)
    assert "account is in USD" in refusal(bench, Wish("A1", amount=Decimal(5), currency="EUR"))
    assert make(bench.flow, Wish("A1", amount=Decimal(5), currency="usd"), by="anna").amount.minor == 500


def test_items_that_make_no_sense_are_refused_by_position(bench):
    owe(bench)
    good = Item("Visit", Decimal("10.00"))
    for item, why in [
        (Item("", Decimal(1)), "item 2: it has no description"),
        (Item("x", Decimal("0.333")), "item 2: it does not come to whole minor units"),
        (Item("x", Decimal(1), Decimal(0)), "item 2: quantity"),
        (Item("x", Decimal(1), discount=Decimal(2)), "item 2: its discount"),
        (Item("x", Decimal("NaN")), "item 2: an amount"),
        (Item("x", Decimal("1E-40"), Decimal("1E+11")), "item 2: an amount"),
    ]:
        assert why in refusal(bench, Wish("A1", items=(good, item)))
    assert "items come to 10.00 USD" in refusal(bench, Wish("A1", amount=Decimal(9), items=(good,)))
    assert "above zero" in refusal(bench, Wish("A1", items=(Item("x", Decimal(0)),)))


def test_policy_says_how_little_and_how_much_may_be_asked_for(bench):
    owe(bench)
    policy(bench, amounts=amounts(minimum="5.00", maximum="90.00", lower=True))
    assert "less than 5.00 USD" in refusal(bench, Wish("A1", amount=Decimal("4.99")))
    assert "more than 90.00 USD" in refusal(bench, Wish("A1"))
    policy(bench, amounts=amounts(lower=False))
    assert "amounts.lower" in refusal(bench, Wish("A1", amount=Decimal("99.99")))


def test_above_the_review_somebody_who_may_must_approve_and_then_nothing_waits_for_a_person_any_more(bench):
    clinician = User.model_validate({"role": "clinician", "billing": True})
    policy(bench, {"dr": clinician}, amounts=amounts(review_above="50.00"))
    bench.take(dft(line("CG", "100.00")))
    assert bench.holds() == ["above_review"]
    assert "approves" in refusal(bench, Wish("A1"))
    assert "may not approve" in refusal(bench, Wish("A1", approved=True), by="dr")
    make(bench.flow, Wish("A1", approved=True), by="anna")
    assert (bench.request().asked, bench.one(tables.account).approved, bench.holds()) == (10000, 10000, [])


def test_less_than_is_owed_withholds_the_rest_and_the_next_charge_is_asked_for_beside_it(bench):
    owe(bench)
    make(bench.flow, Wish("A1", amount=Decimal("40.00")), by="anna")
    assert (bench.request().asked, bench.one(tables.account).withheld) == (4000, 6000)
    bench.take(dft(line("CG", "7.00")))
    assert bench.request().asked == 4700
    bench.pay(4700)
    assert (bench.request().state, bench.one(tables.account).balance) == ("paid", 6000)


def test_nothing_owed_is_nothing_to_ask_for_but_an_advance_may_be_where_policy_lets(bench):
    owe(bench)
    bench.take(dft(line("PY", "-100.00")))
    assert "nothing is owed" in refusal(bench, Wish("A1"))
    assert "0.00 USD is owed" in refusal(bench, Wish("A1", amount=Decimal(50)))
    policy(bench, amounts=amounts(higher=True))
    make(bench.flow, Wish("A1", amount=Decimal(50)), by="anna")
    assert (bench.request().asked, bench.request().advance) == (5000, 5000)


def test_while_charges_are_gathered_a_person_may_ask_at_once_and_nobody_is_asked_twice(bench):
    policy(bench, gather_hours=4)
    bench.take(dft(line("CG", "30.00")))
    assert bench.rows(tables.request) == []
    make(bench.flow, Wish("A1"), by="anna")
    bench.take(dft(line("CG", "12.00")))
    bench.clock.advance(hours=20)
    bench.work("gather")
    assert [row.asked for row in bench.rows(tables.request)] == [4200]
    assert len(bench.rows(tables.notice)) == 1


def test_money_that_is_paid_before_its_charge_comes_is_credit_and_the_charge_uses_it_up(bench):
    policy(bench, amounts=amounts(higher=True))
    wish = Wish("A-77", source="all", amount=Decimal("50.00"), patient="Silvia Sample", recipients="6085550101")
    seen = preview(bench.flow, wish, by="anna")
    assert (seen.account, bench.rows(tables.account)) == ("", [])
    made = make(bench.flow, wish, by="anna")
    assert made.payer == "Silvia Sample"
    bench.pay(5000)
    assert (bench.request().state, bench.one(tables.account).balance) == ("paid", -5000)
    bench.take(dft(line("CG", "60.00"), account="A-77"))
    assert (bench.one(tables.account).balance, bench.request().asked) == (1000, 1000)
    assert bench.one(tables.account).chart["PID-18"], "the charge has brought what the chart needs"


def test_an_account_that_is_not_here_is_opened_for_an_advance_alone_with_a_name_and_an_amount(bench):
    wish = Wish("A-77", source="all", amount=Decimal(50), patient="Silvia Sample")
    assert "amounts.higher" in refusal(bench, wish)
    policy(bench, amounts=amounts(higher=True))
    assert "say how much" in refusal(bench, replace(wish, amount=None))
    assert "patient's name" in refusal(bench, replace(wish, patient=" "))
    assert "no source of that name" in refusal(bench, replace(wish, source="alll"))
    assert "number is empty" in refusal(bench, replace(wish, account=" "))
    assert "no such account" in refusal(bench, Wish("A99"))
    assert "say which account" in refusal(bench, Wish("K-30101"))


# ------------------------------------------------------------------------------------------------------ who and when


@pytest.mark.parametrize(
    ("recipients", "wrong"),
    [
        ("zoe@", "recipient 1 is no e-mail address"), ("a b@example.org", "recipient 1 is no e-mail address"),
        ("pat@example.org; 12", "recipient 2 is no phone number"), ("6085550101;;hello", "recipient 3 is no phone"),
        ("999-999-9999", "recipient 1"), ("pat@example.org, sam@example.org", "recipient 1 is no e-mail address"),
        ("x@y@example.org", "recipient 1 is no e-mail address"), ("pat@example.org\nBcc: q@example.org", "recipient 1"),
    ],
)  # fmt: skip
def test_recipients_that_are_no_address_are_named_by_position_and_never_repeated(bench, recipients, wrong):
    owe(bench)
    said = refusal(bench, Wish("A1", recipients=recipients))
    assert wrong in said
    assert not any(part.strip() and part.strip() in said for part in recipients.split(";"))


def test_every_bad_recipient_is_named_at_once(bench):
    owe(bench)
    said = refusal(bench, Wish("A1", recipients="nobody; pat@example.org; 5; q@"))
    assert [f"recipient {number} " in said for number in (1, 2, 3, 4)] == [True, False, True, True]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"language": "fr"}, "speaks en, es"), ({"expires": "tomorrow"}, "an expiry"), ({"expires": "0"}, "an expiry"),
        ({"expires": "-3"}, "an expiry"), ({"expires": "99999"}, "an expiry"),
        ({"due_on": dt.date(2026, 5, 3)}, "has passed"), ({"note": "x" * 2001}, "longer"),
        ({"payer": "x" * 201}, "longer"),
    ],
)  # fmt: skip
def test_what_else_cannot_be_meant_is_refused(bench, changes, why):
    owe(bench)
    assert why in refusal(bench, Wish("A1", **changes))


def test_a_request_ends_when_the_person_said_and_otherwise_as_policy_has_it(bench):
    policy(bench, request_days=30)
    owe(bench)
    for said, days in (("", 30), ("once", 1), ("7", 7), ("never", None)):
        made = make(bench.flow, Wish("A1", expires=said), by="anna")
        assert made.expires_at == (None if days is None else MAY + dt.timedelta(days=days)), said
        lapses = [row.due_at for row in bench.rows(tables.errand, kind="lapse", subject=made.request)]
        assert lapses == ([] if days is None else [made.expires_at])
        cancel(bench.flow, made.request, by="anna")


def test_there_is_never_a_second_request_and_nobody_is_asked_about_a_stopped_account(bench):
    bench.take(dft(line("CG", "100.00")))
    assert f"request {bench.request().public_id} is open" in refusal(bench, Wish("A1"))
    cancel(bench.flow, bench.request().public_id, by="ben")
    with bench.store.write() as tx:
        tx.run(tables.account.update().values(stopped="deceased"))
    assert "deceased" in refusal(bench, Wish("A1"))


def test_of_two_tabs_that_make_a_request_at_once_one_makes_it_and_the_other_is_told(bench):
    policy(bench, amounts=amounts(higher=True))
    for wish in (Wish("A-5", source="all", amount=Decimal(50), patient="Sam Sample"), Wish("A1", amount=Decimal(50))):
        start = threading.Barrier(2)

        def tab(by: str, wish: Wish = wish, start: threading.Barrier = start) -> str:
            start.wait()
            try:
                return make(bench.flow, wish, by=by).request
            except No as no:
                return str(no)

        with ThreadPoolExecutor(2) as pool:
            said = sorted(pool.map(tab, ("anna", "ben")), key=len)
        (row,) = bench.rows(tables.request, state="open")
        assert said[0] == row.public_id
        assert "somebody else was faster" in said[1] or row.public_id in said[1]
        cancel(bench.flow, row.public_id, by="anna")


def test_an_account_is_named_by_its_id_or_by_its_number_at_a_source(bench):
    owe(bench, account="K 1")
    assert facility_of(bench.flow, "A1") == facility_of(bench.flow, "K 1", "all") == "lakeside"
    assert make(bench.flow, Wish("K 1", source="all"), by="anna").account == "A1"
