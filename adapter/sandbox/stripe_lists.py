"""Choosing and paging members of a list, as every list of the Stripe API does. Pure."""

from __future__ import annotations

from . import stripe_errors as errors
from . import stripe_objects as objects
from .forms import Tree
from .stripe_errors import StripeError
from .stripe_objects import Object


def created_within(found: Object, params: Tree) -> bool:
    """Apply `created`, a Unix time or a range of gt, gte, lt, lte. Raises StripeError."""
    wanted = params.get("created")
    if wanted is None:
        return True
    bounds = wanted if isinstance(wanted, dict) else {"gte": wanted, "lte": wanted}
    for name, text in bounds.items():
        if name not in {"gt", "gte", "lt", "lte"}:
            raise errors.unknown(f"created[{name}]")
        if not isinstance(text, str) or not text.isdigit():
            raise StripeError(f"Invalid integer: {text}", code="parameter_invalid_integer", param=f"created[{name}]")
        at, bound = found["created"], int(text)
        if not {"gt": at > bound, "gte": at >= bound, "lt": at < bound, "lte": at <= bound}[name]:
            return False
    return True


def cut(url: str, found: list[Object], params: Tree, kind: str) -> Object:
    """Cut one page, newest first, by `limit`, `starting_after` and `ending_before`. Raises StripeError."""
    text = params.get("limit", "10")
    if not isinstance(text, str) or not text.isdigit() or not 1 <= int(text) <= 100:
        raise StripeError("This value must be between 1 and 100", param="limit")
    limit = int(text)
    known = [member["id"] for member in found]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in known:
            raise errors.no_such(kind, str(params[name]), name)
    if "ending_before" in params:
        rest = found[: known.index(str(params["ending_before"]))]
        return objects.page(url, rest[-limit:], len(rest) > limit)
    start = known.index(str(params["starting_after"])) + 1 if "starting_after" in params else 0
    return objects.page(url, found[start : start + limit], len(found) > start + limit)
