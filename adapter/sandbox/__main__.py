"""`python -m chartpost.adapter.sandbox`: open the doors, say where in one line of JSON, serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import threading
from urllib.parse import urlsplit

import uvicorn

from . import wire
from .app import Keys, Partners, build
from .ids import Ids
from .outgoing import require_loopback, split_address


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "chartpost sandbox", description="A card provider, an SMS and a mail service, and a clinic, to try with."
    )
    parser.add_argument("--http", default="127.0.0.1:0", type=split_address, help="where the pages and APIs listen")
    parser.add_argument("--mllp", default="127.0.0.1:0", type=split_address, help="where the clinic takes postings")
    parser.add_argument("--smtp", default="127.0.0.1:0", type=split_address, help="where mail is taken")
    parser.add_argument("--send-to", type=split_address, help="where the clinic sends charges: HOST:PORT, MLLP")
    parser.add_argument(
        "--send-invoices-to", default="", type=_url, help="where the clinic sends Invoices: a FHIR base"
    )
    parser.add_argument("--jwks-url", default="", type=_url, help="where the public keys of the SMART client are")
    parser.add_argument("--stripe-webhook", default="", type=_url, help="where card events are sent")
    parser.add_argument("--twilio-incoming", default="", type=_url, help="where texts that people type are sent")
    parser.add_argument("--stripe-webhook-secret", help="whsec_…; made up if not given")
    parser.add_argument("--stripe-key", help="sk_test_…; made up if not given")
    parser.add_argument("--twilio-sid", help="AC…; made up if not given")
    parser.add_argument("--twilio-token", help="made up if not given")
    parser.add_argument("--fhir-token", help="opens the clinic's FHIR server; made up if not given")
    parser.add_argument("--invoice-token", help="with which the clinic sends Invoices; made up if not given")
    parser.add_argument("--gateway-secret", help="of the gateway over HTTP; made up if not given")
    parser.add_argument("--bounces", default="", type=_url, help="where mail that comes back is brought")
    parser.add_argument("--bounce-secret", help="with which it is brought; made up if not given")
    parser.add_argument("--seed", type=int, help="make ids repeatable")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    return parser.parse_args(argv)


def _url(text: str) -> str:
    if text:
        require_loopback(urlsplit(text).hostname or "")
    return text


def _keys(options: argparse.Namespace, ids: Ids) -> Keys:
    return Keys(
        options.stripe_key or ids.stripe("sk_test", 48),
        options.stripe_webhook_secret or ids.stripe("whsec", 32),
        options.twilio_sid or ids.twilio("AC"),
        options.twilio_token or ids.hex(32),
        options.fhir_token or ids.hex(40),
        options.invoice_token or ids.hex(40),
        options.gateway_secret or ids.hex(40),
        options.bounce_secret or ids.hex(40),
    )


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Named TCP, or asyncio does not switch Nagle off on what it accepts: 40 ms for each answer.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    made.listen(128)
    return made


def _shown(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, SIGINT or, with --with-parent, the end of standard input."""
    ids = Ids(options.seed)
    keys = _keys(options, ids)
    to = Partners(
        options.send_to, options.stripe_webhook, options.twilio_incoming, options.send_invoices_to.rstrip("/"),
        options.jwks_url, options.bounces,
    )  # fmt: skip
    sandbox = build(ids, keys, to)
    listener = _listen(options.http)
    http = f"http://{_shown(listener.getsockname())}"
    sandbox.stripe.pages_url = http
    mllp = await wire.serve(sandbox.clinic.connection, *options.mllp)
    smtp = await sandbox.mailbox.server.serve(*options.smtp)
    server = uvicorn.Server(
        uvicorn.Config(sandbox.app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    if options.with_parent:
        # A killed parent runs no clean-up of its own; its end of the pipe closes all the same.
        threading.Thread(target=_follow, args=(server,), daemon=True).start()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    if server.started:
        doors = {"http": http} | {
            name: _shown(server.sockets[0].getsockname()) for name, server in (("mllp", mllp), ("smtp", smtp))
        }
        print(json.dumps(doors | {name: getattr(keys, name) for name in keys.__slots__}), flush=True)
    await serving
    mllp.close()
    smtp.close()


def _follow(server: uvicorn.Server) -> None:
    # Not sys.stdin: the interpreter cannot end while a daemon thread holds its buffer.
    while os.read(0, 4096):
        pass
    server.should_exit = True


def main(argv: list[str] | None = None) -> None:
    options = _arguments(argv)
    # uvicorn raises the signal again once it has shut down; being asked to stop is no failure here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
