"""Times requests in a process of its own: ``python -m bench.pages MODE URL SPOOL PAUSE COUNT``.

Prints as JSON how many microseconds each request took, how many of them its thread was running
(which does not depend on what else runs on the machine), the CPU of the whole process by request,
and the counters of the middleware.
"""

from __future__ import annotations

import gc
import json
import logging
import sys
import time
from dataclasses import asdict

from bench.site import Site

_WARMING_UP = 300


def main(mode: str, url: str, spool: str, pause: float, count: int) -> None:
    """Measure."""
    logging.disable(logging.CRITICAL)
    own = {"SERVICE_URL": url, "TOKEN": "a-token", "SPOOL": spool, "TIMEOUT_SECONDS": 30}
    site = Site(None if mode == "without" else own)
    for _ in range(_WARMING_UP):
        site.ask()
    gc.collect()
    took, busy = [], []
    cpu = time.process_time()
    for _ in range(count):
        if pause:
            time.sleep(pause)
        began, started = time.thread_time_ns(), time.perf_counter_ns()
        site.ask()
        took.append((time.perf_counter_ns() - started) / 1000)
        busy.append((time.thread_time_ns() - began) / 1000)
    cpu = (time.process_time() - cpu) / count * 1e6
    counted = {}
    if mode != "without":
        import tetralto_visits

        counted = asdict(tetralto_visits.stats())
    json.dump({"took": took, "busy": busy, "cpu": cpu, "stats": counted}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]))
