"""What each page says, in each state. Pure: a view of the request in, a finished answer out."""

from __future__ import annotations

from starlette.responses import Response

from chartpost.adapter.flow.paying.pay import PayView
from chartpost.adapter.web.amount import plain, shown, symbol
from chartpost.adapter.web.render import Tone, note, page
from chartpost.adapter.web.words import Words
from chartpost.mappings.model import Money

#: Where no facility is known there is no locale either.
_ENGLISH = Words("en_US")


def request_page(
    view: PayView, here: str, *, status: int = 200, note: str = "", bad: bool = False, error: str = "", typed: str = ""
) -> Response:
    """Say what is owed and take an amount, or what became of the request.

    `note` is a key of the catalogue, said above the amount (`bad`: as an alert); `error` a reason of AmountError, said
    beside the field, which keeps what was `typed`.
    """
    if view.state != "open" or view.pending or view.owed.minor <= 0:
        return _closed(view, here)
    say, owed = Words(view.locale), shown(view.owed, view.locale)
    title = say("pay.title", facility=view.facility)
    return page(
        "pay.html",
        say,
        status,
        title=say("error.title", title=title) if error else title,
        facility=view.facility,
        contact=view.contact,
        here=here,
        owed=owed,
        minor=view.owed.minor,
        paid=shown(view.paid, view.locale) if view.paid.minor > 0 else "",
        sign=symbol(view.owed.currency, view.locale),
        note=say(note, owed=owed, facility=view.facility) if note else "",
        note_bad=bad,
        error=say(f"error.{error}", owed=owed, example=plain(view.owed)) if error else "",
        typed=typed,
    )


#: state: (status, tone). 410 tells programs, too, that the link will not come back (RFC 9110 §15.5.11).
_CLOSED: dict[str, tuple[int, Tone]] = {
    "pending": (200, "wait"),
    "paid": (200, "done"),
    "settled": (200, "done"),
    "cancelled": (410, "plain"),
    "expired": (410, "plain"),
}


def _closed(view: PayView, here: str) -> Response:
    say = Words(view.locale)
    state = view.state if view.state != "open" else "pending" if view.pending else "settled"
    status, tone = _CLOSED[state]
    paid = shown(view.paid, view.locale)
    texts = [say(f"{state}.text", facility=view.facility, paid=paid)]
    if view.paid.minor > 0 and state != "paid":
        texts.append(say("sofar.text", paid=paid))
    return note(
        say,
        status,
        tone,
        say(f"{state}.title"),
        texts,
        facility=view.facility,
        contact=view.contact,
        action=(here, say("again")) if state == "pending" else None,
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


def unknown() -> Response:
    """A link that we never gave out, or not in full."""
    return note(_ENGLISH, 404, "plain", _ENGLISH("unknown.title"), [_ENGLISH("unknown.text"), _ENGLISH("unknown.help")])


def burst() -> Response:
    """Many wrong links from one address."""
    answer = note(_ENGLISH, 429, "wait", _ENGLISH("burst.title"), [_ENGLISH("burst.text")])
    answer.headers["retry-after"] = "60"
    return answer


def refused() -> Response:
    """A form that another site sent."""
    return note(_ENGLISH, 403, "trouble", _ENGLISH("refused.title"), [_ENGLISH("refused.text")])


def failed(status: int, code: str) -> Response:
    """Our own failure: 503 when the database is away, else 500. `code` finds it in the log."""
    kind = "away" if status == 503 else "failed"
    texts = [_ENGLISH(f"{kind}.text"), _ENGLISH("safe"), _ENGLISH("code", code=code)]
    answer = note(_ENGLISH, status, "trouble", _ENGLISH(f"{kind}.title"), texts)
    if status == 503:
        answer.headers["retry-after"] = "30"
    return answer
