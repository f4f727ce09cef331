"""What the pages of a verified visitor say, and how their forms are read. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from babel.dates import get_date_format, get_month_names
from starlette.responses import Response

from chartpost.adapter.flow.answering.identify import Ways
from chartpost.adapter.flow.paying.details import Details, Item, Paid
from chartpost.adapter.flow.paying.family import Owed, spread
from chartpost.adapter.flow.paying.view import PayView
from chartpost.adapter.web.amount import AmountError, day, exact, known_locale, plain, read_amount, shown, symbol
from chartpost.adapter.web.at import At
from chartpost.adapter.web.links import Form, first
from chartpost.adapter.web.render import page
from chartpost.adapter.web.words import Words
from chartpost.mappings.model import Money


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a payer chose of several accounts: request → minor units, or what is wrong with it."""

    parts: Mapping[str, int] = field(default_factory=dict)
    ticked: frozenset[str] | None = None  #: None: nobody has chosen yet
    total: str = ""  #: what was typed as one amount for all of them
    typed: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)  #: request, or "total" → reason of AmountError
    error: str = ""  #: a key of the catalogue, about all of it


# -------------------------------------------------------------------------------------------------------- who is it


def identity_page(
    view: PayView, at: At, ways: Ways, status: int = 200, *, born: str = "", code: str = "", note: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:  # fmt: skip
    """Ask who is there. `born`, `code` and `note` are keys below `identity.`: what is wrong with an answer."""
    say = Words(view.locale)
    bad = note != "sent"
    if not note and ways.birth_locked:
        note = "locked_code" if ways.code else "locked"
    if not ways or note == "nowhere":
        note = "impossible"
    months = get_month_names("wide", locale=known_locale(Words(view.locale).locale))
    return page(
        "identity.html", say, status, title=say("identity.title"), facility=view.facility, contact=view.contact, at=at,
        below="/details", languages=view.languages, born=ways.birth_date and not ways.birth_locked, to=ways.code,
        sent=ways.sent, months=sorted(months.items()), order=_order(view.locale),
        typed={"year": "", "month": "", "day": ""} | dict(typed or {}), bad=bad,
        born_error=_told(say, born, view, ways), code_error=_told(say, code, view, ways),
        note=_told(say, note, view, ways),
    )  # fmt: skip


def _told(say: Words, key: str, view: PayView, ways: Ways) -> str:
    return say(f"identity.{key}", facility=view.facility, to=ways.code) if key else ""


def _order(locale: str) -> list[str]:
    """Return the parts of a date in the order in which people of a locale write them."""
    pattern = str(get_date_format("short", locale=known_locale(locale)))
    return sorted(("year", "month", "day"), key=lambda part: pattern.lower().find(part[0]))


def read_date(typed: Mapping[str, str]) -> dt.date | None:
    """Return the date that was typed in three fields, None where it is none or nobody can have been born then."""
    try:
        date = dt.date(*(int(typed[name]) for name in ("year", "month", "day")))
    except (ValueError, OverflowError):
        return None
    return date if date.year >= 1880 else None


# --------------------------------------------------------------------------------------------------------- details


def details_page(found: Details, at: At, status: int = 200, chosen: Chosen | None = None) -> Response:
    """Show what is asked for and what was paid; a payer may pay several accounts at once."""
    chosen = Chosen() if chosen is None else chosen
    view, say = found.view, Words(found.view.locale)
    trouble = chosen.error if chosen.error.startswith("pay.") or chosen.error == "family.changed" else ""
    return page(
        "details.html", say, status, title=say("details.title"), facility=view.facility, contact=view.contact, at=at,
        below="/details", languages=view.languages, patient=found.patient,
        payer=found.payer if found.payer != found.patient else "", said=found.note,
        items=[_item(say, view, item) for item in found.items],
        owed=shown(view.owed, view.locale) if view.owed.minor > 0 else "",
        paid=shown(found.paid, view.locale) if found.paid.minor else "",
        payments=[(one.id, _payment(say, view, one)) for one in found.payments],
        family=[_account(say, view, one, chosen) for one in found.family],
        parts=view.parts, sign=symbol(view.owed.currency, view.locale),
        note=say(trouble) if trouble else "", error=say(chosen.error) if chosen.error and not trouble else "",
        total=_total(say, view, found, chosen),
    )  # fmt: skip


def _total(say: Words, view: PayView, found: Details, chosen: Chosen) -> dict[str, str]:
    """Return what is said of one amount for all accounts."""
    owed, reason = _all_owed(found), chosen.errors.get("total", "")
    least = shown(Money(minor=min(view.part_minimum, owed.minor), currency=owed.currency), view.locale)
    words = {"owed": shown(owed, view.locale), "example": plain(owed), "least": least}
    error = say(f"error.{reason}", **words) if reason else ""
    return {"hint": say("family.total_hint", owed=words["owed"]), "typed": chosen.total, "error": error}


def _all_owed(found: Details) -> Money:
    return Money(minor=sum(one.amount for one in found.family), currency=found.view.owed.currency)


def _item(say: Words, view: PayView, item: Item) -> tuple[str, str, str]:
    """Return what it is, how its amount comes about where that takes words, and its amount."""
    more = []
    if item.quantity not in ("", "1"):
        more.append(say("item.quantity", quantity=item.quantity, each=_major(view, item.each)))
    if item.discount:
        more.append(say("item.discount", amount=_major(view, item.discount)))
    if item.tax:
        more.append(say("item.tax", amount=_major(view, item.tax)))
    return item.text or say(f"kind.{item.kind}"), ", ".join(more), shown(item.amount, view.locale)


def _major(view: PayView, amount: Decimal) -> str:
    return exact(amount, view.owed.currency, view.locale)


def _payment(say: Words, view: PayView, one: Paid) -> str:
    return say("details.receipt", paid=shown(one.amount, view.locale), date=day(one.on, view.locale))


def _account(say: Words, view: PayView, one: Owed, chosen: Chosen) -> dict[str, object]:
    owed = Money(minor=one.amount, currency=one.currency)
    named = {"patient": one.patient, "date": day(one.opened_at.date(), view.locale)}
    reason = chosen.errors.get(one.request, "")
    return {
        "id": one.request, "name": say("family.account", **named), "label": say("family.amount", **named),
        "owed": shown(owed, view.locale), "shown": one.amount,
        "chosen": chosen.ticked is None or one.request in chosen.ticked,
        "typed": chosen.typed.get(one.request, plain(owed)),
        "error": say(f"error.{reason}", owed=shown(owed, view.locale), example=plain(owed), least="") if reason else "",
    }  # fmt: skip


def read_family(found: Details, form: Form) -> Chosen:
    """Return what was chosen of several accounts."""
    known = {one.request: one for one in found.family}
    ticked = frozenset(form.get("account", ()))
    typed = {id: first(form, f"amount-{id}") for id in known if f"amount-{id}" in form}
    chosen = Chosen(ticked=ticked, typed=typed)
    if first(form, "pay") == "total":
        return _read_total(found, form)
    if not ticked:
        return replace(chosen, error="family.none")
    if any(id not in known or first(form, f"shown-{id}") != str(known[id].amount) for id in ticked):
        # Nobody is sent to pay another amount than the page said.
        return Chosen(error="family.changed")
    parts: dict[str, int] = {}
    errors: dict[str, str] = {}
    for id in sorted(ticked):
        owed = Money(minor=known[id].amount, currency=known[id].currency)
        try:
            whole = not found.view.parts or id not in typed
            parts[id] = owed.minor if whole else read_amount(typed[id], owed, found.view.locale).minor
        except AmountError as error:
            errors[id] = error.reason
    return replace(chosen, parts=parts, errors=errors)


def _read_total(found: Details, form: Form) -> Chosen:
    """Return how one amount goes to all accounts, the oldest first."""
    chosen, view = Chosen(total=first(form, "total")), found.view
    if not view.parts or any(first(form, f"shown-{one.request}") != str(one.amount) for one in found.family):
        return Chosen(error="family.changed")
    try:
        total = read_amount(chosen.total, _all_owed(found), view.locale, least=view.part_minimum)
    except AmountError as error:
        return replace(chosen, errors={"total": error.reason})
    return replace(chosen, parts=spread(found.family, total.minor))


def receipt_page(found: Details, paid: Paid, at: At) -> Response:
    """Show one payment, to be printed."""
    view, say = found.view, Words(found.view.locale)
    kind, _, brand = paid.medium.partition("/")
    medium = say("medium.card") if kind == "card" else kind
    rows = [
        (say("receipt.to"), view.facility),
        (say("receipt.patient"), found.patient),
        (say("receipt.date"), day(paid.on, view.locale)),
        (say("receipt.amount"), shown(paid.amount, view.locale)),
        (say("receipt.medium"), f"{medium} ({brand.title()})" if brand else medium),
        (say("receipt.number"), paid.id),
    ]
    return page(
        "receipt.html", say, title=say("receipt.title"), facility=view.facility, contact=view.contact, at=at,
        rows=[row for row in rows if row[1]],
    )  # fmt: skip
