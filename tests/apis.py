"""A client of the API of one bench, as one of several users."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient
from workbench import Workbench, configuration

from chartpost.adapter.web.api.face import ApiFace

ROLES = ("administrator", "billing", "clinician", "integrator", "auditor")


def users(**more: dict[str, Any]) -> dict[str, Any]:
    """Return a user of each role, whose token is "token-of-<role>-here"; and these besides."""
    wanted: dict[str, dict[str, Any]] = {role: {"role": role} for role in ROLES} | more
    return {name: user | {"token": f"token-of-{name}-here"} for name, user in wanted.items()}


class Api:
    """A client of the API of one bench."""

    def __init__(self, bench: Workbench, **more: dict[str, Any]) -> None:
        self.bench = bench
        bench.use(configuration(users=users(**more)))
        self.again()

    def again(self) -> None:
        """Serve the bench's flow as it is now."""
        self.client = TestClient(Starlette(routes=ApiFace(self.bench.flow).routes()))

    def __call__(self, method: str, path: str, name: str = "billing", **more: Any) -> Any:
        headers = {"authorization": f"Bearer token-of-{name}-here"}
        return self.client.request(method, f"/api{path}", headers=headers, **more)

    def get(self, path: str, name: str = "billing", **query: Any) -> Any:
        return self("GET", path, name, params=query).json()
