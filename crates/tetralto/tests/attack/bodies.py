"""Compressed, unfinished bodies without a token."""

from __future__ import annotations

import socket
import time
import zlib

from client import begin_connections, hang_up, request_head, send_all
from limits import ANSWER_SECONDS, CONNECTIONS, MEMORY_MB
from probe import Probe, usual_targets
from report import Report
from system import System

_ZEROS = 1_500_000


def run(system: System, report: Report, *, is_long: bool) -> None:
    """Send the start of bodies of 1.5 kB that decompress to 1.5 MB, and never finish them."""
    counts = CONNECTIONS if is_long else (400,)
    for is_callback, name in ((True, "callbacks"), (False, "all other routes with a body")):
        for count in counts:
            routes = _routes_with_bodies(system, is_callback=is_callback)
            with Probe(system, *usual_targets(system)) as probe:
                held = [
                    one
                    for number, (port, method, path, kind) in enumerate(routes)
                    for one in _begin(port, method, path, kind, _share(count, len(routes), number))
                ]
                time.sleep(12 if is_long else 3)
                hang_up(held)
            found = probe.measured
            if found.after - found.before > MEMORY_MB:
                system.renew()  # memory left by one attack must not hide the next
            attack = f"{count:,} × unfinished gzip without a token, {name}"
            report.measured(attack, found, ANSWER_SECONDS, MEMORY_MB)


Route = tuple[int, str, str, str]


def _routes_with_bodies(system: System, *, is_callback: bool) -> list[Route]:
    return [
        (port, method, path, kind)
        for service, port in system.ports.items()
        for method, path, operation in system.routes(service)
        for kind in (operation.get("requestBody") or {}).get("content", {})
        if path.startswith("/callbacks/") == is_callback
    ]


def _share(count: int, parts: int, number: int) -> int:
    return count // parts + (number < count % parts)


def _begin(port: int, method: str, path: str, kind: str, count: int) -> list[socket.socket]:
    target = path.replace("{", "").replace("}", "")
    head = request_head(
        method,
        target,
        "",
        f"Content-Type: {kind}",
        "Content-Encoding: gzip",
        "Transfer-Encoding: chunked",
    )
    packer = zlib.compressobj(9, wbits=31)
    packed = packer.compress(bytes(_ZEROS)) + packer.flush(zlib.Z_SYNC_FLUSH)
    held = begin_connections(port, count, ["127.0.0.1"])
    time.sleep(0.1)
    send_all(held, head + f"{len(packed):x}\r\n".encode() + packed + b"\r\n")
    return held
