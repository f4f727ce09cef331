"""START HERE: every address of the API, and what does it."""

from __future__ import annotations

from chartpost.adapter.web.api import asking, books, consenting, pages, reading, shown
from chartpost.adapter.web.api import work as worklist
from chartpost.adapter.web.api.table import Operation

OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/me", None, "Say who calls, and what they may do", reading.me, shown.Me),
    Operation(
        "GET", "/accounts", "requests:read", "List what is owed, newest account first", reading.accounts,
        shown.Accounts, query=reading.AccountsWanted,
    ),
    Operation(
        "POST", "/accounts/search", "requests:read", "Show the account that has a number at a source",
        reading.account_found, shown.AccountWhole, body=reading.AccountNamed, refusals=(404,),
    ),
    Operation(
        "GET", "/accounts/{account}", "requests:read", "Show an account with its lines", reading.one_account,
        shown.AccountWhole, refusals=(404,),
    ),
    Operation(
        "GET", "/requests", "requests:read", "List requests, newest first", reading.requests, shown.Requests,
        query=reading.RequestsWanted,
    ),
    Operation(
        "GET", "/requests/{request}", "requests:read", "Show a request with all that belongs to it",
        reading.one_request, shown.RequestWhole, refusals=(404,),
    ),
    Operation(
        "POST", "/requests/preview", "requests:write", "Show what a request would ask and send, and change nothing",
        asking.preview, asking.MadeShown, body=asking.RequestSaid, refusals=(404, 409),
    ),
    Operation(
        "POST", "/requests", "requests:write", "Make a request, and send it", asking.create, asking.MadeShown,
        body=asking.RequestSaid, status=201, refusals=(404, 409),
    ),
    Operation(
        "PATCH", "/requests/{request}", "requests:write", "Change an open request; its link stays the same",
        asking.edit, asking.ChangedShown, body=asking.EditSaid, refusals=(404, 409),
    ),
    Operation(
        "GET", "/requests/{request}/link", "requests:write", "Show the link, to be handed over otherwise", asking.link,
        asking.LinkShown, refusals=(404,),
    ),
    Operation(
        "POST", "/requests/{request}/plan", "requests:write", "Agree on instalments", asking.agree, asking.PlanShown,
        body=asking.PlanSaid, refusals=(404, 409),
    ),
    Operation(
        "POST", "/requests/{request}/drop-plan", "requests:write", "End the plan: all is due at once", asking.drop,
        asking.PlanShown, body=asking.Why, refusals=(404, 409),
    ),
    *(
        Operation(
            "POST", f"/requests/{{request}}/{name}", "requests:write", does, work, asking.ChangedShown, body=body,
            refusals=(404, 409),
        )
        for name, does, work, body in (
            ("cancel", "Withdraw it; the same cents are not asked for again", asking.cancel, asking.Why),
            ("extend", "Give it another end; one that has expired is open again", asking.extend, asking.Extend),
            ("resend", "Tell the payer once more", asking.resend, asking.Resend),
            ("settle", "Record what was paid otherwise", asking.settle, asking.Settle),
            ("unsettle", "Take back what was said to be paid otherwise", asking.unsettle, asking.Unsettle),
            ("reopen", "Ask again for what is still owed, under the same link", asking.reopen, asking.Reopen),
            ("pause", "Remind nobody of it", asking.pause, asking.Nothing),
            ("resume", "Remind again", asking.resume, asking.Nothing),
        )
    ),
    Operation(
        "GET", "/payments", "payments:read", "List payments, newest first", books.payments, shown.Payments,
        query=books.PaymentsWanted,
    ),
    Operation(
        "POST", "/consents/search", "consents:read", "Say what is on record of a number or address", consenting.show,
        consenting.ConsentShown, body=consenting.Whose, refusals=(404,),
    ),
    Operation(
        "POST", "/consents", "consents:write", "Record what somebody told us, with its evidence", consenting.record,
        consenting.ConsentShown, body=consenting.ConsentSaid, status=201, refusals=(404,),
    ),
    Operation(
        "GET", "/holds", "holds:read", "List what waits for a person, newest first", books.holds, shown.Holds,
        query=pages.Page,
    ),
    Operation(
        "POST", "/holds/{hold}/retry", "holds:write", "Try again what a hold keeps waiting", worklist.retry,
        worklist.Released, body=worklist.Retry, refusals=(404, 409),
    ),
    Operation(
        "POST", "/holds/{hold}/dismiss", "holds:write", "Leave it as it is, with a reason", worklist.dismiss,
        worklist.Released, body=worklist.Dismiss, refusals=(404, 409),
    ),
    Operation(
        "GET", "/messages", "messages:read", "List what came through the doors, newest first", books.messages,
        shown.Messages, query=books.MessagesWanted,
    ),
    Operation("GET", "/status", "status:read", "Say how it goes", books.how_it_goes, shown.StatusShown),
    Operation(
        "GET", "/acts", "audit:read", "List what people did, newest first", books.acts, shown.Acts,
        query=books.ActsWanted,
    ),
)  # fmt: skip
