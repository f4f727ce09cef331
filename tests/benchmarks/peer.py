"""For comparison: the asyncio MLLP server of PyPI's `hl7`, which parses and acknowledges, and stores nothing."""

from __future__ import annotations

import asyncio

import hl7.mllp


async def answer(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
    try:
        while True:
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await hl7.mllp.start_hl7_server(answer, "127.0.0.1", 0)
    print(f"ready mllp=127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
