"""Clients that disconnect during requests while other clients record visits and events."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
import uuid
from datetime import datetime, timezone
from typing import Any

from client import OTHERS_ADDRESS, ask, request_head
from limits import ANSWER_SECONDS, HANG_UP_SECONDS
from probe import Probe, usual_targets
from report import Report
from system import System

_fork = multiprocessing.get_context("fork")
_RECORDERS = 4
_STORM_CLIENTS = 24
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
# Endless responses.
_LEFT_OUT = ("/visits/live",)

Recorded = tuple[list[str], list[str], float, int]
"""Ids of acknowledged visits and events, the longest wait, and the number of rejections."""


def run(system: System, report: Report, *, is_long: bool) -> None:
    """Record on two replicas during the storm, and check that all acknowledged data are stored."""
    seconds = 60.0 if is_long else 7.0
    replicas = [system.start_replica()[1] for _ in range(2)]
    token = system.token()
    routes = [
        request
        for service in system.ports
        for request in _requests(system, service, replicas if "visitor" in service else [])
    ]
    stop = _fork.Event()
    reader, writer = _fork.Pipe(duplex=False)
    storm = _fork.Process(target=_storm, args=(routes, stop), daemon=True)
    recorders = [
        _fork.Process(target=_record, args=(replicas, token, number, stop, writer), daemon=True)
        for number in range(_RECORDERS)
    ]
    with Probe(system, *usual_targets(system)) as probe:
        for process in (storm, *recorders):
            process.start()
        time.sleep(seconds)
        stop.set()
        results: list[Recorded] = [reader.recv() for _ in recorders]
        for process in (storm, *recorders):
            process.join()
    time.sleep(1)
    _compare(system, report, results)
    longest = max(result[2] for result in results)
    report.waited("  longest time to record", longest, ANSWER_SECONDS * report.factor)
    report.measured("  other clients", probe.measured, ANSWER_SECONDS)
    system.stop_replicas()


def _compare(system: System, report: Report, results: list[Recorded]) -> None:
    visits = {one for result in results for one in result[0]}
    events = {one for result in results for one in result[1]}
    for table, known in (("visit", visits), ("event", events)):
        stored = set(system.sql(f"select id from visitor_analytics.{table}"))
        lost = known - stored
        name = f"disconnects after 3 to 30 ms: lost {table}s"
        report.counted(name, len(lost), len(known), "lost", sorted(lost)[:3])


def _requests(system: System, service: str, replicas: list[int]) -> list[tuple[int, bytes]]:
    """Build a request for each route, with unknown ids in the paths."""
    found = []
    for method, path, operation in system.routes(service):
        if path in _LEFT_OUT:
            continue
        target = path.replace("{domain}", "nobody.example")
        for name in ("{id}", "{user_id}"):
            target = target.replace(name, str(uuid.uuid4()))
        body = _body(path, operation)
        headers = [f"Content-Type: {kind}" for kind in list(_content(operation))[:1]]
        if method != "GET" or body:
            headers.append(f"Content-Length: {len(body)}")
        head = request_head(method, target, system.token(), *headers)
        found += [(port, head + body) for port in replicas or [system.ports[service]]]
    return found


def _content(operation: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = (operation.get("requestBody") or {}).get("content", {})
    return content


def _body(path: str, operation: dict[str, Any]) -> bytes:
    if not _content(operation):
        return b""
    known = {
        "/visits": f'{{"url":"https://storm.example/","ip":"81.2.69.160","user_agent":"{_AGENT}"}}',
        "/analytics/events": '{"event_type":"storm","site":"storm.example","user_id":"1"}',
        "/notify": '{"event":"storm","message":"storm"}',
        "/geolocate": '{"ips":["81.2.69.160"]}',
        "/visits/{id}/engagement": '{"engagement_seconds":5,"scroll_depth":5}',
    }
    return known.get(path, "{}").encode()


def _storm(requests: list[tuple[int, bytes]], stop: Any) -> None:
    asyncio.run(_storm_on(requests, stop))


async def _storm_on(requests: list[tuple[int, bytes]], stop: Any) -> None:
    async def client(seed: int) -> None:
        dice = random.Random(seed)
        while not stop.is_set():
            port, request = dice.choice(requests)
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.write(request)
            await asyncio.sleep(dice.uniform(*HANG_UP_SECONDS))
            writer.transport.abort()

    await asyncio.gather(*(client(seed) for seed in range(_STORM_CLIENTS)))


def _record(replicas: list[int], token: str, number: int, stop: Any, writer: Any) -> None:
    """Send visits and events; retry each with the same id until it is acknowledged."""
    visits: list[str] = []
    events: list[str] = []
    longest, refused, turn = 0.0, 0, 0
    while not stop.is_set():
        turn += 1
        one, is_visit = str(uuid.uuid4()), turn % 2
        moment = datetime.now(timezone.utc).isoformat()
        common = {"id": one, "timestamp": moment, "site": "shop.example", "user_agent": _AGENT}
        common["ip"] = f"81.2.{number}.{turn % 250}"
        if is_visit:
            path, body = "/visits", common | {"url": f"https://shop.example/{turn}"}
        else:
            path, body = "/analytics/events", common | {"event_type": "click"}
        begun = time.monotonic()
        while True:
            port = replicas[(turn + refused) % len(replicas)]
            answer = ask(port, "POST", path, token, body, source=OTHERS_ADDRESS)
            if answer.is_success or stop.is_set():
                break
            refused += 1
            time.sleep(0.02)
        longest = max(longest, time.monotonic() - begun)
        if answer.is_success:
            (visits if is_visit else events).append(one)
    writer.send((visits, events, longest, refused))
