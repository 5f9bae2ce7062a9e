"""What travels to visitor-analytics: a JSON object and the path it is posted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

VISITS = "/visits"
EVENTS = "/analytics/events"
LARGEST_BATCH = 100
LARGEST_BODY = 512 * 1024
# What Python needs for a parcel beside its body, measured.
_OVERHEAD = 128


class Sendable(Protocol):
    """One visit, event or engagement. It is safe to send again: its id stays the same."""

    @property
    def path(self) -> str:
        """Where it is posted to."""

    @property
    def body(self) -> bytes:
        """A JSON object."""

    @property
    def is_listed(self) -> bool:
        """Whether many can be posted as one list."""

    @property
    def kind(self) -> str:
        """What it is, for people."""

    @property
    def weight(self) -> int:
        """About how many bytes it takes, in memory and as JSON."""


class Parcel(NamedTuple):
    """What is written down already: a ``Sendable`` as it is kept on disk."""

    path: str
    body: bytes
    """A JSON object."""

    @property
    def is_listed(self) -> bool:
        """Whether many can be posted as one list."""
        return self.path in (VISITS, EVENTS)

    @property
    def kind(self) -> str:
        """What it is, for people."""
        return {VISITS: "Visits", EVENTS: "Events"}.get(self.path, "Engagements")

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes."""
        return len(self.body) + _OVERHEAD


def engagement_path(visit: UUID) -> str:
    """Where the engagement of a visit is posted to."""
    return f"{VISITS}/{visit}/engagement"


def body_of(parcels: Sequence[Sendable]) -> bytes:
    """Write what is posted: a list where the path takes lists, else the one object."""
    if parcels[0].is_listed:
        return b"[" + b",".join(parcel.body for parcel in parcels) + b"]"
    return parcels[0].body
