"""The background thread that delivers visits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from tetralto_visits.backoff import Backoff
from tetralto_visits.config import Target
from tetralto_visits.depot import Depot
from tetralto_visits.link import Link
from tetralto_visits.parcel import LARGEST_BATCH, Sendable
from tetralto_visits.sender import BatchSender
from tetralto_visits.stats import Stats
from tetralto_visits.throttle import Throttle
from tetralto_visits.waiting import Waiting

_SECONDS_BETWEEN_BATCHES = 1.0
_SECONDS_BETWEEN_LOOKS = 30.0


class Courier:
    """Queues messages of requests and posts them from a daemon thread.

    The first message starts the thread. While the service is unavailable, messages wait on disk, or
    in memory if there is no spool. An instance belongs to one process: a forked child creates its
    own (see ``delivery``).
    """

    def __init__(self, target: Target, clock: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._clock = clock
        self._link = Link(target.service_url, target.token)
        self._throttle = Throttle()
        self._backoff = Backoff(clock)
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting = Waiting(target.queue_size)
        self._depot: Depot | None = None
        self._thread: threading.Thread | None = None
        self._next_batch_at = 0.0  # in the time of the clock, like the next two
        self._next_look_at = 0.0
        self._deadline: float | None = None  # set when the process ends
        self._stats = Stats()
        self._sender = BatchSender(
            self._link, self._backoff, self._throttle, self._lock, self._stats, self._seconds_left
        )

    def put(self, parcel: Sendable) -> None:
        """Queue one message, or drop it if the queue is full. Never waits for network or disk.

        Raises ``RuntimeError`` if no thread can be started.
        """
        waiting = self._waiting
        with self._lock:  # faster than entering the condition
            if not waiting.queued:
                self._start_thread()
            fits = waiting.add(parcel)
            if fits:
                self._stats.queued += 1
                if self._depot is not None:
                    self._depot.note(len(waiting))
                if waiting.queued in (1, LARGEST_BATCH):
                    self._changed.notify()
            else:
                self._stats.dropped += 1
        if not fits:
            self._throttle.warn("dropped", "The queue is full; new visits are dropped.")

    def could_not_build(self, error: Exception) -> None:
        """Count a failed visit. Logs only the type of the error: its message may be personal."""
        with self._changed:
            self._stats.failed += 1
        self._throttle.warn("failed", f"A visit could not be recorded: {type(error).__name__}.")

    def stats(self) -> Stats:
        """Copy the counters."""
        with self._changed:
            return replace(self._stats, waiting=len(self._waiting))

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
            left = self._waiting.take_all()
        if left and self._depot is None:  # the thread has not run yet
            self._depot = Depot(self._target, self._throttle)
        if left and not self._keep(left):
            with self._changed:
                self._stats.lost += len(left)
            self._throttle.warn("lost", f"Undelivered visits at process exit: {len(left)}.")
        if self._depot is not None:
            self._depot.close()

    def _start_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._run, name="tetralto-visits", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        self._depot = self._depot or Depot(self._target, self._throttle)
        with self._changed:
            self._note()
        while not self._is_ending():
            self._wait()
            self._work()
        self._post_waiting()
        self._link.close()

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
                self._keep_waiting()
            else:
                self._post_waiting()
            if not self._backoff.seconds_left:
                self._post_kept()
        except Exception as error:  # noqa: BLE001 - the thread must continue
            self._put_back()
            self._backoff.failed(0.0)
            self._throttle.warn("broken", f"Delivery failed: {type(error).__name__}; trying again.")

    def _seconds_to_wait(self) -> float:
        """Compute how long the thread may sleep.

        A batch is sent when it is full, or one second after the previous batch. So a visit on a
        quiet site is sent at once.
        """
        now = self._clock()
        pause = self._backoff.seconds_left
        if not self._waiting.queued:
            return max(pause, self._next_look_at - now)
        if pause and not self._can_keep():
            return pause
        if not pause and self._waiting.queued >= LARGEST_BATCH:
            return 0.0
        return min(self._next_batch_at - now, max(pause, self._next_look_at - now))

    def _post_waiting(self) -> None:
        """Post the messages that are queued now, in batches, until one fails."""
        self._next_batch_at = self._clock() + _SECONDS_BETWEEN_BATCHES
        left = self._waiting.queued
        while left > 0 and not self._backoff.seconds_left:
            with self._changed:
                batch = self._waiting.take(self._sender.batch_size)
            if not batch:
                return
            left -= len(batch)
            outcome = self._sender.send(batch, is_suspect=self._waiting.is_suspect)
            self._settle(outcome.settled)
            if outcome.has_suspect:
                self._set_apart(batch[outcome.settled])
            if self._waiting.under_way and not self._keep(self._waiting.under_way):
                self._put_back()

    def _keep_waiting(self) -> None:
        with self._changed:
            batch = self._waiting.take_all()
            self._next_batch_at = self._clock() + _SECONDS_BETWEEN_BATCHES
        if not self._keep(batch):
            self._put_back()

    def _post_kept(self) -> None:
        """Post the oldest messages on disk, of any process, if the next look is due."""
        if self._depot is None or self._clock() < self._next_look_at:
            return
        kept = self._depot.oldest(self._sender.batch_size)
        if not kept:
            self._depot.leave()
            self._next_look_at = self._clock() + _SECONDS_BETWEEN_LOOKS
            self._count_lost(self._depot.take_lost())
            return
        parcels = [one.parcel for one in kept]
        outcome = self._sender.send(parcels, is_suspect=kept[0].is_suspect)
        self._depot.remove(kept[: outcome.settled])
        if outcome.has_suspect:
            self._depot.set_apart(kept[outcome.settled])
        if outcome.settled < len(kept):
            self._depot.leave()

    def _keep(self, batch: Sequence[Sendable]) -> bool:
        """Store the current batch on disk. Returns false if that is impossible."""
        if self._depot is None or not self._depot.put(batch):
            return False
        self._next_look_at = 0.0
        with self._changed:
            self._stats.spooled += len(batch)
            self._settle(len(batch))
        return True

    def _set_apart(self, suspect: Sendable) -> None:
        """Store the first message of the current batch where it does not block others."""
        if self._depot is not None and self._depot.put([suspect], is_suspect=True):
            with self._changed:
                self._stats.spooled += 1
                self._settle(1)
        else:
            with self._changed:
                self._waiting.set_apart()

    def _can_keep(self) -> bool:
        return self._depot is not None and self._depot.is_usable

    def _seconds_left(self) -> float:
        """How long a response may take; 0 or less if the process should have ended."""
        left = self._target.timeout_seconds
        return left if self._deadline is None else min(left, self._deadline - self._clock())

    def _is_ending(self) -> bool:
        return self._deadline is not None

    def _settle(self, parcels: int) -> None:
        with self._changed:
            self._waiting.settle(parcels)
            self._note()

    def _put_back(self) -> None:
        with self._changed:
            self._waiting.put_back()

    def _note(self) -> None:
        if self._depot is not None:
            self._depot.note(len(self._waiting))

    def _count_lost(self, parcels: int) -> None:
        if parcels:
            with self._changed:
                self._stats.lost += parcels
            self._throttle.warn(
                "killed", f"A process was killed; {parcels} visits in its memory are lost."
            )
