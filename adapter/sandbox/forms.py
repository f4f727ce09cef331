"""Form bodies: plain, with Stripe's square brackets, and multipart."""

from __future__ import annotations

import re
from email import message_from_bytes
from urllib.parse import parse_qsl

#: a leaf is a string; a branch maps names (or "0", "1", … for arrays) to trees
Tree = dict[str, "Tree | str"]

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


class FormError(ValueError):
    """The body is no form, or names the same thing once as a value and once as a group."""


def pairs(body: bytes) -> list[tuple[str, str]]:
    """Split an `application/x-www-form-urlencoded` body into its pairs, blanks kept. Raises FormError."""
    try:
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as error:
        raise FormError("the body is not application/x-www-form-urlencoded") from error


def fields(body: bytes) -> dict[str, str]:
    """Read a flat form; of a repeated name the last one counts."""
    return dict(pairs(body))


def tree(items: list[tuple[str, str]]) -> Tree:
    """Turn `a[0][b]=c` pairs into a tree. `a[]=c` appends. Raises FormError."""
    root: Tree = {}
    for key, value in items:
        match = _KEY.fullmatch(key)
        if match is None:
            raise FormError(f"Invalid parameter name: {key[:40]}")
        path = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        node = root
        for name in path[:-1]:
            child = node.setdefault(name or str(len(node)), {})
            if not isinstance(child, dict):
                raise FormError(f"Invalid object: {key[:40]}")
            node = child
        last = path[-1] or str(len(node))
        if isinstance(node.get(last), dict):
            raise FormError(f"Invalid string: {key[:40]}")
        node[last] = value
    return root


def listing(value: Tree | str | None) -> list[Tree | str]:
    """Return the members of an array that came as `a[0]`, `a[1]` or `a[]`, in order of their index."""
    if not isinstance(value, dict):
        return []
    return [value[name] for name in sorted(value, key=lambda n: int(n) if n.isdigit() else 1_000_000)]


def uploaded(body: bytes, content_type: str) -> bytes:
    """Return the raw bytes that were sent: the body itself, or the first non-empty part of a multipart form."""
    if not content_type.lower().startswith("multipart/"):
        return body
    message = message_from_bytes(b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body)
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes) and payload.strip():
            return payload
    return b""
