"""Who calls, and whether they may: a bearer token is one user's, and a user has a role and places (users.py)."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, false, true

from chartpost.adapter.ledger.tables import account
from chartpost.adapter.users import Scope, User
from chartpost.adapter.web.api.problem import Problem

_CHALLENGE = {"www-authenticate": 'Bearer realm="chartpost"'}


@dataclass(frozen=True, slots=True)
class Caller:
    """One user, as whom something is done."""

    name: str
    user: User

    def must(self, scope: Scope | None) -> None:
        """Raise Problem 403 unless this user may do what belongs to `scope`; None: anybody with a token may."""
        if scope is not None and scope not in self.user.allowed:
            raise Problem(403, f"the role {self.user.role} may not do this here", f"it needs the scope {scope}")

    def sees(self) -> ColumnElement[bool]:
        """Return the condition for accounts that this user may know of: of their facilities, a clinician's own."""
        places = account.c.facility.in_(self.user.facilities) if self.user.facilities else true()
        if self.user.role != "clinician":
            return places
        return places & (account.c.provider.in_(self.user.provider_ids) if self.user.provider_ids else false())


def caller(users: Mapping[str, User], authorization: str) -> Caller:
    """Return whose token it is. Raises Problem 401: without saying whether there is such a user."""
    kind, _, given = authorization.partition(" ")
    found: Caller | None = None
    if kind.lower() == "bearer":
        for name, user in users.items():  # every one is compared, whichever fits
            for token in (user.token, user.token_previous):
                if token is not None and hmac.compare_digest(token.get_secret_value().encode(), given.strip().encode()):
                    found = Caller(name, user)
    if found is None:
        raise Problem(401, "a bearer token of a user is needed", "see users in the configuration", headers=_CHALLENGE)
    return found
