"""SMART Backend Services: an access token for a system that talks to another one (SMART App Launch 2.2).

We prove who we are with a short assertion signed by a key of our own (`private_key_jwt`), of which the server knows
only the public half: the JWKS. The keys are made once in the data directory, when they are first needed.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from chartpost.adapter.errors import Ambiguous, ConfigurationError, Permanent, Transient
from chartpost.adapter.httpcall import Reply, call, secure
from chartpost.adapter.keys import keep

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, RSAKey

    Key = ECKey | RSAKey

Algorithm = Literal["ES384", "RS384"]

#: Seconds an assertion is good for. At most 300 are allowed, and the server's clock may be behind ours.
ASSERTION_SECONDS = 240
#: A token is renewed so many seconds before its end: a request takes its time, too.
MARGIN_SECONDS = 30
#: The largest answer of a token endpoint that is read, in bytes.
MAX_TOKEN_ANSWER = 65_536

_FILES: Mapping[Algorithm, str] = {"ES384": "smart-es384.pem", "RS384": "smart-rs384.pem"}
_RSA_BITS = 3072
_ERROR = re.compile(r"[a-z_]{1,40}")  # RFC 6749 §5.2
_TOKEN = re.compile(r"[\x21-\x7e]+")
_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class Smart(BaseModel):
    """How we get a token: `smart:` of a FHIR destination, or of what a source fetches from."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token_url: Annotated[str, AfterValidator(secure)]
    client_id: _Text
    scope: _Text  #: "system/PaymentReconciliation.crs system/Invoice.ru", in the server's own spelling
    algorithm: Algorithm = "ES384"
    key_id: _Text | None = None  #: the kid under which the server filed our key; None: that of our JWKS


# -------------------------------------------------------------------------------------------------------- our keys

_directory: Path | None = None
_keys: dict[Path, dict[Algorithm, Key]] = {}
_making = threading.Lock()


def use(data: Path) -> None:
    """Take the keys of this data directory from now on. Nothing is read or made before a key is needed."""
    global _directory
    _directory = data


def keys(data: Path | None = None) -> dict[Algorithm, Key]:
    """Return both private keys of `data` (None: of the directory in use), made with mode 0600 where they are missing.

    Raises ConfigurationError for a key that cannot be made or read, is of another kind, or is open to others.
    """
    data = data or _directory
    if data is None:
        raise ConfigurationError(["no data directory is in use, so there are no keys to sign with"])
    with _making:
        if data not in _keys:
            for algorithm, name in _FILES.items():
                try:
                    _make(data / name, algorithm)
                except OSError as error:
                    raise ConfigurationError([f"{data / name}: cannot be made: {error.strerror}"]) from None
            _keys[data] = {algorithm: _read(data / name, algorithm) for algorithm, name in _FILES.items()}
        return _keys[data]


def jwks(own: Mapping[Algorithm, Key]) -> dict[str, Any]:
    """Return the JSON Web Key Set that servers verify us with (RFC 7517): public halves only."""
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "alg": name, "use": "sig", "key_ops": ["verify"]}
            for name, key in own.items()
        ]
    }


def assertion(options: Smart, key: Key, now: float, jti: str) -> str:
    """Sign who we are (RFC 7523). Without iat and nbf: nobody asks for them, and clocks differ."""
    from joserfc import jwt

    header = {"alg": options.algorithm, "kid": options.key_id or key.thumbprint(), "typ": "JWT"}
    claims = {
        "iss": options.client_id,
        "sub": options.client_id,
        "aud": options.token_url,
        "exp": int(now) + ASSERTION_SECONDS,
        "jti": jti,
    }
    return jwt.encode(header, claims, key, algorithms=[options.algorithm])


def _make(path: Path, algorithm: Algorithm) -> None:
    from joserfc.jwk import ECKey, RSAKey

    if path.exists():
        return
    key: Key = ECKey.generate_key("P-384") if algorithm == "ES384" else RSAKey.generate_key(_RSA_BITS)
    keep(path, key.as_pem(private=True))


def _read(path: Path, algorithm: Algorithm) -> Key:
    from joserfc.jwk import ECKey, RSAKey

    kind = "an EC key on P-384" if algorithm == "ES384" else "an RSA key of 2048 bits or more"
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError([f"{path}: others may read it; run `chmod 600 {path}`"])
        pem = path.read_bytes()
        key: Key = ECKey.import_key(pem) if algorithm == "ES384" else RSAKey.import_key(pem)
        fits = key.is_private and (key.curve_name == "P-384" if isinstance(key, ECKey) else _bits(key) >= 2048)
    except ConfigurationError:
        raise
    except Exception:  # joserfc and cryptography raise a dozen kinds for what is no such key
        fits = False
    if not fits:
        raise ConfigurationError([f"{path}: must be {kind} as PEM; restore it, or remove it and register the new one"])
    return key


def _bits(key: RSAKey) -> int:
    return int(key.raw_value.key_size)


# ---------------------------------------------------------------------------------------------------------- tokens


class Tokens:
    """The access token of one client, fetched when it is needed and kept until shortly before its end."""

    def __init__(self, options: Smart, timeout: float) -> None:
        self._options, self._timeout = options, timeout
        self._token, self._until = "", 0.0
        self._turn = threading.Lock()

    def get(self, *, instead_of: str = "") -> str:
        """Return a token that is good now; `instead_of` names one that the server no longer takes.

        Raises Transient when the endpoint does not answer (a token has no effect: nothing is unknown), Permanent when
        it refuses us or our key cannot be used. No text holds the assertion or what the endpoint wrote beside its code.
        """
        with self._turn:
            if self._token == instead_of or time.monotonic() >= self._until:
                self._token, seconds = self._fetch()
                self._until = time.monotonic() + max(seconds - MARGIN_SECONDS, 0)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        options = self._options
        try:
            key = keys()[options.algorithm]
        except ConfigurationError as error:
            raise Permanent(str(error)) from None
        signed = assertion(options, key, time.time(), secrets.token_urlsafe(24))
        form = {
            "grant_type": "client_credentials",
            "scope": options.scope,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        try:
            reply = call(
                "POST", options.token_url, headers, urlencode(form).encode(),
                timeout=self._timeout, max_bytes=MAX_TOKEN_ANSWER,
            )  # fmt: skip
        except Ambiguous as error:
            raise Transient(f"token endpoint {error}") from None
        return parse_token(reply)


def parse_token(reply: Reply) -> tuple[str, float]:
    """Read a token and how many seconds it is good for (RFC 6749 §5). Raises Transient or Permanent as `get` does."""
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        told = None
    told = told if isinstance(told, dict) else {}
    if reply.status >= 500 or reply.status in (408, 429):
        raise Transient(f"the token endpoint answered HTTP {reply.status}")
    if reply.status != 200:
        code = told.get("error")
        code = code if isinstance(code, str) and _ERROR.fullmatch(code) else str(reply.status)
        raise Permanent(
            f"the token endpoint refused us ({code}); compare client_id, scope, algorithm and our public keys with "
            "what is registered there",
            code,
        )
    token, seconds = told.get("access_token"), told.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or str(told.get("token_type")).lower() != "bearer":
        raise Permanent("the token endpoint answered 200 without a bearer token; look at token_url")
    # Without a word about its end a token is good for the request it was fetched for.
    return token, float(seconds) if isinstance(seconds, int) and seconds > 0 else 0.0
