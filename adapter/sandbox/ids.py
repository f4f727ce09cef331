"""Ids and keys in the shapes that the real services use, repeatable when a seed is given."""

from __future__ import annotations

import random
import string

_LETTERS = string.ascii_letters + string.digits


class Ids:
    """A source of opaque ids. With a seed two runs give the same ids; without one nobody can guess them."""

    def __init__(self, seed: int | None = None) -> None:
        # The seeded generator is for repeatable demonstrations; nothing here guards anything real.
        self._random: random.Random = random.Random(seed) if seed is not None else random.SystemRandom()  # noqa: S311

    def stripe(self, prefix: str, length: int = 24) -> str:
        """Make an id like `pi_3Nb…`: the prefix, an underscore and `length` letters or digits."""
        return f"{prefix}_{''.join(self._random.choices(_LETTERS, k=length))}"

    def twilio(self, prefix: str) -> str:
        """Make an id like `SM0f3a…`: two letters and 32 hexadecimal digits, 34 characters in all."""
        return prefix + self.hex(32)

    def hex(self, length: int) -> str:
        return "".join(self._random.choices("0123456789abcdef", k=length))

    def jitter(self, seconds: float) -> float:
        """Return a time between zero and `seconds`: webhooks of the real services arrive in no promised order."""
        return self._random.uniform(0, seconds)
