"""People and programs that may use the API: their token, their role, and what each role may do.

A user's name is what the ledger remembers of whoever did something (`act.by`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from chartpost.adapter.part import Part
from chartpost.adapter.values import MailAddress, Named, Token

Scope = Literal[
    "requests:read", "requests:write", "payments:read", "consents:read", "consents:write", "holds:read", "holds:write",
    "messages:read", "status:read", "audit:read",
]  # fmt: skip
RoleName = Literal["administrator", "billing", "clinician", "integrator", "auditor"]
_READS: tuple[Scope, ...] = ("requests:read", "payments:read", "consents:read", "holds:read")
_BILLING: frozenset[Scope] = frozenset([*_READS, "requests:write", "consents:write", "holds:write"])
#: What each role may do. A clinician may nothing about money unless `billing: true`.
SCOPES: dict[RoleName, frozenset[Scope]] = {
    "administrator": frozenset([*_BILLING, "messages:read", "status:read", "audit:read"]),
    "billing": _BILLING,
    "clinician": frozenset(),
    "integrator": frozenset(["status:read", "messages:read", "holds:read", "holds:write"]),
    "auditor": frozenset([*_READS, "messages:read", "status:read", "audit:read"]),
}
#: What a clinician with billing permission may do for their own patients: see payments, and send a link.
CLINICIAN_BILLING: frozenset[Scope] = frozenset(["requests:read", "requests:write", "payments:read"])


class User(Part):
    """One person or program."""

    role: RoleName
    token: Token | None = None  #: of the API; None: only told by e-mail
    token_previous: Token | None = None  #: taken too, while it is exchanged
    billing: bool = False  #: of a clinician: may see payments and ask for them
    facilities: tuple[Named, ...] = ()  #: only these; none named: all
    scopes: tuple[Scope, ...] = ()  #: of those of the role only these; none named: all of them
    email: MailAddress | None = None
    tell: tuple[Literal["payments", "holds"], ...] = ()  #: of what this user is told by e-mail
    provider_ids: tuple[Named, ...] = ()  #: FT1-20.1: whose work a clinician's payments are

    @property
    def allowed(self) -> frozenset[Scope]:
        """What this user may do."""
        of_role = CLINICIAN_BILLING if self.role == "clinician" and self.billing else SCOPES[self.role]
        return of_role & frozenset(self.scopes) if self.scopes else of_role

    @model_validator(mode="after")
    def _can_be_told(self) -> User:
        """Whoever is told of something has an address, and may see it. Raises ValueError."""
        if beyond := sorted(set(self.scopes) - self.allowed):
            raise ValueError(f"scopes: the role {self.role} may not {', '.join(beyond)}; take it out")
        if self.tell and self.email is None:
            raise ValueError("email: is missing, and `tell` says that this user is told by e-mail")
        for what in self.tell:
            if f"{what}:read" not in self.allowed:
                raise ValueError(f"tell: the role {self.role} may not see {what} here; take it out")
        if self.role == "clinician" and "payments" in self.tell and not self.provider_ids:
            raise ValueError("provider_ids: is missing; a clinician is told of payments for their own work")
        return self
