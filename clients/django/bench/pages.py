"""Measures requests in a separate process: ``python -m bench.pages MODE URL SPOOL PAUSE COUNT``.

Prints JSON with times in microseconds: the time of each request; the times of the requests that no
other process preempted (waiting for a thread of the same process counts); the CPU time of the
thread; the CPU time of the whole process per request; and the counters of the middleware.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from dataclasses import asdict
from resource import RUSAGE_THREAD, getrusage

from bench.site import Site

_WARMING_UP = 300


def main(mode: str, url: str, spool: str, pause: float, count: int) -> None:
    """Run the benchmark."""
    logging.disable(logging.CRITICAL)
    own = {"SERVICE_URL": url, "TOKEN": "a-token", "SPOOL": spool, "TIMEOUT_SECONDS": 30}
    site = Site(None if mode == "without" else own)
    for _ in range(_WARMING_UP):
        site.ask()
    gc.collect()
    took, undisturbed, busy = [], [], []
    cpu = time.process_time()
    for _ in range(count):
        if pause:
            time.sleep(pause)
        preempted = getrusage(RUSAGE_THREAD).ru_nivcsw
        began, started = time.thread_time_ns(), time.perf_counter_ns()
        site.ask()
        took.append((time.perf_counter_ns() - started) / 1000)
        busy.append((time.thread_time_ns() - began) / 1000)
        if getrusage(RUSAGE_THREAD).ru_nivcsw == preempted:
            undisturbed.append(took[-1])
    cpu = (time.process_time() - cpu) / count * 1e6
    counted = {}
    if mode != "without":
        import tetralto_visits

        counted = asdict(tetralto_visits.stats())
    found = {"took": took, "undisturbed": undisturbed, "busy": busy, "cpu": cpu, "stats": counted}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
