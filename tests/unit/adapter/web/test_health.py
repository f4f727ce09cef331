"""The internal face."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from starlette.testclient import TestClient

from chartpost.adapter.web.app import internal_app


def answers() -> object:
    with create_engine("sqlite://").connect() as connection:
        return connection.execute(text("SELECT 1")).scalar()


def fails() -> object:
    with create_engine("sqlite:////no/such/folder/chartpost.db").connect() as connection:
        return connection.execute(text("SELECT 1")).scalar()


def test_it_is_ready_when_the_database_answers() -> None:
    client = TestClient(internal_app(answers))
    assert client.get("/healthz").text == "alive"
    assert (client.get("/readyz").status_code, client.get("/readyz").text) == (200, "ready")
    assert "The database answers: <strong>yes</strong>" in client.get("/").text


def test_without_its_database_it_is_alive_but_not_ready_and_says_so() -> None:
    client = TestClient(internal_app(fails))
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert "no/such" not in client.get("/readyz").text
    assert "The database answers: <strong>no</strong>" in client.get("/").text


def test_its_pages_are_protected_like_all_others() -> None:
    headers = TestClient(internal_app(answers)).get("/").headers
    assert headers["cache-control"] == "no-store"
    assert "form-action 'self'" in headers["content-security-policy"]
