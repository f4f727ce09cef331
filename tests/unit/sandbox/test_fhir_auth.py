"""SMART Backend Services at the clinic: who proves itself gets a token, for what it asked and no more."""

from __future__ import annotations

import http.server
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

KEYS = {
    "ES384": ECKey.generate_key("P-384", {"kid": "es", "use": "sig"}),
    "RS384": RSAKey.generate_key(2048, {"kid": "rs", "use": "sig"}),
}
STRANGER = ECKey.generate_key("P-384", {"kid": "es", "use": "sig"})
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def published() -> Iterator[str]:
    """The address where the client's public keys are."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(KeySet([*KEYS.values()]).as_dict(private=False)).encode())

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/jwks.json"
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(box, published) -> Callable[..., httpx2.Response]:
    """Ask for a token; keyword arguments replace claims, and `form` what goes around them."""
    assert box.web.post("/_control/fhir/jwks", params={"url": published}).status_code == 200
    told = box.web.get("/fhir/.well-known/smart-configuration").json()

    def request(algorithm: str = "ES384", key: Any = None, form: dict | None = None, **claims: Any) -> httpx2.Response:
        header = {"alg": algorithm, "kid": KEYS[algorithm].kid, "typ": "JWT"}
        said = {
            "iss": "chartpost",
            "sub": "chartpost",
            "aud": told["token_endpoint"],
            "exp": int(time.time()) + 240,
            "jti": uuid.uuid4().hex,
        } | claims
        signed = jwt.encode(header, said, key or KEYS[algorithm], algorithms=[algorithm])
        return box.web.post(
            told["token_endpoint"],
            data={
                "grant_type": "client_credentials",
                "scope": "system/*.rs",
                "client_assertion_type": ASSERTION,
                "client_assertion": signed,
            }
            | (form or {}),
        )

    return request


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_client_that_proves_itself_gets_in(box, ask, invoice, algorithm) -> None:
    answer = ask(algorithm)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    given = answer.json()
    assert (given["token_type"], given["expires_in"], given["scope"]) == ("bearer", 300, "system/*.rs")
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    assert box.web.get(f"/fhir/Invoice/{invoice['id']}", headers=bearer).status_code == 200


def test_a_token_opens_what_its_scope_names_and_nothing_else(box, ask, invoice) -> None:
    def status(scope: str, method: str, path: str) -> int:
        token = ask(form={"scope": scope}).json()["access_token"]
        return box.web.request(method, f"/fhir{path}", headers={"Authorization": f"Bearer {token}"}).status_code

    one = f"/Invoice/{invoice['id']}"
    assert [status(scope, "GET", one) for scope in ("system/Invoice.r", "system/*.read", "system/*.*")] == [200] * 3
    assert [status(scope, "GET", one) for scope in ("system/Patient.rs", "system/*.write", "system/Invoice.cs")] == [
        403
    ] * 3
    assert status("system/Invoice.rs system/PaymentReconciliation.c", "POST", "/PaymentReconciliation") == 415
    assert status("system/PaymentReconciliation.rs", "POST", "/PaymentReconciliation") == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example.org/token"},
        {"sub": "somebody else"},
        {"exp": int(time.time()) - 1},
        {"exp": int(time.time()) + 4000},
        {"exp": None},
        {"jti": None},
        {"iss": "", "sub": ""},
    ],
)
def test_a_claim_that_is_wrong_gets_nothing(ask, claims) -> None:
    answer = ask(**claims)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client")


def test_an_assertion_is_taken_once(ask) -> None:
    assert [ask(jti="again and again").status_code for _ in range(2)] == [200, 400]


def test_a_key_that_is_not_published_signs_in_vain(ask) -> None:
    assert ask(key=STRANGER).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "basic"}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "patient/*.rs"}, "invalid_scope"),
        ({"scope": "system/*.sr"}, "invalid_scope"),
        ({"client_assertion": ""}, "invalid_client"),
        ({"client_assertion": "a.b.c"}, "invalid_client"),
        ({"client_assertion": "eyJhbGciOiJub25lIn0.e30."}, "invalid_client"),
    ],
)
def test_a_request_that_is_wrong_says_how(ask, form, error) -> None:
    answer = ask(form=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_keys_are_fetched_on_this_machine_only(box, ask) -> None:
    assert box.web.post("/_control/fhir/jwks?url=http://192.0.2.7/jwks.json").status_code == 400
    box.web.post("/_control/fhir/jwks?url=http://127.0.0.1:1/jwks.json")
    assert ask().json()["error"] == "invalid_client"
