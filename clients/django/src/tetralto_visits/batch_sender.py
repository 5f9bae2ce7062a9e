"""Posts batches, and finds the message for which a batch is rejected or fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import RLock
from typing import NamedTuple

from tetralto_visits.backoff import Backoff
from tetralto_visits.connection import Connection
from tetralto_visits.log_throttle import LogThrottle
from tetralto_visits.message import MAX_BATCH_SIZE, Sendable, build_body
from tetralto_visits.responses import Accepted, Answer, Refused, TooLarge, Unavailable, classify
from tetralto_visits.stats import Stats

# A message that always makes the service fail must not block the others. After this many suspicious
# failures in a row, messages are sent one by one, and the one that fails is set apart.
_MAX_SUSPICIOUS_FAILURES = 10
_MIN_TIMEOUT_SECONDS = 0.05


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
        connection: Connection,
        backoff: Backoff,
        throttle: LogThrottle,
        lock: RLock,
        stats: Stats,
        seconds_left: Callable[[], float],
    ) -> None:
        self._connection = connection
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
        return 1 if self._one_by_one else MAX_BATCH_SIZE

    def send(self, messages: Sequence[Sendable], *, is_suspect: bool = False) -> Outcome:
        """Post a batch. Split it if it is rejected as a whole. Stop when the service fails.

        ``is_suspect`` means that this message was set apart before.
        """
        answer = self._post(messages)
        if isinstance(answer, Refused | TooLarge) and len(messages) > 1:
            if self._seconds_left() > 0:
                return self._send_halves(messages)
            answer = Unavailable(answer.reason)
        if isinstance(answer, Accepted):
            self._count_accepted(answer)
        elif isinstance(answer, Refused):
            self._give_up(messages[0], answer.reason)
        else:
            return self._handle_failure(answer, len(messages), is_suspect)
        self._one_by_one = max(0, self._one_by_one - 1)
        if not self._one_by_one:
            self._suspicious_failures = 0
        return Outcome(len(messages))

    def _send_halves(self, messages: Sequence[Sendable]) -> Outcome:
        half = len(messages) // 2
        first = self.send(messages[:half])
        if first.settled < half:
            return first
        second = self.send(messages[half:])
        return Outcome(half + second.settled, second.has_suspect)

    def _post(self, messages: Sequence[Sendable]) -> Answer:
        try:
            body = build_body(messages)
        except Exception as error:  # noqa: BLE001 - splitting finds the message that fails
            return Refused(type(error).__name__)
        timeout = max(self._seconds_left(), _MIN_TIMEOUT_SECONDS)
        path = messages[0].path
        return classify(self._connection.post(path, body, timeout), path, len(messages))

    def _count_accepted(self, answer: Accepted) -> None:
        self._backoff.succeeded()
        with self._lock:
            self._stats.recorded += answer.recorded
            self._stats.duplicate += answer.duplicate
            self._stats.rejected += answer.rejected
            self._stats.ignored += answer.ignored
        if answer.rejected:
            self._throttle.warn("rejected", f"Visits were rejected: {answer.code}.")

    def _give_up(self, message: Sendable, reason: str) -> None:
        self._backoff.succeeded()
        with self._lock:
            self._stats.refused += 1
        kind = message.kind
        self._throttle.warn(f"refused {kind}", f"{kind} were refused and dropped: {reason}.")

    def _handle_failure(
        self,
        answer: TooLarge | Unavailable,
        messages: int,
        is_suspect: bool,
    ) -> Outcome:
        retry_after = 0.0
        is_found = messages == 1 and (is_suspect or isinstance(answer, TooLarge))
        if isinstance(answer, Unavailable):
            retry_after = answer.retry_after
            is_found = is_found and answer.is_suspicious
            if answer.is_suspicious:
                self._suspicious_failures += 1
                if self._suspicious_failures >= _MAX_SUSPICIOUS_FAILURES:
                    self._one_by_one = self._one_by_one or MAX_BATCH_SIZE
                    is_found = messages == 1
        self._backoff.failed(retry_after)
        with self._lock:
            self._stats.retries += 1
        self._throttle.warn(
            "unavailable", f"Visits cannot be delivered ({answer.reason}); trying again."
        )
        return Outcome(0, is_found)
