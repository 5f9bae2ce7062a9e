"""Limits log messages to one per minute for each kind."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

_log = logging.getLogger("tetralto_visits")

_LOG_INTERVAL_SECONDS = 60.0


class LogThrottle:
    """Remembers when each kind of message was last logged. The number of kinds is small."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def warn(self, kind: str, message: str) -> None:
        """Log the message unless this kind was logged within the last minute."""
        with self._lock:
            now = self._clock()
            last = self._last.get(kind)
            if last is not None and now - last < _LOG_INTERVAL_SECONDS:
                self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
                return
            self._last[kind] = now
            kept_back = self._suppressed.pop(kind, 0)
        _log.warning("%s%s", message, f" ({kept_back} more since)" if kept_back else "")
