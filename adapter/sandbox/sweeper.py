"""Time passes: sessions whose hour has come expire without anybody looking at them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from .stripe_state import StripeState


@contextlib.asynccontextmanager
async def sweeping(state: StripeState, every_s: float = 1.0) -> AsyncIterator[None]:
    """Expire what is due once a second for as long as the context lasts."""

    async def run() -> None:
        while True:
            await asyncio.sleep(every_s)
            state.sweep()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
