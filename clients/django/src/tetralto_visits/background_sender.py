"""The background thread that delivers visits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tetralto_visits.backoff import Backoff
from tetralto_visits.batch_sender import BatchSender
from tetralto_visits.config import Target
from tetralto_visits.connection import Connection
from tetralto_visits.durable_queue import DurableQueue
from tetralto_visits.log_throttle import LogThrottle
from tetralto_visits.memory_queue import MemoryQueue
from tetralto_visits.message import MAX_BATCH_SIZE, Sendable
from tetralto_visits.stats import Stats

_log = logging.getLogger("tetralto_visits")

_BATCH_INTERVAL_SECONDS = 1.0
_SPOOL_POLL_SECONDS = 30.0


class BackgroundSender:
    """Queues messages of requests and posts them from a daemon thread.

    The first message starts the thread. While the service is unavailable, messages wait on disk, or
    in memory if there is no spool. An instance belongs to one process: a forked child creates its
    own (see ``registry``).
    """

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._clock = clock
        self._connection = Connection(target.service_url, target.token)
        self._throttle = LogThrottle()
        self._backoff = Backoff(clock)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._queue = MemoryQueue(target.queue_size)
        self._durable_queue: DurableQueue | None = None
        self._thread: threading.Thread | None = None
        self._next_batch_at = 0.0  # in the time of the clock, like the next two
        self._next_poll_at = 0.0
        self._deadline: float | None = None  # set when the process ends
        self._stats = Stats()
        self._sender = BatchSender(
            self._connection,
            self._backoff,
            self._throttle,
            self._lock,
            self._stats,
            self._seconds_left,
        )

    def put(self, message: Sendable) -> None:
        """Queue one message, or drop it if the queue is full. Never waits for network or disk.

        Raises ``RuntimeError`` if no thread can be started.
        """
        queue = self._queue
        with self._lock:  # faster than entering the condition
            if not queue.queued:
                self._start_thread()
            fits = queue.add(message)
            if fits:
                self._stats.queued += 1
                if self._durable_queue is not None:
                    self._durable_queue.set_in_flight(len(queue))
                if queue.queued in (1, MAX_BATCH_SIZE):
                    self._changed.notify()
            else:
                self._stats.dropped += 1
        if not fits:
            self._throttle.warn("dropped", "The queue is full; new visits are dropped.")

    def record_failure(self, error: Exception) -> None:
        """Count a failed visit. Logs only the type of the error: its message may be personal."""
        with self._changed:
            self._stats.failed += 1
        self._throttle.warn("failed", f"A visit could not be recorded: {type(error).__name__}.")

    def stats(self) -> Stats:
        """Copy the counters."""
        with self._changed:
            return replace(self._stats, waiting=len(self._queue))

    def close(self, seconds: float) -> None:
        """Deliver queued messages for some seconds. Store the rest on disk, or count it as lost."""
        with self._changed:
            if self._is_ending():
                return
            self._deadline = self._clock() + seconds
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
        with self._changed:
            left = self._queue.take_all()
        if left and self._durable_queue is None:  # the thread has not run yet
            self._durable_queue = DurableQueue(self._target, self._throttle)
        if left and not self._store(left):
            with self._changed:
                self._stats.lost += len(left)
            self._throttle.warn("lost", f"Undelivered visits at process exit: {len(left)}.")
        if self._durable_queue is not None:
            self._durable_queue.close()

    def _start_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="tetralto-visits", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        if self._durable_queue is None:
            durable_queue = DurableQueue(self._target, self._throttle)
            with self._changed:
                self._durable_queue = durable_queue
                self._update_in_flight()
            durable_queue.publish_in_flight()
        while not self._is_ending():
            self._wait()
            self._work()
        self._post_queue()
        self._connection.close()

    def _wait(self) -> None:
        """Wait until there is work."""
        with self._changed:
            while not self._is_ending() and (seconds := self._seconds_to_wait()) > 0:
                self._changed.wait(seconds)

    def _work(self) -> None:
        """Post queued messages, or store them on disk while the service is unavailable."""
        if self._is_ending():
            return
        try:
            if self._backoff.seconds_left:
                self._store_queue()
            else:
                self._post_queue()
            if not self._backoff.seconds_left:
                self._post_spool()
        except Exception as error:  # noqa: BLE001 - the thread must continue
            self._requeue()
            self._backoff.failed(0.0)
            self._throttle.warn("broken", f"Delivery failed: {type(error).__name__}; trying again.")

    def _seconds_to_wait(self) -> float:
        """Compute how long the thread may sleep.

        A batch is sent when it is full, or one second after the previous batch. So a visit on a
        quiet site is sent at once.
        """
        now = self._clock()
        pause = self._backoff.seconds_left
        if not self._queue.queued:
            return max(pause, self._next_poll_at - now)
        if pause and not self._can_store():
            return pause
        if not pause and self._queue.queued >= MAX_BATCH_SIZE:
            return 0.0
        return min(self._next_batch_at - now, max(pause, self._next_poll_at - now))

    def _post_queue(self) -> None:
        """Post the messages that are queued now, in batches, until one fails."""
        self._next_batch_at = self._clock() + _BATCH_INTERVAL_SECONDS
        left = self._queue.queued
        while left > 0 and not self._backoff.seconds_left:
            with self._changed:
                batch = self._queue.take(self._sender.batch_size)
            if not batch:
                return
            left -= len(batch)
            outcome = self._sender.send(batch, is_suspect=self._queue.is_suspect)
            self._settle(outcome.settled)
            if outcome.has_suspect:
                self._set_apart(batch[outcome.settled])
            if self._queue.in_flight and not self._store(self._queue.in_flight):
                self._requeue()

    def _store_queue(self) -> None:
        with self._changed:
            batch = self._queue.take_all()
            self._next_batch_at = self._clock() + _BATCH_INTERVAL_SECONDS
        if not self._store(batch):
            self._requeue()

    def _post_spool(self) -> None:
        """Post the oldest messages on disk, of any process, if the next look is due."""
        if self._durable_queue is None or self._clock() < self._next_poll_at:
            return
        stored = self._durable_queue.oldest(self._sender.batch_size)
        if not stored:
            self._durable_queue.release()
            self._next_poll_at = self._clock() + _SPOOL_POLL_SECONDS
            self._report_lost(self._durable_queue.take_lost())
            return
        messages = [one.message for one in stored]
        outcome = self._sender.send(messages, is_suspect=stored[0].is_suspect)
        self._durable_queue.remove(stored[: outcome.settled])
        if outcome.has_suspect:
            self._durable_queue.postpone(stored[outcome.settled])
        if outcome.settled < len(stored):
            self._durable_queue.release()

    def _store(self, batch: Sequence[Sendable]) -> bool:
        """Store the current batch on disk. Returns false if that is impossible."""
        if self._durable_queue is None or not self._durable_queue.put(batch):
            return False
        self._next_poll_at = 0.0
        with self._changed:
            self._stats.spooled += len(batch)
            self._settle(len(batch))
        return True

    def _set_apart(self, suspect: Sendable) -> None:
        """Store the first message of the current batch where it does not block others."""
        if self._durable_queue is not None and self._durable_queue.put([suspect], is_suspect=True):
            with self._changed:
                self._stats.spooled += 1
                self._settle(1)
        else:
            with self._changed:
                self._queue.set_apart()

    def _can_store(self) -> bool:
        return self._durable_queue is not None and self._durable_queue.is_usable

    def _seconds_left(self) -> float:
        """How long a response may take; 0 or less if the process should have ended."""
        left = self._target.timeout_seconds
        return left if self._deadline is None else min(left, self._deadline - self._clock())

    def _is_ending(self) -> bool:
        return self._deadline is not None

    def _settle(self, messages: int) -> None:
        with self._changed:
            self._queue.settle(messages)
            self._update_in_flight()

    def _requeue(self) -> None:
        with self._changed:
            self._queue.requeue()

    def _update_in_flight(self) -> None:
        if self._durable_queue is not None:
            self._durable_queue.set_in_flight(len(self._queue))

    def _report_lost(self, messages: int) -> None:
        if messages:
            with self._changed:
                self._stats.lost += messages
            # Not throttled: the sum of these lines is the number of lost visits.
            _log.warning("%d visits in the memory of a killed process are lost.", messages)
