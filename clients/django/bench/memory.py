"""Resident memory of a site: ``python -m bench.memory MODE URL``, in bytes on standard output.

With the middleware, the service hangs and there is no spool, so the queue fills up. No two visits
have the same browser or page.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path

from bench.site import ENVIRON, Site

_REQUESTS = 12_000


def unique_headers(number: int) -> dict[str, str]:
    """Create a different browser and page for each number."""
    return {
        "HTTP_USER_AGENT": f"{ENVIRON['HTTP_USER_AGENT']} {number}",
        "HTTP_REFERER": f"https://www.example.com/products/lamp-{number}/",
        "PATH_INFO": f"/products/lamp-{number}/",
        "QUERY_STRING": f"utm_source=newsletter-{number}",
    }


def main(mode: str, url: str) -> None:
    """Request pages until the queue is full, and print the memory."""
    logging.disable(logging.CRITICAL)
    own = {"SERVICE_URL": url, "TOKEN": "a-token", "SPOOL": "off", "TIMEOUT_SECONDS": 600}
    site = Site(None if mode == "without" else own)
    for number in range(_REQUESTS):
        site.ask(**unique_headers(number))
    if mode != "without":
        import tetralto_visits

        counted = tetralto_visits.stats()
        assert counted.dropped > 0, counted
        sys.stderr.write(f"{counted.waiting} visits in the queue\n")
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    sys.stdout.write(str(pages * os.sysconf("SC_PAGE_SIZE")))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
    sys.stdout.flush()
    os._exit(0)  # skips the delivery at exit
