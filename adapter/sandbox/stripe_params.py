"""Reading the parameters of `POST /v1/checkout/sessions` as strictly as Stripe reads them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .forms import Tree, listing
from .stripe_errors import StripeError, missing, unknown

#: what the real endpoint takes; what is not in `_USED` has no behaviour here and is refused, not ignored
_SESSION = {
    "adaptive_pricing", "after_expiration", "allow_promotion_codes", "allowed_payment_method_types", "automatic_tax",
    "billing_address_collection", "branding_settings", "cancel_url", "client_reference_id", "consent_collection",
    "currency", "custom_fields", "custom_text", "customer", "customer_account", "customer_creation", "customer_email",
    "customer_update", "discounts", "excluded_payment_method_types", "expand", "expires_at", "integration_identifier",
    "invoice_creation", "line_items", "locale", "managed_payments", "metadata", "mode", "name_collection",
    "optional_items", "origin_context", "payment_intent_data", "payment_method_collection",
    "payment_method_configuration", "payment_method_data", "payment_method_options", "payment_method_types",
    "permissions", "phone_number_collection", "redirect_on_completion", "return_url", "saved_payment_method_options",
    "setup_intent_data", "shipping_address_collection", "shipping_options", "submit_type", "subscription_data",
    "success_url", "tax_id_collection", "ui_mode", "wallet_options",
}  # fmt: skip
_USED = {
    "cancel_url", "client_reference_id", "currency", "customer_creation", "customer_email", "expand", "expires_at",
    "line_items", "locale", "metadata", "mode", "payment_intent_data", "payment_method_types", "submit_type",
    "success_url", "ui_mode",
}  # fmt: skip
_LINE = {"adjustable_quantity", "metadata", "price", "price_data", "quantity", "tax_rates"}
_PRICE = {"currency", "product", "product_data", "recurring", "tax_behavior", "unit_amount", "unit_amount_decimal"}
_PRODUCT = {"description", "images", "metadata", "name", "tax_code", "tax_details", "unit_label"}
_INTENT = {
    "application_fee_amount", "capture_method", "description", "metadata", "on_behalf_of", "receipt_email",
    "setup_future_usage", "shipping", "statement_descriptor", "statement_descriptor_suffix", "transfer_data",
    "transfer_group",
}  # fmt: skip

#: smallest charge per currency in Stripe's minor units; other currencies: 50
_MINIMUM = {
    "gbp": 30,
    "sek": 300,
    "nok": 300,
    "dkk": 250,
    "pln": 200,
    "czk": 1500,
    "huf": 17500,
    "mxn": 1000,
    "kwd": 150,
}
_THREE_DECIMALS = {"bhd", "jod", "kwd", "omr", "tnd"}  # the last digit must be 0
_METHODS = {"card", "us_bank_account"}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to pay for. `unit_amount` is in Stripe's minor units."""

    name: str
    unit_amount: int
    quantity: int


@dataclass(frozen=True, slots=True)
class SessionParams:
    """A valid request for a hosted page."""

    currency: str
    lines: tuple[Line, ...]
    success_url: str
    expires_at: int
    cancel_url: str | None = None
    client_reference_id: str | None = None
    customer_email: str | None = None
    locale: str | None = None
    submit_type: str | None = None
    methods: tuple[str, ...] = ("card",)
    metadata: dict[str, str] = field(default_factory=dict)
    intent_metadata: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    statement_descriptor: str | None = None
    statement_descriptor_suffix: str | None = None

    @property
    def total(self) -> int:
        return sum(line.unit_amount * line.quantity for line in self.lines)


def read(tree: Tree, now: int) -> SessionParams:
    """Validate the whole form. `now` is Unix time in seconds. Raises StripeError (400)."""
    _only(tree, _SESSION, "")
    for name in sorted(tree.keys() - _USED):
        raise StripeError(f"The sandbox has no behaviour for this parameter: {name}", param=name)
    if _text(tree, "mode") is None:
        raise missing("mode")
    if tree["mode"] != "payment":
        raise StripeError("The sandbox only has `mode`: payment", param="mode")
    if (_text(tree, "ui_mode") or "hosted_page") not in {"hosted", "hosted_page"}:
        raise StripeError("The sandbox only has hosted pages", param="ui_mode")
    success_url = _url(tree, "success_url")
    if success_url is None:
        raise missing("success_url")
    reference = _text(tree, "client_reference_id", 200)
    intent = _branch(tree, "payment_intent_data")
    _only(intent, _INTENT, "payment_intent_data")
    lines, currency = _lines(tree)
    params = SessionParams(
        currency=currency,
        lines=lines,
        success_url=success_url,
        cancel_url=_url(tree, "cancel_url"),
        client_reference_id=reference,
        customer_email=_text(tree, "customer_email", 800),
        locale=_text(tree, "locale"),
        submit_type=_text(tree, "submit_type"),
        expires_at=_expiry(tree, now),
        methods=_methods(tree, currency),
        metadata=_metadata(_branch(tree, "metadata"), "metadata"),
        intent_metadata=_metadata(_branch(intent, "metadata"), "payment_intent_data[metadata]"),
        description=_text(intent, "description", 1000),
        statement_descriptor=_descriptor(intent, "statement_descriptor"),
        statement_descriptor_suffix=_descriptor(intent, "statement_descriptor_suffix"),
    )
    _amount(params)
    return params


def _lines(tree: Tree) -> tuple[tuple[Line, ...], str]:
    found: list[Line] = []
    currencies: set[str] = set()
    for index, line in enumerate(listing(tree.get("line_items"))):
        at = f"line_items[{index}]"
        if not isinstance(line, dict):
            raise StripeError(f"Invalid object: {at}", param=at)
        _only(line, _LINE, at)
        price = _branch(line, "price_data", at)
        if not price:
            raise missing(f"{at}[price]")
        _only(price, _PRICE, f"{at}[price_data]")
        product = _branch(price, "product_data", f"{at}[price_data]")
        _only(product, _PRODUCT, f"{at}[price_data][product_data]")
        currency = _text(price, "currency")
        if currency is None:
            raise missing(f"{at}[price_data][currency]")
        if len(currency) != 3 or not currency.isalpha():
            raise StripeError(f"Invalid currency: {currency}.", param=f"{at}[price_data][currency]")
        if (name := _text(product, "name", 250)) is None:
            raise missing(f"{at}[price_data][product_data][name]")
        unit = _integer(price, "unit_amount", f"{at}[price_data][unit_amount]")
        quantity = _integer(line, "quantity", f"{at}[quantity]")
        currencies.add(currency.lower())
        found.append(Line(name, unit, quantity))
    if not found:
        raise missing("line_items")
    if len(currencies) > 1:
        raise StripeError("All line items must have the same currency.", param="line_items")
    return tuple(found), currencies.pop()


def _amount(params: SessionParams) -> None:
    total, currency = params.total, params.currency
    least = _MINIMUM.get(currency, 50)
    if total < least:
        raise StripeError(
            f"The Checkout Session's total amount due must add up to at least {least} {currency} (minor units)",
            code="amount_too_small",
        )
    if total > 99_999_999:
        raise StripeError("The Checkout Session's total amount due is too large", code="amount_too_large")
    if currency in _THREE_DECIMALS and total % 10:
        raise StripeError(f"Amounts in {currency} must be rounded to the nearest ten minor units", param="line_items")


def _expiry(tree: Tree, now: int) -> int:
    if "expires_at" not in tree:
        return now + 24 * 3600
    at = _integer(tree, "expires_at", "expires_at")
    if at < now + 30 * 60:
        raise StripeError(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.", param="expires_at"
        )
    if at > now + 24 * 3600:
        raise StripeError(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.", param="expires_at"
        )
    return at


def _methods(tree: Tree, currency: str) -> tuple[str, ...]:
    asked = [str(method) for method in listing(tree.get("payment_method_types"))]
    for index, method in enumerate(asked):
        if method not in _METHODS:
            raise StripeError(f"Invalid payment_method_types[{index}]", param=f"payment_method_types[{index}]")
    # Without the parameter Stripe decides by the account's settings; this account has cards and US bank debits.
    return tuple(asked) or (("card", "us_bank_account") if currency == "usd" else ("card",))


def _metadata(branch: Tree, param: str) -> dict[str, str]:
    if len(branch) > 50:
        raise StripeError("Metadata can have up to 50 keys", param=param)
    for key, value in branch.items():
        if not isinstance(value, str):
            raise StripeError(f"Metadata values must be strings: {param}[{key[:40]}]", param=param)
        if len(key) > 40:
            raise StripeError("Metadata keys can have up to 40 characters", param=param)
        if len(value) > 500:
            raise StripeError(
                "Metadata values can have up to 500 characters, but you passed in a value that is "
                f"{len(value)} characters.",
                param=f"{param}[{key}]",
            )
    return {key: str(value) for key, value in branch.items()}


def _descriptor(branch: Tree, name: str) -> str | None:
    text = _text(branch, name, 22)
    if text is not None and (set(text) & set("<>\\'\"*") or not any(c.isalpha() for c in text)):
        raise StripeError(
            "The statement descriptor must contain at least one alphabetic character and none of <>\\'\"*.",
            param=f"payment_intent_data[{name}]",
        )
    return text


def _only(branch: Tree, known: set[str], at: str) -> None:
    for name in branch:
        if name not in known:
            raise unknown(f"{at}[{name}]" if at else name)


def _branch(tree: Tree, name: str, at: str = "") -> Tree:
    value = tree.get(name, {})
    if not isinstance(value, dict):
        raise StripeError("Invalid object", param=f"{at}[{name}]" if at else name)
    return value


def _text(tree: Tree, name: str, longest: int = 5000) -> str | None:
    value = tree.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise StripeError("Invalid string", param=name)
    if not value:
        raise StripeError(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty "
            "value.",
            code="parameter_invalid_empty",
            param=name,
        )
    if len(value) > longest:
        raise StripeError(f"Invalid string: {value[:10]}…; must be at most {longest} characters", param=name)
    return value


def _integer(tree: Tree, name: str, param: str) -> int:
    value = tree.get(name)
    if value is None:
        raise missing(param)
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise StripeError(f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
    return int(value)


def _url(tree: Tree, name: str) -> str | None:
    text = _text(tree, name)
    if text is not None and (urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).netloc):
        raise StripeError("Not a valid URL", code="url_invalid", param=name)
    return text
