"""The bounded queue in memory. It is not thread-safe; callers use a lock."""

from __future__ import annotations

from collections import deque

from tetralto_visits.message import MAX_BODY_BYTES, Sendable

_MAX_QUEUE_BYTES = 7_000_000
# The kinds of messages that are sent one by one: engagements and suspects.
_SINGLES = ""
_SUSPECTS = "suspects"


class MemoryQueue:
    """The queued messages and the batch that is being sent. The limits apply to both together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, deque[Sendable]] = {}
        self.queued = 0
        """Number of messages that are not in the current batch."""
        self.in_flight: list[Sendable] = []
        self.is_suspect = False
        """Whether the current batch is a suspect."""
        self._weight = 0

    def __len__(self) -> int:
        """Count all messages in memory."""
        return self.queued + len(self.in_flight)

    def add(self, message: Sendable) -> bool:
        """Queue a message. Returns false if the queue is full."""
        weight = message.weight
        waiting = self.queued + len(self.in_flight)
        if waiting >= self._most or self._weight + weight > _MAX_QUEUE_BYTES:
            return False
        self._queue(_kind(message)).append(message)
        self.queued += 1
        self._weight += weight
        return True

    def take(self, most: int) -> list[Sendable]:
        """Start a batch of one kind. The kinds take turns."""
        kind = next((kind for kind, queue in self._queues.items() if queue), None)
        self.is_suspect = kind == _SUSPECTS
        if kind is not None:
            queue = self._queues[kind] = self._queues.pop(kind)  # moves the kind to the end
            most = 1 if kind in (_SINGLES, _SUSPECTS) else most
            size = 0
            while queue and len(self.in_flight) < most:
                size += queue[0].weight
                if self.in_flight and size > MAX_BODY_BYTES:
                    break
                self.in_flight.append(queue.popleft())
                self.queued -= 1
        return list(self.in_flight)

    def take_all(self) -> list[Sendable]:
        """Move all messages into the current batch."""
        self.is_suspect = False
        for queue in self._queues.values():
            self.in_flight += queue
            queue.clear()
        self.queued = 0
        return list(self.in_flight)

    def settle(self, messages: int) -> None:
        """Remove the first messages of the batch: they are delivered or stored on disk."""
        self._weight -= sum(message.weight for message in self.in_flight[:messages])
        del self.in_flight[:messages]

    def requeue(self) -> None:
        """Return the batch to the front of the queue."""
        for message in reversed(self.in_flight):
            self._queue(_SUSPECTS if self.is_suspect else _kind(message)).appendleft(message)
        self.queued += len(self.in_flight)
        self.in_flight = []

    def set_apart(self) -> None:
        """Queue the first message of the batch as a suspect, which does not delay others."""
        if self.in_flight:
            self._queue(_SUSPECTS).append(self.in_flight.pop(0))
            self.queued += 1

    def _queue(self, kind: str) -> deque[Sendable]:
        return self._queues.setdefault(kind, deque())


def _kind(message: Sendable) -> str:
    return message.path if message.is_batchable else _SINGLES
