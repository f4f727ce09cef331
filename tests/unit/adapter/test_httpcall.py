"""A call ends in its time and in its size, and tells what is certain."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted import Scripted, dripping, raw, says, scripted, silent

from chartpost.adapter import httpcall
from chartpost.adapter.errors import Ambiguous, Transient
from chartpost.adapter.httpcall import Reply, call, secure


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as server:
        yield server


def post(url: str, timeout: float = 5, max_bytes: int = 1000) -> Reply:
    return call("POST", url, {"Accept": "application/json"}, b"{}", timeout=timeout, max_bytes=max_bytes)


def test_status_headers_and_body_come_back(server: Scripted) -> None:
    server.on("POST x", says(201, b"done", ETag='W/"1"'))
    reply = post(f"{server.url}/x?a=1")
    assert (reply.status, reply.headers["etag"], reply.body, reply.whole) == (201, 'W/"1"', b"done", True)
    assert [(asked.method, asked.path, asked.body) for asked in server.asked] == [("POST", "x?a=1", b"{}")]


def test_a_refused_connection_sent_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(Transient, match=rf"127\.0\.0\.1:{port}: no connection \(refused: nobody listens there\)"):
        post(f"http://127.0.0.1:{port}/x")


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 70 + ".example.org"])
def test_a_host_that_is_none_sent_nothing(host: str) -> None:
    with pytest.raises(Transient, match="no connection"):
        post(f"http://{host}/x")


def test_silence_after_sending_is_unknown(server: Scripted) -> None:
    server.on("POST x", silent)
    with pytest.raises(Ambiguous, match=r"no answer within 0\.2 s"):
        post(f"{server.url}/x", timeout=0.2)


def test_a_status_line_that_drips_ends_in_the_time_of_the_whole_call(server: Scripted) -> None:
    server.on("POST x", dripping(b"HTTP/1.1 200"))
    began = time.monotonic()
    with pytest.raises(Ambiguous, match="no answer within"):
        post(f"{server.url}/x", timeout=0.3)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("start", [b"HTTP/1.1 201 Created\r\nX-Long: ", b"HTTP/1.1 201 Created\r\n\r\n"])
def test_what_drips_behind_the_status_leaves_the_status(server: Scripted, start: bytes) -> None:
    server.on("POST x", dripping(start))
    began = time.monotonic()
    reply = post(f"{server.url}/x", timeout=0.3)
    assert (reply.status, reply.whole) == (201, False)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "data", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_an_answer_that_is_none_is_unknown(server: Scripted, data: bytes) -> None:
    server.on("POST x", raw(data))
    with pytest.raises(Ambiguous, match="connection lost"):
        post(f"{server.url}/x")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 201 Created\r\n",
        b"HTTP/1.1 201 Created\r\nETag: ",
        b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
        b"HTTP/1.1 201 Created\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
        b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 201 Created\r\n\r\n" + b"x" * 100_000,
    ],
)
def test_a_status_counts_even_if_its_body_is_lost_or_too_long(server: Scripted, data: bytes) -> None:
    server.on("POST x", raw(data))
    reply = post(f"{server.url}/x")
    assert (reply.status, reply.whole) == (201, False)
    assert len(reply.body) <= 1000


def test_no_redirect_is_followed(server: Scripted) -> None:
    server.on("POST x", says(307, Location=f"{server.url}/y"))
    assert post(f"{server.url}/x").status == 307
    assert [asked.path for asked in server.asked] == ["x"]


def authority(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for 127.0.0.1 that only its own authority vouches for: the server's side, and the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "server.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    pem.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(encoding)
    )
    trusted = folder / "authority.pem"
    trusted.write_bytes(certificate.public_bytes(encoding))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, trusted


def test_a_certificate_nobody_vouches_for_gets_nothing_and_one_of_the_machines_authorities_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trusted = authority(tmp_path)
    with scripted(context) as server:
        server.on("POST x", says(201))
        with pytest.raises(Transient, match="certificate is not to be trusted: self-signed"):
            post(f"{server.url}/x")
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        httpcall._trust.cache_clear()
        try:
            assert post(f"{server.url}/x").status == 201
            server.on("POST x", dripping(b"HTTP/1.1 200"))
            with pytest.raises(Ambiguous, match="no answer within"):
                post(f"{server.url}/x", timeout=0.3)
        finally:
            httpcall._trust.cache_clear()


@pytest.mark.parametrize(
    "url",
    [
        "fhir.example.org", "ftp://fhir.example.org", "https://", "https://a@fhir.example.org", "https://fhir.example.org?a=b",
        "https://fhir.example.org#a", "https://fhir.example.org:99999", "https://fhir.example.org:x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no web address"):
        secure(url)


def test_secrets_go_in_the_clear_only_on_this_machine_or_where_it_is_meant() -> None:
    assert secure("http://127.0.0.1:8080/fhir") == "http://127.0.0.1:8080/fhir"
    assert secure("http://[::1]/fhir") == "http://[::1]/fhir"
    assert secure("http://fhir.example.org", allow_insecure=True) == "http://fhir.example.org"
    with pytest.raises(ValueError, match="in the clear"):
        secure("http://fhir.example.org")
