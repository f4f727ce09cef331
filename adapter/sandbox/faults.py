"""What the other side does wrong next: armed by a test or a person through `/_control/`, used up one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class Fault:
    """One armed misbehaviour. `seconds` is used by those that wait."""

    answer: str
    seconds: float = 2.0


class Faults:
    """A queue of faults; the next call that may fail takes the first."""

    def __init__(self, allowed: set[str]) -> None:
        self.allowed = allowed
        self._armed: deque[Fault] = deque()

    def arm(self, answer: str, count: int, seconds: float) -> None:
        """Make the next `count` calls fail with `answer`; 0: whatever was armed is over. Raises ValueError."""
        if answer not in self.allowed:
            raise ValueError(f"answer must be one of {', '.join(sorted(self.allowed))}")
        if count == 0:
            self._armed.clear()
        self._armed.extend(Fault(answer, seconds) for _ in range(count))

    def take(self) -> Fault | None:
        return self._armed.popleft() if self._armed else None

    def __len__(self) -> int:
        return len(self._armed)


async def drop(request: Request) -> Response:
    """Cut the TCP connection without an answer: the caller cannot know whether the work was done."""
    cut: Callable[[], None] = request.scope["chartpost.cut"]
    cut()
    await asyncio.sleep(0.01)  # the server must notice the loss before it would write this answer
    return Response(status_code=500)
