"""The JSON objects of the Stripe API, field by field as API version 2026-10-28 sends them. Pure."""

from __future__ import annotations

from typing import Any

from .stripe_params import SessionParams

API_VERSION = "2026-10-28.endive"

Object = dict[str, Any]


def session(id: str, url: str, params: SessionParams, now: int) -> Object:
    """Make an open Checkout Session. Its `payment_intent` stays null until somebody tries to pay."""
    return {
        "id": id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": params.total,
        "amount_total": params.total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": params.cancel_url,
        "client_reference_id": params.client_reference_id,
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": params.currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": params.customer_email,
        "discounts": [],
        "expires_at": params.expires_at,
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "locale": params.locale,
        "metadata": dict(params.metadata),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": list(params.methods),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.submit_type,
        "subscription": None,
        "success_url": params.success_url.replace("{CHECKOUT_SESSION_ID}", id),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": url,
        "wallet_options": None,
    }


def line_items(session_id: str, params: SessionParams, ids: list[str]) -> list[Object]:
    """Make the lines of a session; they are shown only when asked for (`expand[]=line_items`)."""
    return [
        {
            "id": id,
            "object": "item",
            "amount_discount": 0,
            "amount_subtotal": line.unit_amount * line.quantity,
            "amount_tax": 0,
            "amount_total": line.unit_amount * line.quantity,
            "currency": params.currency,
            "description": line.name,
            "quantity": line.quantity,
        }
        for id, line in zip(ids, params.lines, strict=True)
    ]


def intent(id: str, secret: str, of: Object, params: SessionParams, now: int) -> Object:
    """Make the PaymentIntent behind a session, made at the first attempt to pay."""
    return {
        "id": id,
        "object": "payment_intent",
        "amount": of["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{id}_secret_{secret}",
        "confirmation_method": "automatic",
        "created": now,
        "currency": of["currency"],
        "customer": None,
        "customer_account": None,
        "description": params.description,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": dict(params.intent_metadata),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": list(of["payment_method_types"]),
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": params.statement_descriptor,
        "statement_descriptor_suffix": params.statement_descriptor_suffix,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(id: str, of: Object, method_id: str, details: Object, billing: Object, now: int) -> Object:
    """Make a succeeded charge of an intent; a failed or pending one is this with other states on it."""
    return {
        "id": id,
        "object": "charge",
        "amount": of["amount"],
        "amount_captured": of["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": billing,
        "calculated_statement_descriptor": of["statement_descriptor"] or "SANDBOX",
        "captured": True,
        "created": now,
        "currency": of["currency"],
        "customer": None,
        "description": of["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(of["metadata"]),
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "seller_message": "Payment complete.",
            "type": "authorized",
        },
        "paid": True,
        "payment_intent": of["id"],
        "payment_method": method_id,
        "payment_method_details": details,
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": of["statement_descriptor"],
        "statement_descriptor_suffix": of["statement_descriptor_suffix"],
        "status": "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def card_details(brand: str, last4: str, exp_month: int, exp_year: int, amount: int) -> Object:
    return {
        "type": "card",
        "card": {
            "amount_authorized": amount,
            "authorization_code": None,
            "brand": brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
            "country": "US",
            "exp_month": exp_month,
            "exp_year": exp_year,
            "extended_authorization": {"status": "disabled"},
            "fingerprint": None,
            "funding": "credit",
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "last4": last4,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": brand,
            "network_token": {"used": False},
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "wallet": None,
        },
    }


def debit_details(last4: str) -> Object:
    return {
        "type": "us_bank_account",
        "us_bank_account": {
            "account_holder_type": "individual",
            "account_type": "checking",
            "bank_name": "SANDBOX TEST BANK",
            "fingerprint": None,
            "last4": last4,
            "mandate": None,
            "payment_reference": None,
            "routing_number": "110000000",
        },
    }


def billing(name: str | None, email: str | None) -> Object:
    address = {"city": None, "country": "US", "line1": None, "line2": None, "postal_code": None, "state": None}
    return {"address": address, "email": email, "name": name, "phone": None, "tax_id": None}


def event(id: str, type: str, of: Object, now: int, request: Object, pending: int) -> Object:
    """Wrap a snapshot of an object into an event. `request`: {"id", "idempotency_key"}, null for a payer's act."""
    return {
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": of},
        "livemode": False,
        "pending_webhooks": pending,
        "request": request,
        "type": type,
    }


def page(url: str, members: list[Object], has_more: bool) -> Object:
    return {"object": "list", "data": members, "has_more": has_more, "url": url}
