"""Connections that say nothing, or half of something, and readers that do not read."""

from __future__ import annotations

import time

from client import ask, begin_connections, hang_up, request_head, send_all
from limits import ANSWER_SECONDS, CONNECTIONS, MEMORY_MB, TOKEN_MEMORY_MB
from probe import Probe, usual_targets
from report import Report
from system import System

_KINDS = {
    "nothing at all": b"",
    "an HTTP/2 preface and nothing": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "half a request": b"GET /health HTTP/1.1\r\nHost: a\r\n",
}
_ONE_ADDRESS = ["127.0.0.1"]
_MANY_ADDRESSES = [f"127.1.0.{number}" for number in range(1, 251)]
# More of an export than sockets hold.
_REQUESTS, _VISITS_PER_REQUEST = 40, 1_000


def run(system: System, report: Report, *, is_long: bool) -> None:
    """Hold connections for longer than a request's head may take, in the short form a moment."""
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
    """Show what 250 machines can do; a limit for each address cannot stop them."""
    found = _hold(system, CONNECTIONS[-1], b"", seconds, _MANY_ADDRESSES).measured
    report.note(
        f"{CONNECTIONS[-1]:,} silent connections from 250 addresses, not judged: others waited "
        f"{found.longest * 1000:.0f} ms at most, {found.failures} of {found.requests} failed, "
        f"memory {found.before:.0f} → {found.peak:.0f} → {found.after:.0f} MB"
    )


def _stalled_readers(system: System, report: Report) -> None:
    """Ask for more than fits into a socket, and never read it, with one token."""
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
        name = f"{count} × {path.partition('?')[0]} that nobody reads"
        report.measured(name, probe.measured, ANSWER_SECONDS, TOKEN_MEMORY_MB)


def record(system: System, site: str, visits: int) -> None:
    """Record so many visits at once."""
    visit = {
        "url": f"https://{site}/{'x' * 200}",
        "ip": "81.2.69.142",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    }
    port, token = system.ports["visitor-analytics"], system.token()
    ask(port, "POST", "/visits", token, [visit] * visits)
