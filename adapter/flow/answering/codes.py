"""One-time codes: eight digits, recomputed from the link key and the public id of the try. Never stored. Pure."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata

DIGITS = 8


def code(key: bytes, try_id: str) -> str:
    """Return the code of a try, as it is compared: "01234567"."""
    digest = hmac.new(key, f"code/{try_id}".encode(), hashlib.sha256).digest()
    # 2^128 is so far above 10^8 that no digit is more likely than another.
    return f"{int.from_bytes(digest[:16]) % 10**DIGITS:0{DIGITS}d}"


def shown(code: str) -> str:
    """Write a code as people read and type it: "0123-4567"."""
    return f"{code[:4]}-{code[4:]}"


def typed(text: str) -> str:
    """Return the digits of what somebody typed, "" where they cannot be a code: spaces and dashes do not matter."""
    digits = "".join(sign for sign in unicodedata.normalize("NFKC", text) if not (sign.isspace() or sign in "-‐‑–—.·"))
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else ""
