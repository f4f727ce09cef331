"""Card payments on Stripe's hosted page (Checkout). Copy this one for another provider.

Pure pairs say what we ask and what an answer means; `StripeProvider` only calls the wire. Stripe's terms forbid health
information: it sees opaque ids, an amount, and the name that the facility may have on a phone.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from pydantic import PositiveFloat, SecretStr, model_validator

from chartpost.adapter.errors import Ambiguous, Permanent, Transient
from chartpost.adapter.outbound import HttpOptions, never_sent
from chartpost.adapter.ports import EventType, HostedSession, PaymentEvent, SessionRequest, SessionState
from chartpost.adapter.providers.stripe_amounts import from_stripe, to_stripe

if TYPE_CHECKING:
    from stripe import StripeError

#: Seconds by which a webhook's signed time may differ from ours.
TOLERANCE = 300

#: The metadata key that tells our sessions from everybody else's on the same account.
MARK = "chartpost"

_SUFFIX = re.compile(r"(?=.*[A-Za-z])[ !#-&(-)+-;=?-\[\]-~]{1,22}")  # ASCII without < > \ ' " *

_COMPLETED = "checkout.session.completed"
_TYPES = {
    _COMPLETED: EventType.PAID,
    "checkout.session.async_payment_succeeded": EventType.PAID,
    "checkout.session.async_payment_failed": EventType.FAILED,
    "checkout.session.expired": EventType.EXPIRED,
}


# --------------------------------------------------------------------------------------------- what we ask, and get


def session_params(request: SessionRequest) -> dict[str, Any]:
    """Say what Stripe is asked for: one line, one amount, nothing about a person."""
    description = f"{request.payee}: account payment"
    intent: dict[str, Any] = {"description": description, "metadata": {MARK: request.reference}}
    if _SUFFIX.fullmatch(request.payee):
        # People dispute what they do not recognise on their statement. A name that does not fit is left out:
        # the account's own descriptor stands there then.
        intent["statement_descriptor_suffix"] = request.payee
    price = {
        "currency": request.currency.lower(),
        "unit_amount": to_stripe(request.amount, request.currency),
        "product_data": {"name": description},
    }
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "client_reference_id": request.reference,
        "metadata": {MARK: request.reference},
        "payment_intent_data": intent,
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(request.expires_at.timestamp()),
    }


def parse_session(session: Mapping[str, Any]) -> HostedSession:
    """Read a Checkout Session. Raises Ambiguous for one without an id or in a state that does not exist."""
    try:
        return HostedSession(
            provider_ref=str(session["id"]),
            url=str(session.get("url") or ""),
            state=SessionState(session["status"]),
            paid=session.get("payment_status") == "paid",
        )
    except (KeyError, ValueError):
        raise Ambiguous("Stripe answered with a session that cannot be read") from None


def parse_event_object(event: Mapping[str, Any]) -> PaymentEvent:
    """Read a verified event. What is not about a Checkout Session, or new to us, is UNKNOWN: kept, harmless.

    An amount that our minor units cannot say becomes 0, which nobody applies: the event is kept for a person, because
    one that is refused is lost when Stripe gives up. Raises Permanent for JSON that is no event at all.
    """
    try:
        event_id, name, created = str(event["id"]), str(event["type"]), _time(event["created"])
        session: Mapping[str, Any] = event["data"]["object"]
        state = session.get("payment_status")
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise Permanent("the body is no Stripe event") from None
    type = _TYPES.get(name)
    if type is None:
        return PaymentEvent(event_id, EventType.UNKNOWN, created)
    if name == _COMPLETED and state == "unpaid":
        type = EventType.PENDING
    reference = _reference(session)
    currency = str(session.get("currency") or "").upper()
    try:
        amount = from_stripe(int(session.get("amount_total") or 0), currency)
    except Permanent:
        amount = 0
    return PaymentEvent(
        event_id=event_id,
        type=type,
        created=created,
        reference=reference,
        session_ref=str(session.get("id") or ""),
        payment_ref=_id(session.get("payment_intent")),
        amount=amount,
        currency=currency,
        medium=_medium(session, instant=name == _COMPLETED and type is EventType.PAID),
    )


def _time(created: object) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(str(created)), dt.UTC)


def _reference(session: Mapping[str, Any]) -> str:
    """Our reference, or "" for a session that others made on the same account, in whatever shape."""
    metadata = session.get("metadata")
    reference = metadata.get(MARK) if isinstance(metadata, Mapping) else None
    ours = isinstance(reference, str) and reference == session.get("client_reference_id")
    return str(reference) if ours else ""


def _id(value: object) -> str:
    """An id, whether Stripe sent it alone or expanded."""
    return str((value.get("id") if isinstance(value, Mapping) else value) or "")


def _medium(session: Mapping[str, Any], instant: bool) -> str:
    """Cards settle at once; what comes later is one of the other methods that the page offered."""
    offered = session.get("payment_method_types")
    others = [str(m) for m in offered if m != "card"] if isinstance(offered, Sequence) else []
    return "card" if instant else others[0] if len(others) == 1 else "other"


def failure(error: StripeError, changes: bool) -> Transient | Ambiguous | Permanent:
    """Sort an SDK error; `changes`: the call would have had an effect. Stripe's own words may quote our links."""
    status = error.http_status or 0
    code = error.code or getattr(error.error, "code", None) or ""  # the SDK fills the first for some classes only
    if status == 0 and never_sent(error):
        return Transient("Stripe could not be reached")
    where = f"HTTP {status or 'none'}, {code or type(error).__name__}, request {error.request_id or 'unknown'}"
    if status in (409, 429):  # 409: another call holds the object, or the same key is still being worked on
        return Transient(f"Stripe is busy ({where})")
    if 400 <= status < 500:
        field = getattr(error, "param", None)
        return Permanent(f"Stripe refused the call ({where}{f', field {field}' if field else ''})", code or str(status))
    return (Ambiguous if changes else Transient)(f"Stripe did not answer as it should ({where})")


# ---------------------------------------------------------------------------------------------------------- the wire


class StripeProvider:
    """One Stripe account (ports.PaymentProvider)."""

    def __init__(
        self, secret_key: str, webhook_secrets: tuple[str, ...], base_url: str | None = None, timeout: float = 20
    ) -> None:
        """Use this key. `webhook_secrets`: two during a rotation, each is tried. `timeout` in seconds per attempt."""
        import stripe

        logging.getLogger("stripe").disabled = True  # it logs Stripe's words, which quote our links
        self._sdk = stripe
        self._secrets = webhook_secrets
        self._client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": base_url.rstrip("/")} if base_url else None,
            http_client=stripe.RequestsClient(timeout=timeout),
            # Safe: every POST carries an idempotency key. It hides kept connections that Stripe closed meanwhile.
            max_network_retries=1,
        )

    def create_session(self, request: SessionRequest) -> HostedSession:
        """Make a hosted page; with the same request again, return the same one. May be repeated when Ambiguous."""
        params: Any = session_params(request)
        try:
            made = self._client.v1.checkout.sessions.create(params, {"idempotency_key": request.reference})
        except self._sdk.StripeError as error:
            raise failure(error, changes=True) from None
        return parse_session(made.to_dict())

    def retrieve_session(self, provider_ref: str) -> HostedSession:
        """Look, change nothing."""
        try:
            return parse_session(self._client.v1.checkout.sessions.retrieve(provider_ref).to_dict())
        except self._sdk.StripeError as error:
            raise failure(error, changes=False) from None

    def expire_session(self, provider_ref: str) -> HostedSession:
        """Close the page; if the payer was faster, or it was closed already, return it as it is."""
        try:
            return parse_session(self._client.v1.checkout.sessions.expire(provider_ref).to_dict())
        except self._sdk.InvalidRequestError as error:
            # Stripe has no code of its own for "not open any more": look.
            if error.http_status != 400:
                raise failure(error, changes=True) from None
            found = self.retrieve_session(provider_ref)
            if found.state is SessionState.OPEN:
                raise failure(error, changes=True) from None
            return found
        except self._sdk.StripeError as error:
            raise failure(error, changes=True) from None

    def parse_event(self, body: bytes, headers: Mapping[str, str]) -> PaymentEvent:
        """Verify the signature over the raw body and normalise. Raises Permanent when it is not authentic."""
        signature = next((value for name, value in headers.items() if name.lower() == "stripe-signature"), "")
        if not any(self._signed(body, signature, secret) for secret in self._secrets):
            raise Permanent("an event whose signature is not Stripe's, or is too old")
        try:
            return parse_event_object(json.loads(body))
        except ValueError:
            raise Permanent("the body is no Stripe event") from None

    def read_event(self, body: bytes) -> PaymentEvent:
        """Normalise an event that was verified or listed before."""
        return parse_event_object(json.loads(body))

    def events_since(self, since: dt.datetime) -> Sequence[tuple[PaymentEvent, bytes]]:
        """List events on sessions created at or after `since`, oldest first. Stripe keeps them for 30 days."""
        asked: Any = {"created": {"gte": int(since.timestamp())}, "types": list(_TYPES), "limit": 100}
        try:
            newest_first = [e.to_dict(for_json=True) for e in self._client.v1.events.list(asked).auto_paging_iter()]
        except self._sdk.StripeError as error:
            raise failure(error, changes=False) from None
        return [(parse_event_object(event), json.dumps(event).encode()) for event in reversed(newest_first)]

    def check(self) -> list[str]:
        """Say what keeps this account from working (ports.Checkable). Looks at events, as we do every minute."""
        problems = [
            "webhook_secret does not begin with whsec_; copy the signing secret of the endpoint, not its id or the key"
            for secret in self._secrets
            if not secret.startswith("whsec_")
        ]
        try:
            self._look()
        except self._sdk.AuthenticationError:
            problems.append("Stripe does not know secret_key; copy it anew, it may have been rolled")
        except self._sdk.PermissionError:
            problems.append("secret_key may not read events; give it that, and write on Checkout Sessions")
        except self._sdk.StripeError as error:
            problems.append(f"{failure(error, changes=False)}; check the network, the proxy and base_url")
        return problems

    def clock(self) -> dt.datetime | None:
        """Return Stripe's own time, to the second; None when it does not say (ports.Clocked)."""
        try:
            return parsedate_to_datetime(self._look().last_response.headers["Date"])
        except (self._sdk.StripeError, KeyError, TypeError, ValueError, AttributeError):
            return None

    def _look(self) -> Any:
        return self._client.v1.events.list({"limit": 1, "types": list(_TYPES)})

    def _signed(self, body: bytes, signature: str, secret: str) -> bool:
        try:
            self._sdk.WebhookSignature.verify_header(body.decode(), signature, secret, TOLERANCE)
        except (self._sdk.SignatureVerificationError, ValueError):
            return False
        return True


class Options(HttpOptions):
    """A provider of `type: stripe` in the configuration."""

    secret_key: SecretStr
    webhook_secret: SecretStr
    webhook_secret_previous: SecretStr = SecretStr("")  #: still accepted while a new one takes over
    timeout_seconds: PositiveFloat = 20

    @model_validator(mode="after")
    def _live_keys_stay_live(self) -> Options:
        if self.base_url is not None and self.secret_key.get_secret_value().startswith(("sk_live_", "rk_live_")):
            raise ValueError("a live key goes to Stripe only: remove base_url, or use a test key")
        return self


def from_settings(options: Options) -> StripeProvider:
    """Make the provider of one configured account."""
    secrets = (options.webhook_secret.get_secret_value(), options.webhook_secret_previous.get_secret_value())
    return StripeProvider(
        options.secret_key.get_secret_value(),
        tuple(secret for secret in secrets if secret),
        options.base_url,
        options.timeout_seconds,
    )
