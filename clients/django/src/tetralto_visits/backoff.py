"""Pauses between attempts after failures."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

_FIRST_PAUSE, _MAX_PAUSE, _MAX_RETRY_AFTER = 0.5, 60.0, 600.0


class Backoff:
    """Pauses that double from half a second to a minute, with jitter, or the ``Retry-After``."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._ready_at = 0.0

    @property
    def seconds_left(self) -> float:
        """Remaining seconds of the pause; 0 if there is none."""
        return max(0.0, self._ready_at - self._clock()) if self._failures else 0.0

    def failed(self, retry_after: float) -> None:
        """Start the next pause. ``retry_after`` is the value of ``Retry-After`` in seconds."""
        longest = min(_MAX_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures, 16))
        seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        self._failures += 1
        self._ready_at = self._clock() + max(seconds, min(retry_after, _MAX_RETRY_AFTER))

    def succeeded(self) -> None:
        """Reset the pauses."""
        self._failures = 0
