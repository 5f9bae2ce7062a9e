"""Rate limit for the reports of the page script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_MAX_NETWORKS = 4096
# A household or server gets at least a /64 (RFC 6177) and can use all of its addresses.
_IPV6_PREFIX = 64


class RateLimiter:
    """Counts reports by network and minute, in this process, for a bounded number of networks.

    If the table is full, the network that reported longest ago is removed and starts at zero again.
    A client with many networks can therefore never block the reports of others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}

    def try_acquire(self, address: str, most: int) -> bool:
        """Count one report. Returns false if the network has reached its limit for this minute."""
        network = network_of(address)
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            # Removed and inserted again, so that the dictionary is sorted by the last report.
            count = self._counts.pop(network, 0)
            if len(self._counts) >= _MAX_NETWORKS:
                del self._counts[next(iter(self._counts))]
            is_allowed = count < most
            self._counts[network] = count + is_allowed
            return is_allowed


@lru_cache(maxsize=256)
def network_of(address: str) -> str:
    """Return the unit of the limit: an IPv4 address, or the /64 of an IPv6 address."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return f"{int(parsed) >> (128 - _IPV6_PREFIX):x}/64"
    return address
