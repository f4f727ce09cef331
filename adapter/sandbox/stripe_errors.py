"""Error answers of the Stripe API, worded and coded as the real one does."""

from __future__ import annotations

from typing import Any


class StripeError(Exception):
    """An answer that is not 200. `saved` says whether an idempotency key remembers it."""

    def __init__(
        self, message: str, *, status: int = 400, type: str = "invalid_request_error", code: str = "", param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": type}}
        if code:
            self.body["error"]["code"] = code
            self.body["error"]["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            self.body["error"]["param"] = param


def missing(param: str) -> StripeError:
    return StripeError(f"Missing required param: {param}.", code="parameter_missing", param=param)


def unknown(param: str) -> StripeError:
    return StripeError(f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def no_such(kind: str, id: str, param: str) -> StripeError:
    return StripeError(f"No such {kind}: '{id}'", status=404, code="resource_missing", param=param)


def unauthorised(key: str) -> StripeError:
    """A missing or foreign key. Only the ends of the key are repeated, as the real API does."""
    if not key:
        return StripeError(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
            status=401,
        )
    shown = f"{key[:8]}{'*' * max(0, len(key) - 12)}{key[-4:]}" if len(key) > 16 else "*" * len(key)
    return StripeError(f"Invalid API Key provided: {shown}", status=401)


def not_expirable(status: str) -> StripeError:
    return StripeError(
        'Only Checkout Sessions with a status in ["open"] can be expired. '
        f"This Checkout Session has a status of {status}."
    )


def key_reused(key: str) -> StripeError:
    return StripeError(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        type="idempotency_error",
    )


def key_in_use(key: str) -> StripeError:
    return StripeError(
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        f"twice, and the other request is still going through): {key}. Please try again later.",
        status=409,
        type="idempotency_error",
        code="idempotency_key_in_use",
    )
