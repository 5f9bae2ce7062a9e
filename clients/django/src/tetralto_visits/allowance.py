"""How often an address may report in a minute."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_MOST_ADDRESSES = 4096


class Allowance:
    """Counts by address within each minute, in this process, for a bounded number of addresses."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}

    def take(self, address: str, most: int) -> bool:
        """Count one report; false when the address has had its share of this minute."""
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute = minute
                self._counts.clear()
            count = self._counts.get(address, 0)
            if count >= most or (not count and len(self._counts) >= _MOST_ADDRESSES):
                return False
            self._counts[address] = count + 1
            return True
