"""Posts batches, and finds the message for which a batch is rejected or fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import NamedTuple

from tetralto_visits.answers import Accepted, Answer, Refused, TooLarge, Unavailable, judge
from tetralto_visits.backoff import Backoff
from tetralto_visits.link import Link
from tetralto_visits.parcel import LARGEST_BATCH, Sendable, body_of
from tetralto_visits.stats import Stats
from tetralto_visits.throttle import Throttle

# A message that always makes the service fail must not block the others. After this many suspicious
# failures in a row, messages are sent one by one, and the one that fails is set apart.
_MAX_SUSPICIOUS_FAILURES = 10
_SHORTEST_TIMEOUT_SECONDS = 0.05


class Outcome(NamedTuple):
    """The outcome of a batch."""

    settled: int
    """How many messages, from the first, are delivered or given up. The others must be kept."""
    has_suspect: bool = False
    """Whether the first of the others fails alone and must be set apart."""


class BatchSender:
    """Posts batches over the connection, respects the backoff, and counts the results."""

    def __init__(
        self,
        link: Link,
        backoff: Backoff,
        throttle: Throttle,
        lock: RLock,
        stats: Stats,
        seconds_left: Callable[[], float],
    ) -> None:
        self._link = link
        self._backoff = backoff
        self._throttle = throttle
        self._lock = lock
        self._stats = stats
        self._seconds_left = seconds_left
        self._suspicious_failures = 0
        self._one_by_one = 0

    @property
    def batch_size(self) -> int:
        """Maximum number of messages in the next batch."""
        return 1 if self._one_by_one else LARGEST_BATCH

    def send(self, parcels: Sequence[Sendable], *, is_suspect: bool = False) -> Outcome:
        """Post a batch. Split it if it is rejected as a whole. Stop when the service fails.

        ``is_suspect`` means that this message was set apart before.
        """
        answer = self._post(parcels)
        if isinstance(answer, Refused | TooLarge) and len(parcels) > 1:
            if self._seconds_left() > 0:
                return self._send_halves(parcels)
            answer = Unavailable(answer.reason)
        if isinstance(answer, Accepted):
            self._accepted(answer)
        elif isinstance(answer, Refused):
            self._given_up(parcels[0], answer.reason)
        else:
            return self._failed(answer, len(parcels), is_suspect)
        self._one_by_one = max(0, self._one_by_one - 1)
        if not self._one_by_one:
            self._suspicious_failures = 0
        return Outcome(len(parcels))

    def _send_halves(self, parcels: Sequence[Sendable]) -> Outcome:
        half = len(parcels) // 2
        first = self.send(parcels[:half])
        if first.settled < half:
            return first
        second = self.send(parcels[half:])
        return Outcome(half + second.settled, second.has_suspect)

    def _post(self, parcels: Sequence[Sendable]) -> Answer:
        try:
            body = body_of(parcels)
        except Exception as error:  # noqa: BLE001 - splitting finds the message that fails
            return Refused(type(error).__name__)
        timeout = max(self._seconds_left(), _SHORTEST_TIMEOUT_SECONDS)
        path = parcels[0].path
        return judge(self._link.post(path, body, timeout), path, len(parcels))

    def _accepted(self, answer: Accepted) -> None:
        self._backoff.succeeded()
        with self._lock:
            self._stats.recorded += answer.recorded
            self._stats.duplicate += answer.duplicate
            self._stats.rejected += answer.rejected
            self._stats.ignored += answer.ignored
        if answer.rejected:
            self._throttle.warn("rejected", f"Visits were rejected: {answer.code}.")

    def _given_up(self, parcel: Sendable, reason: str) -> None:
        self._backoff.succeeded()
        with self._lock:
            self._stats.refused += 1
        kind = parcel.kind
        self._throttle.warn(f"refused {kind}", f"{kind} were refused and dropped: {reason}.")

    def _failed(
        self,
        answer: TooLarge | Unavailable,
        parcels: int,
        is_suspect: bool,
    ) -> Outcome:
        retry_after = 0.0
        is_found = parcels == 1 and (is_suspect or isinstance(answer, TooLarge))
        if isinstance(answer, Unavailable):
            retry_after = answer.retry_after
            is_found = is_found and answer.is_suspicious
            if answer.is_suspicious:
                self._suspicious_failures += 1
                if self._suspicious_failures >= _MAX_SUSPICIOUS_FAILURES:
                    self._one_by_one = self._one_by_one or LARGEST_BATCH
                    is_found = parcels == 1
        self._backoff.failed(retry_after)
        with self._lock:
            self._stats.retries += 1
        self._throttle.warn(
            "unavailable", f"Visits cannot be delivered ({answer.reason}); trying again."
        )
        return Outcome(0, is_found)
