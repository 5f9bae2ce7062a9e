"""The bounded queue in memory. It is not thread-safe; callers use a lock."""

from __future__ import annotations

from collections import deque

from tetralto_visits.parcel import LARGEST_BODY, Sendable

_LARGEST_WEIGHT = 7_000_000
# The kinds of messages that are sent one by one: engagements and suspects.
_SINGLES = ""
_SUSPECTS = "suspects"


class Waiting:
    """The queued messages and the batch that is being sent. The limits apply to both together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, deque[Sendable]] = {}
        self.queued = 0
        """Number of messages that are not in the current batch."""
        self.under_way: list[Sendable] = []
        self.is_suspect = False
        """Whether the current batch is a suspect."""
        self._weight = 0

    def __len__(self) -> int:
        """Count all messages in memory."""
        return self.queued + len(self.under_way)

    def add(self, parcel: Sendable) -> bool:
        """Queue a message. Returns false if the queue is full."""
        weight = parcel.weight
        waiting = self.queued + len(self.under_way)
        if waiting >= self._most or self._weight + weight > _LARGEST_WEIGHT:
            return False
        self._queue(_kind(parcel)).append(parcel)
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
            while queue and len(self.under_way) < most:
                size += queue[0].weight
                if self.under_way and size > LARGEST_BODY:
                    break
                self.under_way.append(queue.popleft())
                self.queued -= 1
        return list(self.under_way)

    def take_all(self) -> list[Sendable]:
        """Move all messages into the current batch."""
        self.is_suspect = False
        for queue in self._queues.values():
            self.under_way += queue
            queue.clear()
        self.queued = 0
        return list(self.under_way)

    def settle(self, parcels: int) -> None:
        """Remove the first messages of the batch: they are delivered or stored on disk."""
        self._weight -= sum(parcel.weight for parcel in self.under_way[:parcels])
        del self.under_way[:parcels]

    def put_back(self) -> None:
        """Return the batch to the front of the queue."""
        for parcel in reversed(self.under_way):
            self._queue(_SUSPECTS if self.is_suspect else _kind(parcel)).appendleft(parcel)
        self.queued += len(self.under_way)
        self.under_way = []

    def set_apart(self) -> None:
        """Queue the first message of the batch as a suspect, which does not delay others."""
        if self.under_way:
            self._queue(_SUSPECTS).append(self.under_way.pop(0))
            self.queued += 1

    def _queue(self, kind: str) -> deque[Sendable]:
        return self._queues.setdefault(kind, deque())


def _kind(parcel: Sendable) -> str:
    return parcel.path if parcel.is_listed else _SINGLES
