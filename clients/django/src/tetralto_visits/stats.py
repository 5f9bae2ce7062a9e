"""The delivery counters."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Stats:
    """Counters of this process since its start. "Visits" includes events and engagements."""

    queued: int = 0
    """Visits that were put into the queue."""
    waiting: int = 0
    """Visits in memory now: queued, or sent and not yet acknowledged."""
    recorded: int = 0
    """Visits that the service recorded."""
    duplicate: int = 0
    """Visits that the service already had, because a response was lost."""
    rejected: int = 0
    """Visits that the service rejected within an accepted batch. They are discarded."""
    refused: int = 0
    """Visits because of which the service rejected a request. They are discarded."""
    dropped: int = 0
    """Visits that were discarded because the queue was full."""
    spooled: int = 0
    """Visits that were stored on disk. They count again when a process sends them."""
    lost: int = 0
    """Visits that were only in memory when this process ended or another one was killed."""
    failed: int = 0
    """Visits that could not be recorded because of an error."""
    retries: int = 0
    """Batches that could not be delivered and are retried."""
    ignored: int = 0
    """Visits that the service ignored by a rule of the site. They are not stored."""

    def __add__(self, other: Stats) -> Stats:
        """Add field by field."""
        return Stats(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(Stats))
        )
