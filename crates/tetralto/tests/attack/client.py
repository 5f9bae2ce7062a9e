"""HTTP client of the attacks: sends targets unchanged, from any source address, without retries."""

from __future__ import annotations

import errno
import http.client
import json
import socket
import struct
import time
from contextlib import suppress
from typing import Any, NamedTuple

OTHERS_ADDRESS = "127.0.0.2"
"""Source address of the probe and the recorders, so that limits per address do not affect them."""


class Answer(NamedTuple):
    """A response. The status is 0 if there was none."""

    status: int
    body: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    port: int,
    method: str,
    target: str,
    token: str = "",
    body: object = None,
    *,
    kind: str = "application/json",
    source: str = "127.0.0.1",
    timeout: float = 30.0,
) -> Answer:
    """Send one request on a new connection. ``body`` is sent as JSON unless it is bytes."""
    headers = {"Content-Type": kind} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=timeout, source_address=(source, 0)
    )
    try:
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        if response.headers.get_content_type() == "text/event-stream":  # never ends
            return Answer(response.status, "")
        return Answer(response.status, response.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, type(error).__name__)
    finally:
        connection.close()


def request_head(method: str, target: str, token: str, *headers: str) -> bytes:
    """Build the head of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def begin_connections(port: int, count: int, addresses: list[str]) -> list[socket.socket]:
    """Open connections from these addresses in turn, without waiting until they are accepted."""
    begun = []
    for number in range(count):
        one = socket.socket()
        one.setblocking(False)
        try:
            one.bind((addresses[number % len(addresses)], 0))
            one.connect_ex(("127.0.0.1", port))
        except OSError:
            one.close()
            break
        begun.append(one)
    return begun


def send_all(connections: list[socket.socket], content: bytes, seconds: float = 3.0) -> None:
    """Send the same content on each connection that is accepted within ``seconds``."""
    deadline = time.monotonic() + seconds
    while connections and time.monotonic() < deadline:
        connections = [one for one in connections if not _is_sent(one, content)]
        time.sleep(0.05)


def _is_sent(connection: socket.socket, content: bytes) -> bool:
    try:
        connection.send(content)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno != errno.ENOTCONN
    return True


def hang_up(connections: list[socket.socket]) -> None:
    """Close the connections with a reset."""
    for one in connections:
        with suppress(OSError):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()
