"""What the card provider remembers, and how sessions, intents and charges move. No HTTP here."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import stripe_errors as errors
from . import stripe_objects as objects
from .cards import Card
from .ids import Ids
from .stripe_objects import Object
from .stripe_params import SessionParams


@dataclass(frozen=True, slots=True)
class Payer:
    """What was typed on the hosted page beside the card."""

    name: str | None
    email: str | None


class StripeState:
    """All objects of one test account. `emit` is told of each new event, after it is stored."""

    def __init__(self, ids: Ids, emit: Callable[[Object], None]) -> None:
        self.ids = ids
        self.sessions: dict[str, Object] = {}
        self.params: dict[str, SessionParams] = {}
        self.lines: dict[str, list[Object]] = {}
        self.intents: dict[str, Object] = {}
        self.charges: dict[str, Object] = {}
        self.events: dict[str, Object] = {}
        self.request: Object = {"id": None, "idempotency_key": None}  #: the API call that is being worked, if any
        self.ahead = 0  #: seconds by which its clock is ahead of the machine's
        self.pages_url = ""  #: where the hosted pages are, set once the port is known
        self._emit = emit
        self._waiting: dict[str, tuple[Card, Object]] = {}  #: intents that wait for the second step

    def now(self) -> int:
        """Return the time at the card provider, in seconds since 1970; webhooks are signed by the machine's."""
        return int(time.time()) + self.ahead

    # ------------------------------------------------------------------------------------------------ sessions

    def create_session(self, params: SessionParams) -> Object:
        id = self.ids.stripe("cs_test", 58)
        made = objects.session(id, f"{self.pages_url}/checkout/c/pay/{id}", params, self.now())
        self.sessions[id], self.params[id] = made, params
        self.lines[id] = objects.line_items(id, params, [self.ids.stripe("li") for _ in params.lines])
        return made

    def session(self, id: str) -> Object:
        """Find a session, expired by now if its time is over. Raises StripeError (404)."""
        if (found := self.sessions.get(id)) is None:
            raise errors.no_such("checkout.session", id, "session")
        if found["status"] == "open" and found["expires_at"] <= self.now():
            self._close(found)
        return found

    def expire_session(self, id: str) -> Object:
        """Close an open session. Raises StripeError when the payer was faster, or it is closed already."""
        found = self.session(id)
        if found["status"] != "open":
            raise errors.not_expirable(found["status"])
        self._close(found)
        return found

    def sweep(self) -> None:
        """Expire every session whose time is over, as Stripe does by itself."""
        for id in list(self.sessions):
            self.session(id)

    def _close(self, found: Object) -> None:
        found["status"], found["url"] = "expired", None
        self._event("checkout.session.expired", found)

    # ------------------------------------------------------------------------------------------------ payments

    def pay(self, session: Object, card: Card, month: int, year: int, payer: Payer) -> str:
        """Try a card on an open session. Return "paid", "second_step" or "declined" (the reason is on the intent)."""
        intent = self._intent(session)
        details = objects.card_details(card.brand, card.number[-4:], month, year, intent["amount"])
        intent["payment_method"] = self.ids.stripe("pm")
        session["customer_details"] = _customer(payer)
        if card.second_step:
            intent["status"] = "requires_action"
            intent["next_action"] = {
                "type": "redirect_to_url",
                "redirect_to_url": {"return_url": session["success_url"], "url": f"{session['url']}/second-step"},
            }
            self._waiting[intent["id"]] = (card, details)
            self._event("payment_intent.requires_action", intent)
            return "second_step"
        if card.decline:
            self._fail(intent, card, details, _billing(session))
            return "declined"
        self._succeed(session, intent, details)
        return "paid"

    def second_step(self, session: Object, confirmed: bool) -> bool:
        """Finish or refuse the bank's second step. Return whether the money moved."""
        intent = self.intents.get(session["payment_intent"] or "")
        waiting = self._waiting.pop(intent["id"], None) if intent else None
        if intent is None or waiting is None:
            return False
        intent["next_action"] = None
        if confirmed:
            self._succeed(session, intent, waiting[1])
            return True
        intent["status"], intent["payment_method"] = "requires_payment_method", None
        intent["last_payment_error"] = {
            "code": "payment_intent_authentication_failure",
            "doc_url": "https://stripe.com/docs/error-codes/payment-intent-authentication-failure",
            "message": "We are unable to authenticate your payment method. "
            "Please choose a different payment method and try again.",
            "type": "invalid_request_error",
        }
        self._event("payment_intent.payment_failed", intent)
        return False

    def debit(self, session: Object, payer: Payer) -> None:
        """Complete a session with a method whose money comes days later: complete, and still unpaid."""
        intent = self._intent(session)
        session["customer_details"] = _customer(payer)
        intent["payment_method"] = self.ids.stripe("pm")
        charge = self._charge(intent, objects.debit_details("6789"), _billing(session))
        charge.update(status="pending", paid=False, captured=True)
        intent.update(status="processing", latest_charge=charge["id"])
        session.update(status="complete", url=None)
        self._event("charge.pending", charge)
        self._event("payment_intent.processing", intent)
        self._event("checkout.session.completed", session)

    def settle(self, session: Object, succeeded: bool) -> None:
        """Let the money of a debit arrive, or bounce. Raises StripeError when nothing is under way."""
        intent = self.intents.get(session["payment_intent"] or "")
        if intent is None or intent["status"] != "processing":
            raise errors.StripeError("There is no debit under way for this session.")
        charge = self.charges[intent["latest_charge"]]
        if succeeded:
            charge.update(status="succeeded", paid=True)
            intent.update(status="succeeded", amount_received=intent["amount"])
            session["payment_status"] = "paid"
            self._event("charge.succeeded", charge)
            self._event("payment_intent.succeeded", intent)
            self._event("checkout.session.async_payment_succeeded", session)
            return
        charge.update(status="failed", failure_code="debit_not_authorized", failure_message="The bank refused it.")
        intent.update(status="requires_payment_method", payment_method=None)
        self._event("charge.failed", charge)
        self._event("payment_intent.payment_failed", intent)
        self._event("checkout.session.async_payment_failed", session)

    def foreign(self, amount: int, currency: str) -> Object:
        """Complete a session that some other software of the same account made; return its completed event."""
        params = SessionParams(
            currency=currency,
            lines=(),
            success_url="https://shop.example.org/thanks",
            expires_at=self.now() + 3600,
            client_reference_id="order-1093",
            metadata={"shop": "coffee"},
        )
        session = self.create_session(params)
        session.update(amount_total=amount, amount_subtotal=amount)
        details = objects.card_details("visa", "4242", 12, 2034, amount)
        self._succeed(session, self._intent(session), details)
        return list(self.events.values())[-1]

    def _intent(self, session: Object) -> Object:
        if (known := self.intents.get(session["payment_intent"] or "")) is not None:
            self._waiting.pop(known["id"], None)
            known.update(next_action=None, last_payment_error=None, status="requires_payment_method")
            return known
        id = self.ids.stripe("pi")
        made = objects.intent(id, self.ids.stripe("", 24)[1:], session, self.params[session["id"]], self.now())
        self.intents[id], session["payment_intent"] = made, id
        self._event("payment_intent.created", made)
        return made

    def _charge(self, intent: Object, details: Object, billing: Object) -> Object:
        id = self.ids.stripe("ch")
        made = objects.charge(id, intent, intent["payment_method"], details, billing, self.now())
        self.charges[id] = made
        return made

    def _succeed(self, session: Object, intent: Object, details: Object) -> None:
        intent["payment_method"] = intent["payment_method"] or self.ids.stripe("pm")
        charge = self._charge(intent, details, _billing(session))
        charge["balance_transaction"] = self.ids.stripe("txn")
        intent.update(status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"])
        session.update(status="complete", payment_status="paid", url=None)
        self._event("charge.succeeded", charge)
        self._event("payment_intent.succeeded", intent)
        self._event("checkout.session.completed", session)

    def _fail(self, intent: Object, card: Card, details: Object, billing: Object) -> None:
        charge = self._charge(intent, details, billing)
        charge.update(
            status="failed", paid=False, captured=False, failure_code="card_declined", failure_message=card.message
        )
        charge["amount_captured"] = 0
        charge["outcome"].update(
            network_status="declined_by_network",
            reason=card.decline,
            seller_message="The bank did not return any further details with this decline.",
            type="issuer_declined",
        )
        intent.update(status="requires_payment_method", payment_method=None, latest_charge=charge["id"])
        intent["last_payment_error"] = {
            "charge": charge["id"],
            "code": "card_declined",
            "decline_code": card.decline,
            "doc_url": "https://stripe.com/docs/error-codes/card-declined",
            "message": card.message,
            "type": "card_error",
        }
        self._event("charge.failed", charge)
        self._event("payment_intent.payment_failed", intent)

    def _event(self, type: str, of: Object) -> None:
        event = objects.event(self.ids.stripe("evt"), type, copy.deepcopy(of), self.now(), dict(self.request), 0)
        self.events[event["id"]] = event
        self._emit(event)


def _customer(payer: Payer) -> Object:
    return {
        "address": {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": None},
        "business_name": None,
        "email": payer.email,
        "individual_name": None,
        "name": payer.name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def _billing(session: Object) -> Object:
    who = session["customer_details"] or {}
    return objects.billing(who.get("name"), who.get("email"))
