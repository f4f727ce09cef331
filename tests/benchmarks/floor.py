"""The floor under an MLLP intake: read a frame, insert it durably, ACK, and nothing else. What remains is the product.

SQLite, WAL, synchronous=FULL, one commit for all frames of one turn of the loop; plain asyncio; loopback only.
Prints its address.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time

INSERT = "INSERT INTO message(control_id, at, body) VALUES (?, ?, ?)"


class Floor(asyncio.Protocol):
    """One connection; the batch that waits belongs to all."""

    waiting: list[tuple[asyncio.Transport, tuple[str, float, bytes], bytes]] = []  # noqa: RUF012
    database: sqlite3.Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, bytearray()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\x1c\r")) >= 0:
            message = bytes(self.buffer[1:end])
            del self.buffer[: end + 2]
            msh = message[: message.find(b"\r")].split(b"|")
            now = time.strftime("%Y%m%d%H%M%S").encode()
            swapped = [b"MSH", msh[1], msh[4], msh[5], msh[2], msh[3], now, b"", b"ACK^P03^ACK", b"A" + msh[9], b"P"]
            ack = b"\x0b" + b"|".join([*swapped, b"2.5.1"]) + b"\rMSA|AA|" + msh[9] + b"\r\x1c\r"
            if not Floor.waiting:
                asyncio.get_running_loop().call_soon(Floor.flush)
            Floor.waiting.append((self.transport, (msh[9].decode(), time.time(), message), ack))

    @classmethod
    def flush(cls) -> None:
        batch, cls.waiting = cls.waiting, []
        cls.database.execute("BEGIN IMMEDIATE")
        cls.database.executemany(INSERT, [row for _, row, _ in batch])
        cls.database.execute("COMMIT")
        for transport, _, ack in batch:
            transport.write(ack)


async def main() -> None:
    Floor.database = database = sqlite3.connect(f"{sys.argv[1]}/floor.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE message(id INTEGER PRIMARY KEY, control_id TEXT, at REAL, body BLOB)")
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", 0)
    print(f"ready mllp=127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
