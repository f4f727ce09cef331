"""Delivering events: signed over the raw body, retried with growing pauses until 2xx, in no promised order."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field

from .ids import Ids
from .outgoing import post
from .stripe_objects import Object

#: seconds before each further try. Stripe's own run over three days; these are for somebody who watches
PAUSES = (0.2, 0.5, 1, 2, 5, 5, 10, 10, 30, 30, 60, 60, 120, 120, 300)


def sign(body: bytes, secret: str, at: int) -> str:
    """Return the `Stripe-Signature` header: HMAC-SHA256 over time, a dot and the raw body."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


@dataclass
class Webhooks:
    """One webhook endpoint of the account. Without a `url` events are only listed, never sent."""

    secret: str
    ids: Ids
    url: str = ""
    attempts: list[Object] = field(default_factory=list)  #: {"event", "type", "attempt", "status", "at"}, oldest first
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._open.set()

    def pause(self) -> None:
        """Hold every delivery back, new ones and further tries, until `resume`."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def forget(self) -> None:
        """Give up every delivery that is under way; the events stay listed."""
        for task in self._tasks:
            task.cancel()

    @property
    def paused(self) -> bool:
        return not self._open.is_set()

    @property
    def under_way(self) -> int:
        return len(self._tasks)

    def send(self, event: Object, secret: str = "") -> None:
        """Start to deliver an event in the background. `secret` replaces the endpoint's own, to be refused."""
        if not self.url:
            return
        event["pending_webhooks"] = 1
        task = asyncio.get_running_loop().create_task(self._deliver(event, secret or self.secret))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, event: Object, secret: str) -> None:
        # The body is made once: every try carries the same bytes, with a new time and signature.
        body = json.dumps(event, indent=2).encode()
        await asyncio.sleep(self.ids.jitter(0.02))
        for number, pause in enumerate((*PAUSES, None), start=1):
            await self._open.wait()
            at = int(time.time())
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                "Stripe-Signature": sign(body, secret, at),
            }
            status = await post(self.url, body, headers)
            self.attempts.append(
                {"event": event["id"], "type": event["type"], "attempt": number, "status": status, "at": at}
            )
            if 200 <= status < 300:
                event["pending_webhooks"] = 0
                return
            if pause is not None:
                await asyncio.sleep(pause)
