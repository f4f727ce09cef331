"""What an address of the API is: method, path, who may, what it takes and answers. The document is made of these."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from chartpost.adapter.flow.context import Flow
from chartpost.adapter.users import Scope
from chartpost.adapter.web.api.access import Caller


class Taken(BaseModel):
    """Base of what a caller sends: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)


def _written(value: Any) -> Any:
    """A day or a moment is text (ISO 8601): a number would be taken for seconds since 1970."""
    if not isinstance(value, str) or not value[:4].isdigit() or value[4:5] != "-":
        raise ValueError("is no date; write it as in 2026-05-04, a moment as in 2026-05-04T10:00:00Z")
    return value


Day = Annotated[dt.date, BeforeValidator(_written)]
Moment = Annotated[dt.datetime, BeforeValidator(_written)]


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one user, with all that it brings, read and checked."""

    flow: Flow
    caller: Caller
    path: Mapping[str, str]
    body: Any = None  #: an instance of the operation's `body`
    query: Any = None  #: an instance of the operation's `query`


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be done. `work` blocks; it raises Problem, and `No` for what people are told."""

    method: str
    path: str  #: below /api
    scope: Scope | None
    does: str
    work: Callable[[Call], BaseModel]
    answer: type[BaseModel]
    body: type[Taken] | None = None
    query: type[Taken] | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()  #: besides 401, 403 and, where it takes something, 422
