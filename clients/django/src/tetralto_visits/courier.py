"""A bounded queue of visits and the thread that delivers them."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from dataclasses import replace
from itertools import count

from tetralto_visits.config import Target
from tetralto_visits.link import Accepted, Link, Refused, Unavailable
from tetralto_visits.stats import Stats
from tetralto_visits.throttle import Throttle

LARGEST_BATCH = 100
_LARGEST_BODY = 512 * 1024
_LARGEST_QUEUE_BYTES = 16 * 1024 * 1024
_SECONDS_BETWEEN_BATCHES = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_ASKED_PAUSE = 0.5, 60.0, 600.0
# A batch that makes the service fail each time must not block the others for ever.
_MOST_ERRORS_500 = 10


class Courier:
    """Takes visits from requests and posts them from a daemon thread, started by the first one.

    Belongs to one process: a forked child makes its own (see ``delivery``).
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._link = Link(target.service_url, target.token)
        self._throttle = Throttle()
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()
        self._queue_bytes = 0
        self._under_way = 0
        self._thread: threading.Thread | None = None
        self._next_batch_at = 0.0  # monotonic
        self._deadline: float | None = None  # monotonic; set when the process is ending
        self._stats = Stats()

    def put(self, visit: bytes) -> None:
        """Queue one visit as JSON, or drop it when the queue is full; never waits for the network.

        ``RuntimeError`` when no thread can be started.
        """
        with self._changed:
            fits = (
                len(self._queue) + self._under_way < self._target.queue_size
                and self._queue_bytes + len(visit) <= _LARGEST_QUEUE_BYTES
            )
            if fits:
                self._start_thread()
                self._queue.append(visit)
                self._queue_bytes += len(visit)
                self._stats.queued += 1
                if len(self._queue) in (1, LARGEST_BATCH):
                    self._changed.notify()
            else:
                self._stats.dropped += 1
        if not fits:
            self._throttle.warn("dropped", "The queue is full: visits are being dropped.")

    def could_not_build(self, error: Exception) -> None:
        """Count a visit that could not be written down. The message may hold an address."""
        with self._changed:
            self._stats.failed += 1
        self._throttle.warn("failed", f"A visit could not be noted: {type(error).__name__}.")

    def stats(self) -> Stats:
        """Copy the counters."""
        with self._changed:
            return replace(self._stats, waiting=len(self._queue) + self._under_way)

    def close(self, seconds: float) -> None:
        """Deliver what waits within so many seconds; the rest is counted and logged as lost."""
        with self._changed:
            if self._is_ending():
                return
            self._deadline = time.monotonic() + seconds
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
        with self._changed:
            left = len(self._queue) + self._under_way
            self._stats.lost += left
        if left:
            self._throttle.warn("lost", f"The process ends with {left} visits undelivered.")

    def _start_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="tetralto-visits", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while batch := self._take():
            try:
                is_done = self._deliver(b"[" + b",".join(batch) + b"]", len(batch))
            except Exception as error:  # noqa: BLE001 - the thread must outlive a bad batch
                self._refused(len(batch), type(error).__name__)
                is_done = True
            if not is_done:
                break
            with self._changed:
                self._under_way = 0
        self._link.close()

    def _take(self) -> list[bytes]:
        """Wait for visits and gather them until a batch is full or a second after the last one.

        So a visit on a quiet site leaves at once. Empty when it is time to end.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._is_ending())
            self._changed.wait_for(
                lambda: len(self._queue) >= LARGEST_BATCH or self._is_ending(),
                self._next_batch_at - time.monotonic(),
            )
            self._next_batch_at = time.monotonic() + _SECONDS_BETWEEN_BATCHES
            batch: list[bytes] = []
            size = 0
            while self._queue and len(batch) < LARGEST_BATCH:
                size += len(self._queue[0])
                if batch and size > _LARGEST_BODY:
                    break
                batch.append(self._queue.popleft())
                self._queue_bytes -= len(batch[-1])
            self._under_way = len(batch)
            return batch

    def _deliver(self, body: bytes, visits: int) -> bool:
        """Post until there is an answer; false when the process ends before that."""
        errors_500 = 0
        for attempt in count():
            answer = self._link.post(body, self._timeout())
            if isinstance(answer, Accepted):
                self._accepted(answer)
                return True
            errors_500 += answer.reason == "HTTP 500"
            if isinstance(answer, Refused) or errors_500 >= _MOST_ERRORS_500:
                self._refused(visits, answer.reason)
                return True
            if not self._pause(attempt, answer):
                return False
        raise AssertionError("count() does not end")

    def _timeout(self) -> float:
        left = self._target.timeout_seconds
        if self._deadline is not None:
            left = min(left, self._deadline - time.monotonic())
        return max(left, 0.05)

    def _pause(self, attempt: int, answer: Unavailable) -> bool:
        """Wait before the same batch goes again; false when the process is ending."""
        self._throttle.warn(
            "unavailable", f"Visits cannot be delivered ({answer.reason}); trying again."
        )
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 16))
        seconds = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        seconds = max(seconds, min(answer.retry_after, _LONGEST_ASKED_PAUSE))
        with self._changed:
            if self._is_ending():
                return False
            self._stats.retries += 1
            self._changed.wait_for(self._is_ending, seconds)
            return True

    def _is_ending(self) -> bool:
        return self._deadline is not None

    def _accepted(self, answer: Accepted) -> None:
        statuses = [result.get("status") for result in answer.results]
        with self._changed:
            self._stats.recorded += statuses.count("recorded")
            self._stats.duplicate += statuses.count("duplicate")
            self._stats.rejected += statuses.count("rejected")
        if "rejected" in statuses:
            error = answer.results[statuses.index("rejected")].get("error") or {}
            self._throttle.warn("rejected", f"Visits were rejected: {error.get('code')}.")

    def _refused(self, visits: int, reason: str) -> None:
        with self._changed:
            self._stats.refused += visits
        self._throttle.warn("refused", f"Visits were refused and dropped: {reason}.")
