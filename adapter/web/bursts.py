"""Notice bursts of wrong links from one address. In memory, bounded, per process."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class Bursts:
    """A bucket of `burst` wrong tries per address that refills with one try every `seconds`.

    Only wrong links are counted and refused: a right one always opens, for a whole clinic, a phone carrier or a proxy
    may stand behind one address. Guessing is hopeless anyway (128 bits); this spares the log and the patience.
    """

    def __init__(
        self,
        *,
        burst: int = 20,
        seconds: float = 3.0,
        addresses: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._seconds, self._addresses, self._clock = burst, seconds, addresses, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  #: when the bucket of an address will be full again
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._full_at)

    def too_many(self, address: str) -> bool:
        """Count one wrong try; return whether the address has had its share."""
        key, now = _network(address), self._clock()
        with self._lock:
            full_at = max(self._full_at.pop(key, now), now)
            refused = full_at - now > (self._burst - 1) * self._seconds
            self._full_at[key] = full_at if refused else full_at + self._seconds
            if len(self._full_at) > self._addresses:
                self._full_at.popitem(last=False)
        return refused


def _network(address: str) -> str:
    """Return what one household or host controls: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)
