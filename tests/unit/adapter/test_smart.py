"""Who we are is proven by a signature that anybody can check with our public keys, and nothing of it is ever told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scripted import Scripted, raw, says, scripted, silent

from chartpost.adapter import smart
from chartpost.adapter.errors import ConfigurationError, Permanent, Transient
from chartpost.adapter.httpcall import Reply
from chartpost.adapter.smart import Smart, Tokens, jwks, keys, parse_token

SCOPE = "system/PaymentReconciliation.crs system/Invoice.ru"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with keys: an RSA key takes its time to be found."""
    path = tmp_path_factory.mktemp("data")
    keys(path)
    return path


@pytest.fixture
def endpoint(data: Path) -> Iterator[Scripted]:
    smart.use(data)
    with scripted() as server:
        server.on("POST token", says(200, {"access_token": "first", "token_type": "Bearer", "expires_in": 300}))
        yield server


def options(server: Scripted, **more: Any) -> Smart:
    return Smart(token_url=f"{server.url}/token", client_id="chartpost", scope=SCOPE, **more)


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text: str) -> int:
    return int.from_bytes(part(text), "big")


def verified(token: str, published: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT, checked against a JWKS by the bare mathematics. Raises InvalidSignature."""
    first, second, third = token.split(".")
    header = json.loads(part(first))
    (key,) = [key for key in published["keys"] if key["kid"] == header["kid"] and key["alg"] == header["alg"]]
    signed, signature = f"{first}.{second}".encode(), part(third)
    if header["alg"] == "ES384":
        assert (key["kty"], key["crv"], len(signature)) == ("EC", "P-384", 96)
        point = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP384R1())
        pair = encode_dss_signature(int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big"))
        point.public_key().verify(pair, signed, ec.ECDSA(hashes.SHA384()))
    else:
        assert (header["alg"], key["kty"]) == ("RS384", "RSA")
        public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
        assert public.key_size >= 3072
        public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA384())
    return header, json.loads(part(second))


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_token_is_asked_for_as_smart_backend_services_says(
    endpoint: Scripted, data: Path, algorithm: smart.Algorithm
) -> None:
    asked_for = options(endpoint, algorithm=algorithm)
    before = time.time()
    assert Tokens(asked_for, 5).get() == "first"
    (asked,) = endpoint.asked
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    form = {name: value for name, [value] in parse_qs(asked.body.decode(), strict_parsing=True).items()}
    token = form.pop("client_assertion")
    assert form == {
        "grant_type": "client_credentials",
        "scope": SCOPE,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    header, claims = verified(token, jwks(keys(data)))
    assert header["typ"] == "JWT"
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("chartpost", "chartpost", asked_for.token_url)
    assert before < claims["exp"] <= time.time() + 300
    assert len(claims["jti"]) >= 22


def test_the_verifier_of_these_tests_does_not_take_everything(data: Path) -> None:
    asked_for = Smart(token_url="https://ehr.example.org/token", client_id="c", scope="s")
    token = smart.assertion(asked_for, keys(data)["ES384"], 0, "j")
    head, claims, signature = token.split(".")
    with pytest.raises(InvalidSignature):
        verified(f"{head}.{claims[:-2]}AA.{signature}", jwks(keys(data)))


def test_every_assertion_is_used_once(endpoint: Scripted) -> None:
    tokens = Tokens(options(endpoint), 5)
    tokens.get()
    tokens.get(instead_of="first")
    ids = [parse_qs(asked.body.decode())["client_assertion"][0].split(".")[1] for asked in endpoint.asked]
    assert len({json.loads(part(claims))["jti"] for claims in ids}) == 2


def test_a_server_may_know_our_key_by_a_name_of_its_own(endpoint: Scripted) -> None:
    Tokens(options(endpoint, key_id="theirs"), 5).get()
    head = parse_qs(endpoint.asked[0].body.decode())["client_assertion"][0].split(".")[0]
    assert json.loads(part(head))["kid"] == "theirs"


def test_a_token_is_kept_until_its_end_and_asked_for_anew_when_it_is_no_longer_taken(endpoint: Scripted) -> None:
    bearer = {"token_type": "bearer", "expires_in": 300}
    endpoint.on("POST token", says(200, bearer | {"access_token": "a"}), says(200, bearer | {"access_token": "b"}))
    tokens = Tokens(options(endpoint), 5)
    assert [tokens.get(), tokens.get(), tokens.get(instead_of="a"), tokens.get(instead_of="a")] == ["a", "a", "b", "b"]
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("told", [{}, {"expires_in": smart.MARGIN_SECONDS}, {"expires_in": "300"}, {"expires_in": -1}])
def test_a_token_that_says_nothing_of_its_end_or_is_about_to_end_is_used_once(
    endpoint: Scripted, told: dict[str, Any]
) -> None:
    endpoint.on("POST token", says(200, told | {"access_token": "a", "token_type": "Bearer"}))
    tokens = Tokens(options(endpoint), 5)
    assert [tokens.get(), tokens.get()] == ["a", "a"]
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("script", [silent, raw(b""), says(500), says(503), says(429)])
def test_an_endpoint_that_cannot_say_now_is_asked_later(endpoint: Scripted, script: Any) -> None:
    endpoint.on("POST token", script)
    with pytest.raises(Transient, match="token endpoint"):
        Tokens(options(endpoint), 0.3).get()


def test_a_refusal_names_the_code_and_the_remedy_and_not_what_was_sent_or_said(endpoint: Scripted) -> None:
    endpoint.on("POST token", says(400, {"error": "invalid_client", "error_description": "Ada Example 5550148"}))
    with pytest.raises(Permanent, match=r"refused us \(invalid_client\); compare client_id") as caught:
        Tokens(options(endpoint), 5).get()
    sent = parse_qs(endpoint.asked[0].body.decode())["client_assertion"][0]
    assert caught.value.code == "invalid_client"
    assert not any(word in str(caught.value) for word in ("Ada Example", "5550148", sent))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>log in</html>", b"[]", b"{}", {"access_token": "a b", "token_type": "bearer"},
        {"access_token": "a\r\nX: y", "token_type": "bearer"}, {"access_token": "a", "token_type": "mac"},
        {"access_token": 1, "token_type": "bearer"}, b'{"a":' * 50_000,
    ],
)  # fmt: skip
def test_what_is_no_bearer_token_is_not_used(endpoint: Scripted, body: Any) -> None:
    endpoint.on("POST token", says(200, body))
    with pytest.raises(Permanent, match="without a bearer token"):
        Tokens(options(endpoint), 5).get()


ANYTHING = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("Bearer") | st.just([])
TOLD = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("access_token", "token_type", "expires_in", "error"), ANYTHING)
)


@given(st.sampled_from([200, 204, 302, 400, 401, 500]), st.binary() | TOLD.map(lambda told: json.dumps(told).encode()))
def test_whatever_an_endpoint_answers_is_a_word_for_a_header_or_one_of_our_errors(status: int, body: bytes) -> None:
    try:
        token, seconds = parse_token(Reply(status, {}, body))
    except (Permanent, Transient):
        return
    assert token.isascii()
    assert token.isprintable()
    assert " " not in token
    assert seconds >= 0


# -------------------------------------------------------------------------------------------------------- our keys


def test_keys_are_made_once_and_only_we_may_read_them(data: Path) -> None:
    files = {path.name: path for path in data.iterdir()}
    assert set(files) == {"smart-es384.pem", "smart-rs384.pem"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    before = {name: path.read_bytes() for name, path in files.items()}
    smart._keys.clear()  # as in another process
    assert jwks(keys(data)) == jwks(keys(data))
    assert {name: path.read_bytes() for name, path in files.items()} == before


def test_what_is_published_holds_no_secret(data: Path) -> None:
    published = jwks(keys(data))
    assert [(key["kty"], key["alg"], key["use"]) for key in published["keys"]] == [
        ("EC", "ES384", "sig"), ("RSA", "RS384", "sig"),
    ]  # fmt: skip
    assert {name for key in published["keys"] for name in key} & {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} == set()
    assert len({key["kid"] for key in published["keys"]}) == 2
    json.dumps(published)


def test_a_key_open_to_others_is_not_used(tmp_path: Path, data: Path) -> None:
    copied = tmp_path / "smart-es384.pem"
    copied.write_bytes((data / "smart-es384.pem").read_bytes())
    copied.chmod(0o640)
    with pytest.raises(ConfigurationError, match="run `chmod 600"):
        keys(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not PEM", "the other"])
def test_a_file_that_is_no_such_key_is_named(tmp_path: Path, data: Path, content: bytes | str) -> None:
    held = (data / "smart-rs384.pem").read_bytes() if isinstance(content, str) else content
    (tmp_path / "smart-es384.pem").write_bytes(held)
    (tmp_path / "smart-es384.pem").chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"smart-es384\.pem: must be an EC key on P-384"):
        keys(tmp_path)


def test_a_key_that_cannot_be_made_or_used_is_no_riddle_about_what_was_sent(endpoint: Scripted, tmp_path: Path) -> None:
    missing = tmp_path / "gone"
    with pytest.raises(ConfigurationError, match="cannot be made"):
        keys(missing)
    smart.use(missing)
    with pytest.raises(Permanent, match="cannot be made"):
        Tokens(options(endpoint), 5).get()
    assert endpoint.asked == []


def test_no_key_without_a_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smart, "_directory", None)
    with pytest.raises(ConfigurationError, match="no data directory"):
        keys()


@pytest.mark.parametrize(
    "wrong",
    [
        {"token_url": "http://ehr.example.org/token"},
        {"client_id": " "},
        {"scope": ""},
        {"algorithm": "HS256"},
        {"jti": 1},
    ],
)
def test_options_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    good = {"token_url": "https://ehr.example.org/token", "client_id": "c", "scope": "s"}
    assert Smart.model_validate(good).algorithm == "ES384"
    with pytest.raises(ValidationError):
        Smart.model_validate(good | wrong)
