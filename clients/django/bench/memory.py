"""Resident memory of a site: ``python -m bench.memory MODE URL``, in bytes on standard output.

With the middleware the service hangs and there is no disk, so the queue is full.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path

from bench.site import Site

_REQUESTS = 12_000


def main(mode: str, url: str) -> None:
    """Ask for pages until the queue is full, and look."""
    logging.disable(logging.CRITICAL)
    own = {"SERVICE_URL": url, "TOKEN": "a-token", "SPOOL": "off", "TIMEOUT_SECONDS": 600}
    site = Site(None if mode == "without" else own)
    for _ in range(_REQUESTS):
        site.ask()
    if mode != "without":
        import tetralto_visits

        counted = tetralto_visits.stats()
        assert counted.dropped > 0, counted
        sys.stderr.write(f"{counted.waiting} visits wait\n")
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sys.stdout.write(str(pages * os.sysconf("SC_PAGE_SIZE")))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # nothing is worth waiting for
