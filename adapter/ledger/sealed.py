"""Columns that hold personal data: plain until a key is set, AES-256-GCM after.

The first byte of every stored value says how it is sealed, so that a key can be set at any time and old rows still
read: 0x00 plain, 0x01 AES-256-GCM (12-byte nonce, then ciphertext and tag).
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_PLAIN, _GCM = b"\x00", b"\x01"


class Keyring:
    """The keys of one data directory. `sealing` is 32 bytes or None (plain); `searching` keys the hash columns."""

    def __init__(self, searching: bytes = b"", sealing: bytes | None = None) -> None:
        self._searching = searching[:64]
        self._cipher = AESGCM(sealing) if sealing else None

    def seal(self, data: bytes) -> bytes:
        """Return what is stored for `data`."""
        if self._cipher is None:
            return _PLAIN + data
        nonce = os.urandom(12)
        return _GCM + nonce + self._cipher.encrypt(nonce, data, None)

    def open(self, stored: bytes) -> bytes:
        """Return the data behind a stored value. Raises ValueError when its key is missing or wrong."""
        kind, rest = stored[:1], stored[1:]
        if kind == _PLAIN:
            return rest
        if kind != _GCM or self._cipher is None:
            raise ValueError("sealed value, but no sealing key is set")
        return self._cipher.decrypt(rest[:12], rest[12:], None)

    def search(self, *parts: str) -> str:
        """Return the keyed hash by which a sealed value can be found again (32 hex digits)."""
        text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._searching, digest_size=16).hexdigest()

    def digest(self, *chunks: bytes) -> bytes:
        """Return the keyed hash (16 bytes) of the chunks as one: equal bodies are found without being read."""
        state = hashlib.blake2b(key=self._searching, digest_size=16)
        for chunk in chunks:
            state.update(chunk)
        return state.digest()


#: The keys in force. One process serves one data directory; wiring sets them before the store opens.
_current = Keyring()


def use(keyring: Keyring) -> None:
    """Put these keys into force for every sealed column of this process."""
    global _current
    _current = keyring


def keyring() -> Keyring:
    """Return the keys in force."""
    return _current


class Sealed(TypeDecorator[bytes]):
    """Bytes with personal data."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        return None if value is None else _current.seal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else _current.open(bytes(value))


class SealedJson(TypeDecorator[Any]):
    """A JSON value with personal data."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else _current.seal(json.dumps(value, separators=(",", ":")).encode())

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(_current.open(bytes(value)))
