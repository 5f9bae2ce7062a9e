"""A replica that stops inside a transaction: frozen, or disconnected without a FIN."""

from __future__ import annotations

import select
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

from client import OTHERS_ADDRESS, ask
from limits import ANSWER_SECONDS, FROZEN_SECONDS
from report import Report
from system import System, free_port

_ATTEMPTS, _SHORT_ATTEMPTS = 400, 40
_GIVE_UP_SECONDS = 2 * FROZEN_SECONDS
_RECORDERS = 6
_VISITORS = 3
_VISITS = 60
# Counts transactions that are idle for longer than usual and hold an advisory lock.
_RESTING = (
    "select count(*) from pg_stat_activity as a where state like 'idle in transaction%'"
    " and state_change < clock_timestamp() - interval '0.3 seconds' and exists"
    " (select from pg_locks as l where l.pid = a.pid and l.locktype = 'advisory' and l.granted)"
)
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


def run(system: System, report: Report, *, is_long: bool) -> None:
    """Stop one of two replicas inside a transaction; measure how long the other cannot record."""
    _frozen(system, report, _ATTEMPTS if is_long else _SHORT_ATTEMPTS)
    if is_long:
        _cut_off(system, report)


def _frozen(system: System, report: Report, attempts: int) -> None:
    name = "a replica frozen (SIGSTOP) inside a transaction"
    limit = FROZEN_SECONDS + ANSWER_SECONDS * report.factor
    victim, victim_port = system.start_replica()
    _, other_port = system.start_replica()
    with _Load(system, [victim_port, other_port]):
        is_inside = _stop_inside(
            system,
            lambda: victim.send_signal(signal.SIGSTOP),
            lambda: victim.send_signal(signal.SIGCONT),
            attempts,
        )
        if is_inside:
            report.waited(name, _time_to_record(system, other_port), limit)
        else:
            report.skipped(name, f"never stopped inside a transaction in {attempts} attempts")
        victim.send_signal(signal.SIGCONT)
    system.stop_replicas()


def _cut_off(system: System, report: Report) -> None:
    """Cut a relay between a replica and PostgreSQL without closing the connections."""
    name = "a replica disconnected without a FIN inside a transaction"
    limit = FROZEN_SECONDS + ANSWER_SECONDS * report.factor
    relay = _Relay(f"{system.postgres_socket}/.s.PGSQL.5432")
    url = f"postgres://tetralto@127.0.0.1:{relay.port}/tetralto?sslmode=disable"
    victim, victim_port = system.start_replica(url)
    _, other_port = system.start_replica()
    try:
        with _Load(system, [victim_port, other_port]):
            if _stop_inside(system, relay.cut, relay.mend, _ATTEMPTS):
                victim.kill()
                report.waited(name, _time_to_record(system, other_port), limit)
            else:
                report.skipped(name, f"never stopped inside a transaction in {_ATTEMPTS} attempts")
    finally:
        relay.close()
        system.stop_replicas()


def _stop_inside(
    system: System, stop: Callable[[], object], resume: Callable[[], object], attempts: int
) -> bool:
    """Stop the replica repeatedly until it stops inside a transaction."""
    for attempt in range(attempts):
        time.sleep(0.05 + attempt % 7 * 0.003)
        stop()
        time.sleep(0.4)
        if system.sql(_RESTING) != ["0"]:
            return True
        resume()
    return False


def _time_to_record(system: System, port: int) -> float:
    """Record visits, with retries, and return the time until they are recorded."""
    begun = time.monotonic()
    while (left := begun + _GIVE_UP_SECONDS - time.monotonic()) > 0:
        if _record(port, system.token(), left):
            break
        time.sleep(0.05)
    return time.monotonic() - begun


def _record(port: int, token: str, timeout: float = _GIVE_UP_SECONDS) -> bool:
    """Record visits of a few visitors. All clients use the same ones, and each has a lock."""
    moment = datetime.now(timezone.utc).isoformat()
    visits = [
        {
            "id": str(uuid.uuid4()),
            "timestamp": moment,
            "url": f"https://shop.example/{number}",
            "ip": f"81.2.69.{number % _VISITORS}",
            "user_agent": _AGENT,
        }
        for number in range(_VISITS)
    ]
    answer = ask(port, "POST", "/visits", token, visits, source=OTHERS_ADDRESS, timeout=timeout)
    return answer.is_success


class _Load:
    """Clients of both replicas, so that no replica gets the exclusive lease."""

    def __init__(self, system: System, ports: list[int]) -> None:
        self._done = threading.Event()
        token = system.token()

        def record_on(port: int) -> None:
            while not self._done.is_set():
                _record(port, token)

        self._threads = [
            threading.Thread(target=record_on, args=(ports[number % 2],), daemon=True)
            for number in range(_RECORDERS)
        ]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()


class _Relay:
    """Relays connections to a Unix socket. When cut, it keeps them open but forwards nothing."""

    def __init__(self, path: str) -> None:
        self.port = free_port()
        self._path = path
        self._is_cut = threading.Event()
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut.set()

    def mend(self) -> None:
        self._is_cut.clear()

    def close(self) -> None:
        self._is_over.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._path)
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        while not self._is_over.is_set():
            if self._is_cut.is_set():
                time.sleep(0.05)
                continue
            readable, _, _ = select.select([near, far], [], [], 0.05)
            for one in readable if not self._is_cut.is_set() else []:
                try:
                    content = one.recv(65536)
                    if content:
                        (far if one is near else near).sendall(content)
                        continue
                except OSError:
                    pass
                near.close()
                far.close()
                return
        near.close()
        far.close()
