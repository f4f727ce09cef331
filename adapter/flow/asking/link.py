"""Our own address for a request: recomputed whenever it is needed, never stored.

The token is the first 128 bits of HMAC-SHA256(link key, request id and generation); the database knows only its hash,
so that neither a backup nor a reader of the database can open a patient's page.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chartpost.adapter.flow.context import Flow


def token(key: bytes, request_id: str, generation: int = 0) -> str:
    """Return the 22-character token of a request's link."""
    digest = hmac.new(key, f"{request_id}/{generation}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def token_hash(value: str) -> str:
    """Return what the database knows of a token."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def address(flow: Flow, facility: str, token: str) -> str:
    """Return the page behind a token, under the facility's own address where it has one."""
    configured = flow.settings.facilities.get(facility)
    own = configured.pay_url if configured is not None else None
    return f"{own or flow.public_url}/p/{token}"
