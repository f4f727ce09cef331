"""Who may use the clinic's FHIR server: one fixed bearer token, or SMART Backend Services (SMART App Launch 2.2).

A client proves itself by a JWT that it signs anew each time (`private_key_jwt`, RS384 or ES384); its public keys are
fetched from where it publishes them, on this machine only.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA384

from .ids import Ids
from .outgoing import call

ALGORITHMS = ("RS384", "ES384")
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE_S = 300  #: of an assertion at most (SMART §5.1), and of a token of ours
#: a scope's permissions, version 2 as letters, version 1 as words → create, read, update, delete, search
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


class Denied(Exception):
    """No token is given: an error code of OAuth 2 and words."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.body = {"error": code, "error_description": text}


@dataclass
class Tokens:
    """The fixed token, and those given out."""

    ids: Ids
    fixed: str
    jwks_url: str = ""
    _given: dict[str, tuple[str, float]] = field(default_factory=dict)  #: token → scope, end
    _seen: dict[tuple[str, str], float] = field(default_factory=dict)  #: client, jti → end

    def scope(self, authorization: str, now: float) -> str | None:
        """Return what the bearer of an Authorization header may do; None for nobody we know."""
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            return None
        if token == self.fixed:
            return "system/*.cruds"
        scope, end = self._given.get(token, ("", 0.0))
        return scope if now < end else None

    async def issue(self, form: dict[str, str], audience: str, now: float) -> dict[str, Any]:
        """Answer a token request; `audience` is the address of this endpoint. Raises Denied."""
        if form.get("grant_type") != "client_credentials":
            raise Denied("unsupported_grant_type", "grant_type must be client_credentials")
        if form.get("client_assertion_type") != _ASSERTION:
            raise Denied("invalid_request", f"client_assertion_type must be {_ASSERTION}")
        scopes = form.get("scope", "").split()
        if not scopes or not all(_granted(scope)[1] for scope in scopes):
            raise Denied("invalid_scope", "scope must name what is wanted, as in system/PaymentReconciliation.crs")
        self._judge(verified(form.get("client_assertion", ""), await self._keys()), audience, now)
        token = self.ids.hex(40)
        self._given[token] = (" ".join(scopes), now + _LIFE_S)
        return {"access_token": token, "token_type": "bearer", "expires_in": _LIFE_S, "scope": " ".join(scopes)}

    def _judge(self, claims: dict[str, Any], audience: str, now: float) -> None:
        client, jti, end = claims.get("iss"), claims.get("jti"), claims.get("exp")
        named = claims.get("aud")
        if not isinstance(client, str) or not client or claims.get("sub") != client:
            raise Denied("invalid_client", "iss and sub must both be the client id")
        if audience not in (named if isinstance(named, list) else [named]):
            raise Denied("invalid_client", "aud must be the address of this endpoint")
        if isinstance(end, bool) or not isinstance(end, (int, float)) or not now < end <= now + _LIFE_S + 5:
            raise Denied("invalid_client", "exp must lie ahead, by five minutes at most")
        if not isinstance(jti, str) or not jti or (client, jti) in self._seen:
            raise Denied("invalid_client", "jti must be there and new")
        self._seen = {key: until for key, until in self._seen.items() if until > now} | {(client, jti): end}

    async def _keys(self) -> list[dict[str, Any]]:
        if not self.jwks_url:
            raise Denied("invalid_client", "no client is registered: start the sandbox with --jwks-url")
        try:
            answer = await call("GET", self.jwks_url)
            keys = json.loads(answer.body)["keys"] if answer.status == 200 else None
        except (OSError, TimeoutError, ValueError, LookupError, TypeError):
            keys = None
        if not isinstance(keys, list):
            raise Denied("invalid_client", f"no keys at {urlsplit(self.jwks_url).path}")
        return [key for key in keys if isinstance(key, dict)]


def allows(scope: str, type: str, letter: str) -> bool:
    """Tell whether a scope covers `letter` (of `cruds`) on a resource type."""
    return any(type_ in ("*", type) and letter in letters for type_, letters in map(_granted, scope.split()))


def _granted(scope: str) -> tuple[str, str]:
    """Split a scope into a resource type and the letters it allows; no letters: nothing that we know."""
    found = _SCOPE.fullmatch(scope)
    return (found[1], _V1.get(found[2], found[2])) if found else ("", "")


def verified(assertion: str, keys: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the claims of a JWT that one of the keys has signed. Raises Denied."""
    try:
        head, body, signature = assertion.split(".")
        header, claims = json.loads(_bytes(head)), json.loads(_bytes(body))
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise ValueError
        signed, mark = f"{head}.{body}".encode("ascii"), _bytes(signature)
    except (ValueError, RecursionError):
        raise Denied("invalid_client", "client_assertion is no signed JWT") from None
    if header.get("alg") not in ALGORITHMS or "kid" not in header or header.get("typ", "JWT") != "JWT":
        raise Denied("invalid_client", f"the header must name a kid and one of {', '.join(ALGORITHMS)}")
    for key in keys:
        if key.get("kid") == header["kid"] and "d" not in key and _fits(key, header["alg"], mark, signed):
            return claims
    raise Denied("invalid_client", "no published key of that kid has signed this")


def _fits(key: dict[str, Any], algorithm: str, mark: bytes, signed: bytes) -> bool:
    try:
        if algorithm == "RS384" and key.get("kty") == "RSA":
            public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
            public.verify(mark, signed, padding.PKCS1v15(), SHA384())
        elif algorithm == "ES384" and (key.get("kty"), key.get("crv"), len(mark)) == ("EC", "P-384", 96):
            point = ec.EllipticCurvePublicNumbers(_number(key["x"]), _number(key["y"]), ec.SECP384R1()).public_key()
            # RFC 7518 §3.4: the two numbers side by side; elsewhere they travel in ASN.1.
            pair = int.from_bytes(mark[:48], "big"), int.from_bytes(mark[48:], "big")
            point.verify(utils.encode_dss_signature(*pair), signed, ec.ECDSA(SHA384()))
        else:
            return False
    except (InvalidSignature, LookupError, ValueError, TypeError, AttributeError):
        return False
    return True


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
