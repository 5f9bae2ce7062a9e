"""A service that accepts and counts all visits: ``python -m bench.sink PORT``."""

import asyncio
import gzip
import json
import sys

ids: set[str] = set()
received = 0


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer POST requests on one connection. A GET returns the counts."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        method, *lines = head.decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        answer = _counts() if method.startswith("get") else _take(json.loads(body))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        await writer.drain()


def _counts() -> bytes:
    return json.dumps({"received": received, "distinct": len(ids)}).encode()


def _take(visits: list[dict[str, str]]) -> bytes:
    global received
    received += len(visits)
    ids.update(visit["id"] for visit in visits)
    # As long as real responses.
    result = {"status": "recorded", "id": "x" * 36, "location": {"city": "x" * 500}, "error": None}
    return json.dumps({"results": [result] * len(visits)}, separators=(",", ":")).encode()


async def main(port: int) -> None:
    """Serve forever."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(quietly, "127.0.0.1", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
