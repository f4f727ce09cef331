"""Figures for Prometheus: what this process did, and what waits in the ledger."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chartpost.adapter import figures
from chartpost.adapter.ledger.store import Store


def figure_routes(store: Store) -> list[Route]:
    """Return the route of `/metrics`."""
    waiting = CollectorRegistry()
    waiting.register(figures.LedgerCollector(store))

    def metrics(request: Request) -> Response:
        text = generate_latest(figures.REGISTRY) + generate_latest(waiting)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", metrics, methods=["GET"])]
