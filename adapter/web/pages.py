"""What each page says, in each state. Pure: a view of the request in, a finished answer out."""

from __future__ import annotations

from starlette.responses import Response

from chartpost.adapter.flow.paying.pay import PayView
from chartpost.adapter.flow.requests.plan import Part
from chartpost.adapter.web.amount import day, plain, shown, symbol
from chartpost.adapter.web.at import At
from chartpost.adapter.web.render import Tone, note, page
from chartpost.adapter.web.words import Words
from chartpost.mappings.model import Money


def request_page(
    view: PayView, at: At, *, status: int = 200, note: str = "", bad: bool = False, error: str = "", typed: str = ""
) -> Response:
    """Say what is owed and take an amount, or what became of the request.

    `note` is a key of the catalogue, said above the amount (`bad`: as an alert); `error` a reason of AmountError, said
    beside the field, which keeps what was `typed`.
    """
    if view.state != "open" or view.pending or view.owed.minor <= 0:
        return closed_page(view, at)
    say, owed = Words(view.locale), shown(view.owed, view.locale)
    title = say("pay.title", facility=view.facility)
    least = _shown(view, min(view.part_minimum, view.owed.minor))
    due = view.due if view.due is not None and 0 < view.due.minor < view.owed.minor else None
    return page(
        "pay.html",
        say,
        status,
        title=say("error.title", title=title) if error else title,
        facility=view.facility,
        contact=view.contact,
        at=at,
        languages=view.languages,
        owed=owed,
        minor=view.owed.minor,
        due=shown(due, view.locale) if due is not None else "",
        due_minor=due.minor if due is not None else 0,
        waits=[_wait(say, view, part) for part in view.waits],
        offers=[(len(parts), _offer(say, view, parts)) for parts in view.offers],
        every=view.every,
        parts=view.parts,
        hint=say("pay.hint_least", owed=owed, least=least) if view.part_minimum else say("pay.hint", owed=owed),
        paid=shown(view.paid, view.locale) if view.paid.minor > 0 else "",
        sign=symbol(view.owed.currency, view.locale),
        note=say(note, owed=owed, facility=view.facility) if note else "",
        note_bad=bad,
        error=say(f"error.{error}", owed=owed, example=plain(view.owed), least=least) if error else "",
        typed=typed,
        details=view.details,
    )


def _shown(view: PayView, minor: int) -> str:
    return shown(Money(minor=minor, currency=view.owed.currency), view.locale)


def _wait(say: Words, view: PayView, part: Part) -> str:
    return say("plan.wait", amount=_shown(view, part.amount), date=day(part.due_on, view.locale))


def _offer(say: Words, view: PayView, parts: tuple[Part, ...]) -> str:
    """The first instalments may be a cent larger than the last ones."""
    same = parts[0].amount == parts[-1].amount
    key = "plan.same" if same else "plan.most"
    return say(key, count=str(len(parts)), amount=_shown(view, parts[0].amount))


#: state: (status, tone). 410 tells programs, too, that the link will not come back (RFC 9110 §15.5.11).
_CLOSED: dict[str, tuple[int, Tone]] = {
    "pending": (200, "wait"),
    "paid": (200, "done"),
    "settled": (200, "done"),
    "cancelled": (410, "plain"),
    "expired": (410, "plain"),
    "not_me": (200, "plain"),
}


def closed_page(view: PayView, at: At) -> Response:
    """Say what became of a request that takes no payment now."""
    say = Words(view.locale)
    state = view.state if view.state != "open" else "pending" if view.pending else "settled"
    status, tone = _CLOSED[state]
    paid = shown(view.paid, view.locale)
    texts = [say(f"{state}.text", facility=view.facility, paid=paid)]
    if view.paid.minor > 0 and state not in ("paid", "not_me"):
        texts.append(say("sofar.text", paid=paid))
    return note(
        say,
        status,
        tone,
        say(f"{state}.title"),
        texts,
        facility=view.facility,
        contact=view.contact,
        action=(at(), say("again")) if state == "pending" else None,
        post=(at("/renew"), say("expired.button")) if state == "expired" else None,
        more=(at("/details"), say("more.details")) if view.details else None,
        at=at,
        languages=view.languages,
    )


def return_page(view: PayView, outcome: str, here: str, again: str, *, waits: bool) -> Response:
    """Tell what became of a visit to the card page. `again` is the address of this page, `waits` that it reloads.

    While money may be under way there is no way to pay again on it.
    """
    say, facility = Words(view.locale), view.facility
    status, action = 200, None
    tone: Tone = "plain"
    match outcome:
        case "recorded":
            tone, texts = "done", [say("recorded.text", facility=facility, paid=shown(view.paid, view.locale))]
            texts.append(_remaining(say, view.state == "open", view.owed, view.locale))
            if view.state == "open" and view.owed.minor > 0 and not view.pending:
                action = (here, say("recorded.rest"))
        case "received" | "processing":
            tone, texts = "wait", [say(f"{outcome}.text", facility=facility)]
            texts.append(say("waiting.soon" if waits else "waiting.long"))
            action = (again, say("again"))
        case "open" | "closed":
            title = "nothing" if outcome == "open" else "closed"
            return note(
                say,
                status,
                tone,
                say(f"{title}.title"),
                [say(f"{title}.text")],
                facility=facility,
                contact=view.contact,
                action=(here, say("to_pay")),
            )
        case _:
            # The card processor may not answer just now: nothing here may tempt anybody to pay twice.
            outcome, texts, action = "unseen", [say("unseen.text"), say("unseen.else")], (again, say("again"))
    return note(
        say, status, tone, say(f"{outcome}.title"), texts, facility=facility, contact=view.contact, action=action
    )


def _remaining(say: Words, is_open: bool, owed: Money, locale: str) -> str:
    if is_open and owed.minor > 0:
        return say("recorded.left", owed=shown(owed, locale))
    return say("recorded.nothing")


def unknown(say: Words) -> Response:
    """A link that we never gave out, or not in full."""
    return note(say, 404, "plain", say("unknown.title"), [say("unknown.text"), say("unknown.help")])


def burst(say: Words) -> Response:
    """Many wrong links from one address."""
    answer = note(say, 429, "wait", say("burst.title"), [say("burst.text")])
    answer.headers["retry-after"] = "60"
    return answer


def refused(say: Words) -> Response:
    """A form that another site sent."""
    return note(say, 403, "trouble", say("refused.title"), [say("refused.text")])


def failed(status: int, code: str, say: Words) -> Response:
    """Our own failure: 503 when the database is away, else 500. `code` finds it in the log."""
    kind = "away" if status == 503 else "failed"
    texts = [say(f"{kind}.text"), say("safe"), say("code", code=code)]
    answer = note(say, status, "trouble", say(f"{kind}.title"), texts)
    if status == 503:
        answer.headers["retry-after"] = "30"
    return answer
