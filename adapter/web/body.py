"""Read a request's body, no further than a limit."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request


async def whole_body(request: Request, limit: int) -> bytes:
    """Return the raw body. Raises HTTPException 413 beyond `limit` bytes, before or while reading."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > limit:
        raise HTTPException(413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413)
    return bytes(body)
