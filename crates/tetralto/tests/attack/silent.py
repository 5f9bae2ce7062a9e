"""Connections that send nothing or half a request, and clients that do not read the response."""

from __future__ import annotations

import time

from client import ask, begin_connections, hang_up, request_head, send_all
from limits import ANSWER_SECONDS, CONNECTIONS, MEMORY_MB, TOKEN_MEMORY_MB
from probe import Probe, usual_targets
from report import Report
from system import System

_KINDS = {
    "silent connection": b"",
    "HTTP/2 preface only": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "incomplete request": b"GET /health HTTP/1.1\r\nHost: a\r\n",
}
_ONE_ADDRESS = ["127.0.0.1"]
_MANY_ADDRESSES = [f"127.1.0.{number}" for number in range(1, 251)]
# An export that is larger than the socket buffers.
_REQUESTS, _VISITS_PER_REQUEST = 40, 1_000


def run(system: System, report: Report, *, is_long: bool) -> None:
    """Hold connections for longer than the idle timeout; only for seconds in the short run."""
    seconds = 35.0 if is_long else 6.0
    kinds = _KINDS if is_long else dict(list(_KINDS.items())[:2])
    for kind, content in kinds.items():
        for count in CONNECTIONS if is_long or not content else CONNECTIONS[-1:]:
            moment = seconds if count == CONNECTIONS[-1] else seconds / 4
            found = _hold(system, count, content, moment, _ONE_ADDRESS)
            report.measured(f"{count:,} × {kind}", found.measured, ANSWER_SECONDS, MEMORY_MB)
    if is_long:
        _hold_from_many(system, report, seconds)
        _stalled_readers(system, report)


def _hold(
    system: System, count: int, content: bytes, seconds: float, addresses: list[str]
) -> Probe:
    with Probe(system, *usual_targets(system)) as probe:
        held = begin_connections(system.ports["visitor-analytics"], count, addresses)
        time.sleep(0.5)
        if content:
            send_all(held, content)
        time.sleep(seconds)
        hang_up(held)
    return probe


def _hold_from_many(system: System, report: Report, seconds: float) -> None:
    """Measure an attack from 250 addresses, which a limit per address cannot stop."""
    found = _hold(system, CONNECTIONS[-1], b"", seconds, _MANY_ADDRESSES).measured
    report.note(
        f"{CONNECTIONS[-1]:,} silent connections from 250 addresses (not checked): latency of "
        f"others at most {found.longest * 1000:.0f} ms, {found.failures} of {found.requests} "
        f"failed, memory {found.before:.0f} → {found.peak:.0f} → {found.after:.0f} MB"
    )


def _stalled_readers(system: System, report: Report) -> None:
    """With one token, request more than fits into a socket, and never read the response."""
    port, stranger = system.ports["visitor-analytics"], system.token(["visits:read"], "a.example")
    for _ in range(_REQUESTS):
        record(system, "a.example", _VISITS_PER_REQUEST)
    record(system, "b.example", 1)
    owner = system.token()
    export = (port, "/export/visits?site=b.example", owner)
    live = (port, "/visits/live?site=b.example", owner)
    for count, path in ((8, "/export/visits?site=a.example"), (100, "/visits/live?site=a.example")):
        with Probe(system, *usual_targets(system), export, live) as probe:
            held = begin_connections(port, count, _ONE_ADDRESS)
            time.sleep(0.5)
            send_all(held, request_head("GET", path, stranger))
            time.sleep(10)
            hang_up(held)
        name = f"{count} × {path.partition('?')[0]} without reading"
        report.measured(name, probe.measured, ANSWER_SECONDS, TOKEN_MEMORY_MB)


def record(system: System, site: str, visits: int) -> None:
    """Record visits in one request."""
    visit = {
        "url": f"https://{site}/{'x' * 200}",
        "ip": "81.2.69.142",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    }
    port, token = system.ports["visitor-analytics"], system.token()
    ask(port, "POST", "/visits", token, [visit] * visits)
