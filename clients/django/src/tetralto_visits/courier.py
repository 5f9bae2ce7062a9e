"""The thread that delivers what requests have noted."""

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
    """Takes parcels from requests and posts them from a daemon thread, started by the first one.

    While the service is away they wait in the depot, where there is one, else in memory. Belongs
    to one process: a forked child makes its own (see ``delivery``).
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
        self._next_batch_at = 0.0  # by the clock, like what follows
        self._next_look_at = 0.0
        self._deadline: float | None = None  # set when the process is ending
        self._stats = Stats()
        self._sender = BatchSender(
            self._link, self._backoff, self._throttle, self._lock, self._stats, self._seconds_left
        )

    def put(self, parcel: Sendable) -> None:
        """Queue one parcel, or drop it when the queue is full; never waits for network or disk.

        ``RuntimeError`` when no thread can be started.
        """
        waiting = self._waiting
        with self._lock:  # entered faster than the condition
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
            self._throttle.warn("dropped", "The queue is full: visits are being dropped.")

    def could_not_build(self, error: Exception) -> None:
        """Count what could not be written down. The message of the error may hold an address."""
        with self._changed:
            self._stats.failed += 1
        self._throttle.warn("failed", f"A visit could not be noted: {type(error).__name__}.")

    def stats(self) -> Stats:
        """Copy the counters."""
        with self._changed:
            return replace(self._stats, waiting=len(self._waiting))

    def close(self, seconds: float) -> None:
        """Deliver what waits within so many seconds; keep the rest on disk, or count it as lost."""
        with self._changed:
            if self._is_ending():
                return
            self._deadline = self._clock() + seconds
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
        with self._changed:
            left = self._waiting.take_all()
        if left and self._depot is None:  # the thread never came to it
            self._depot = Depot(self._target, self._throttle)
        if left and not self._keep(left):
            with self._changed:
                self._stats.lost += len(left)
            self._throttle.warn("lost", f"The process ends with {len(left)} visits undelivered.")
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
        """Wait until there is something to do."""
        with self._changed:
            while not self._is_ending() and (seconds := self._seconds_to_wait()) > 0:
                self._changed.wait(seconds)

    def _work(self) -> None:
        """Post what waits, or keep it while the service is away."""
        if self._is_ending():
            return
        try:
            if self._backoff.seconds_left:
                self._keep_waiting()
            else:
                self._post_waiting()
            if not self._backoff.seconds_left:
                self._post_kept()
        except Exception as error:  # noqa: BLE001 - the thread must outlive it
            self._put_back()
            self._backoff.failed(0.0)
            self._throttle.warn("broken", f"Visits are not delivered: {type(error).__name__}.")

    def _seconds_to_wait(self) -> float:
        """See how long there is nothing to do.

        A batch is gathered until it is full or a second after the last one, so a visit on a quiet
        site leaves at once.
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
        """Post what is queued at this moment, batch by batch, until one fails."""
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
        """Post what has been kept longest, of this process or another, when it is time to."""
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
        """Keep on disk what is under way; false when that is impossible."""
        if self._depot is None or not self._depot.put(batch):
            return False
        self._next_look_at = 0.0
        with self._changed:
            self._stats.spooled += len(batch)
            self._settle(len(batch))
        return True

    def _set_apart(self, suspect: Sendable) -> None:
        """Keep the first that is under way where it does not hold up the others."""
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
        """How long an answer may take; 0 or less once the process should have ended."""
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
                "killed", f"{parcels} visits were only in memory when a process was killed."
            )
