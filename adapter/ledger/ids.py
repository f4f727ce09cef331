"""Ids that leave the house: random, so that nobody can guess a neighbour, and without letters that read alike."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32


def public_id(prefix: str) -> str:
    """Return a 12-character id: one letter that names the noun, and 55 random bits."""
    number = secrets.randbits(55)
    return prefix + "".join(_ALPHABET[number >> shift & 31] for shift in range(50, -5, -5))
