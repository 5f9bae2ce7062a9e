"""The bounded queue of what waits in memory. Whoever uses it from several threads locks it."""

from __future__ import annotations

from collections import deque

from tetralto_visits.parcel import LARGEST_BODY, Sendable

_LARGEST_WEIGHT = 7_000_000


class Waiting:
    """Parcels that are queued, and the batch that is under way; both count for the bounds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queues: dict[str, deque[Sendable]] = {}
        self.queued = 0
        """How many are not under way."""
        self.under_way: list[Sendable] = []
        self._weight = self._weight_under_way = 0

    def __len__(self) -> int:
        """Count what is in memory."""
        return self.queued + len(self.under_way)

    def add(self, parcel: Sendable) -> bool:
        """Queue the parcel; false when there is no room."""
        weight = parcel.weight
        waiting = self.queued + len(self.under_way)
        if waiting >= self._most or self._weight + weight > _LARGEST_WEIGHT:
            return False
        self._queue(parcel).append(parcel)
        self.queued += 1
        self._weight += weight
        return True

    def take(self, most: int) -> list[Sendable]:
        """Put a batch of one kind under way, of each kind in turn."""
        kind = next((kind for kind, queue in self._queues.items() if queue), None)
        if kind is not None:
            queue = self._queues[kind] = self._queues.pop(kind)  # now the last
            size = 0
            while queue and len(self.under_way) < (most if queue[0].is_listed else 1):
                size += queue[0].weight
                if self.under_way and size > LARGEST_BODY:
                    break
                self.under_way.append(queue.popleft())
                self._weight_under_way += self.under_way[-1].weight
                self.queued -= 1
        return list(self.under_way)

    def take_all(self) -> list[Sendable]:
        """Put everything under way."""
        for queue in self._queues.values():
            self.under_way += queue
            queue.clear()
        self.queued = 0
        self._weight_under_way = self._weight
        return list(self.under_way)

    def settle(self) -> None:
        """Forget what is under way: it has arrived, or is kept elsewhere."""
        self._weight -= self._weight_under_way
        self._weight_under_way = 0
        self.under_way = []

    def put_back(self) -> None:
        """Queue again what is under way, as the first."""
        for parcel in reversed(self.under_way):
            self._queue(parcel).appendleft(parcel)
        self.queued += len(self.under_way)
        self._weight_under_way = 0
        self.under_way = []

    def _queue(self, parcel: Sendable) -> deque[Sendable]:
        queue = self._queues.get(parcel.path)
        if queue is None:
            kind = parcel.path if parcel.is_listed else ""
            queue = self._queues.setdefault(kind, deque())
        return queue
