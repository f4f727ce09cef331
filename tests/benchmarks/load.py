"""A bounded MLLP sender: each connection sends one message, waits for its ACK, checks MSA-2, sends the next.

    load.py HOST:PORT -c CONNECTIONS -n MESSAGES [-w WARM-UP] [-r MESSAGES_A_SECOND]

Standard library only, loopback only; prints one line of JSON. With -r the connections together keep to that rate.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import socket
import sys
import time
from collections import Counter
from pathlib import Path

TEMPLATE = Path(__file__).with_name("dft_p03.hl7")


class Run:
    """What is sent and what came of it."""

    def __init__(self, template: bytes, messages: int, tag: str, rate: float) -> None:
        self.template = template
        self.left = messages
        self.tag = tag
        self.interval = 1 / rate if rate else 0.0
        self.began = time.perf_counter()
        self.sent = 0
        self.latencies: list[float] = []
        self.codes: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()

    def next(self) -> tuple[bytes, bytes, float] | None:
        """Return a control id, its frame and how many seconds to wait before sending it; None at the end."""
        if not self.left:
            return None
        self.left -= 1
        self.sent += 1
        control_id = f"{self.tag}{self.sent:07d}".encode()
        number = b"%08d" % (self.sent % 100_000)
        body = self.template.replace(b"{CTRLID}", control_id).replace(b"{MRN}", b"MR" + number)
        body = body.replace(b"{ACCT}", b"AC" + number).replace(b"{VISIT}", b"VN" + number)
        due = self.began + self.sent * self.interval
        return control_id, b"\x0b" + body + b"\x1c\r", max(0.0, due - time.perf_counter())

    def record(self, control_id: bytes, seconds: float, ack: bytes) -> None:
        """Note an ACK."""
        self.latencies.append(seconds)
        msa = ack[ack.find(b"\rMSA|") + 1 :].split(b"\r", 1)[0].split(b"|")
        self.codes[msa[1].decode() if len(msa) > 2 else "none"] += 1
        if len(msa) < 3 or msa[2] != control_id:
            self.errors["MSA-2 mismatch"] += 1


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send()

    def send(self) -> None:
        message = self.run.next()
        if message is None:
            self.transport.close()
            self.finish()
            return
        self.control_id, self.frame, wait = message
        if wait:
            self.loop.call_later(wait, self.write)
        else:
            self.write()

    def write(self) -> None:
        self.began = time.perf_counter()
        self.transport.write(self.frame)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.buffer.endswith(b"\x1c\r"):
            ack, self.buffer = self.buffer, b""
            self.run.record(self.control_id, time.perf_counter() - self.began, ack)
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.run.errors["connection lost"] += 1
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def drive(address: str, connections: int, run: Run, timeout: float) -> float:
    """Send everything and return the seconds that it took."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    run.began = began = time.perf_counter()
    made = (loop.create_connection(lambda: Sender(run), host, int(port)) for _ in range(connections))
    senders = [sender for _, sender in await asyncio.gather(*made)]
    try:
        async with asyncio.timeout(timeout):
            await asyncio.gather(*(sender.done for sender in senders))
    except TimeoutError:
        run.errors["timed out"] += 1
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("-c", "--connections", type=int, default=1)
    parser.add_argument("-n", "--messages", type=int, default=1000)
    parser.add_argument("-w", "--warm-up", type=int, default=0)
    parser.add_argument("-r", "--rate", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=60)
    given = parser.parse_args()
    if not ipaddress.ip_address(given.address.rpartition(":")[0]).is_loopback:
        sys.exit("only loopback targets are allowed")
    template = TEMPLATE.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    tag = f"{time.time_ns() // 1_000_000 % 0xFFFFFFF:X}"
    if given.warm_up:
        asyncio.run(drive(given.address, given.connections, Run(template, given.warm_up, tag + "W", 0), given.timeout))
    run = Run(template, given.messages, tag + "M", given.rate)
    seconds = asyncio.run(drive(given.address, given.connections, run, given.timeout))
    ordered = sorted(run.latencies) or [float("nan")]

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3, 3)

    figures = {
        "rate": len(run.latencies) / seconds,
        "p50": at(0.5),
        "p99": at(0.99),
        "max": at(1),
        "codes": run.codes,
        "errors": run.errors,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
