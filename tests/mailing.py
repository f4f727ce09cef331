"""A flow whose facility writes e-mail too, to a real mail server: for tests of what is said."""

from __future__ import annotations

from typing import Any

from mailserver import MailServer
from workbench import Workbench, configuration, dft, line, unique

from chartpost.adapter.flow.paying import record
from chartpost.adapter.ledger import tables
from chartpost.adapter.ports import EventType, PaymentEvent
from chartpost.adapter.settings import Plugin
from chartpost.adapter.users import User

SIGNED = {"sender": "Lakeside Billing", "address": "pay@lakeside.example.org", "reply_to": "office@example.org"}
#: Nothing of this patient may be said.
CANARIES = ("Canary", "Carla", "ECHO", "19800101", "1980-01-01", "Clinic", "40.00")


def use(
    bench: Workbench, mail: MailServer, outside: Any = None, users: dict[str, dict[str, Any]] | None = None,
    facility: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    """Take a configuration with SMS (where `outside` has it) and e-mail, and these changes of the facility."""
    settings = configuration(outside)
    smtp = {"type": "smtp", "address": mail.address, "security": "none", "timeout_seconds": 0.5}
    order = ["sms", "mail"] if outside else ["mail"]
    changes = {"notifiers": order, "mail": SIGNED, "receipts": True, **(facility or {})}
    place = type(settings.facilities["lakeside"]).model_validate(
        settings.facilities["lakeside"].model_dump(exclude={"quiet"}) | {"quiet": "none"} | changes
    )
    bench.use(
        settings.model_copy(
            update={
                "facilities": {"lakeside": place},
                "notifiers": {**settings.notifiers, "mail": Plugin.model_validate(smtp)},
                "users": {name: User.model_validate(user) for name, user in (users or {}).items()},
            }
        )
    )


def owing(bench: Workbench, phone: str = "", email: str = "", *, language: str = "", provider: str = "") -> Any:
    """Let a patient with these contacts owe 40.00; return the request."""
    first = line("CG", "40.00", "ECHO")
    if provider:
        fields = [*first.split("|"), *[""] * 30]
        fields[18] = provider  # FT1-20: `line` begins with FT1-2
        first = "|".join(fields).rstrip("|")
    body = dft(first, account=unique("F"), phone=phone or "0000000000", name="Canary^Carla")
    number = f"^PRN^CP^^1^{phone[:3] or '000'}^{phone[3:] or '0000000'}"
    written = "~".join([*([number] if phone else []), *([f"^NET^Internet^{email}"] if email else [])])
    bench.take(body.replace(f"{number}|||||".encode(), f"{written}||{language}|||".encode()))
    return bench.request()


def pay_together(bench: Workbench, *parts: tuple[Any, int]) -> None:
    """Record one payment that pays several requests, in minor units each, as if its card page had been paid."""
    first, total = parts[0][0], sum(amount for _, amount in parts)
    session = {
        "public_id": unique("C"), "account_id": first.account_id, "request_id": first.id, "provider": "card",
        "state": "open", "amount": total, "currency": "USD", "success_url": "", "cancel_url": "",
    }  # fmt: skip
    with bench.store.write() as tx:
        added = tables.card_session.insert().returning(tables.card_session.c.id)
        number = tx.run(added, [session | {"expires_at": tx.now, "created_at": tx.now}]).scalar_one()
        rows = [
            {"card_session_id": number, "account_id": one.account_id, "request_id": one.id, "amount": amount}
            for one, amount in parts
        ]
        tx.run(tables.card_part.insert(), [row | {"live": True} for row in rows])
    told = PaymentEvent(
        unique("evt_"),
        EventType.PAID,
        bench.clock(),
        session["public_id"],
        "",
        unique("pi_"),
        total,
        "USD",
        "card/visa",
    )
    record.take(bench.flow, "card", told, b"{}")
