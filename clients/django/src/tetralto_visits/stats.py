"""The counters that tell what became of the visits."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Stats:
    """What happened to this process's visits since it started; every field is a count."""

    queued: int = 0
    """Visits, events and engagements that were put into the queue: below, all are visits."""
    waiting: int = 0
    """Visits in memory now: queued or on their way, not yet answered."""
    recorded: int = 0
    """Visits the service answered with ``recorded``."""
    duplicate: int = 0
    """Visits the service already had: sent again after an answer got lost."""
    rejected: int = 0
    """Visits the service would not take, in an answer about each; they are given up."""
    refused: int = 0
    """Visits for which the service refused a whole batch; they are given up."""
    dropped: int = 0
    """Visits that found the queue full."""
    spooled: int = 0
    """Visits that were put on disk. When they are sent they count again, perhaps elsewhere."""
    lost: int = 0
    """Visits that were only in memory when this process ended, or another was killed."""
    failed: int = 0
    """Visits that could not be built."""
    retries: int = 0
    """Batches that could not be delivered, and are tried again."""
    ignored: int = 0
    """Visits their site is set to ignore: the service counts them and stores nothing."""

    def __add__(self, other: Stats) -> Stats:
        """Add field by field."""
        return Stats(
            *(getattr(self, field.name) + getattr(other, field.name) for field in fields(Stats))
        )
