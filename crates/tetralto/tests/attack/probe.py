"""The probe: sends requests like other clients during an attack, and measures time and memory."""

from __future__ import annotations

import multiprocessing
import threading
import time
from statistics import median
from types import TracebackType
from typing import NamedTuple

from client import OTHERS_ADDRESS, ask
from limits import PROBE_SECONDS, PROBE_TIMEOUT_SECONDS
from system import System

_fork = multiprocessing.get_context("fork")
Target = tuple[int, str, str]
"""A port, a path and a token."""


class Measured(NamedTuple):
    """Memory in MB, times in seconds."""

    before: float
    peak: float
    after: float
    median: float
    longest: float
    requests: int
    failures: int


class Probe:
    """Measures while its block runs. A separate process sends the requests."""

    def __init__(self, system: System, *targets: Target) -> None:
        self._system = system
        self._targets = targets
        self._stop = _fork.Event()
        self._reader, self._writer = _fork.Pipe(duplex=False)
        self._peak = 0.0
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Probe:  # noqa: PYI034 - Self is not in Python 3.10
        self._before = self._peak = self._system.memory_mb()
        self._process = _fork.Process(target=self._ask_on, daemon=True)
        self._process.start()
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        times, failures = self._reader.recv()
        self._process.join()
        self._watcher.join()
        self.measured = Measured(
            self._before,
            self._peak,
            self._system.memory_mb(),
            median(times),
            max(times),
            len(times),
            failures,
        )

    def _ask_on(self) -> None:
        times: list[float] = []
        failures = 0
        while not self._stop.wait(PROBE_SECONDS) or not times:
            port, path, token = self._targets[len(times) % len(self._targets)]
            begun = time.monotonic()
            answer = ask(
                port, "GET", path, token, source=OTHERS_ADDRESS, timeout=PROBE_TIMEOUT_SECONDS
            )
            times.append(time.monotonic() - begun)
            failures += not answer.is_success
        self._writer.send((times, failures))

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            self._peak = max(self._peak, self._system.memory_mb())


def usual_targets(system: System) -> tuple[Target, ...]:
    """Return one target per service that needs its database or its memory."""
    token = system.token()
    return (
        (system.ports["visitor-analytics"], "/visits?limit=1", token),
        (system.ports["notification"], "/rules?limit=1", token),
        (system.ports["geo"], "/geolocate?ip=81.2.69.142", token),
    )
