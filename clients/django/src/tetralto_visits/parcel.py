"""Messages to visitor-analytics: a JSON object and the path to which it is posted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

VISITS = "/visits"
EVENTS = "/analytics/events"
LARGEST_BATCH = 100
LARGEST_BODY = 512 * 1024
# Memory of a message without its body, measured.
_OVERHEAD = 128


class Sendable(Protocol):
    """One visit, event or engagement. Sending it again is safe, because its id stays the same."""

    @property
    def path(self) -> str:
        """The path to which it is posted."""

    @property
    def body(self) -> bytes:
        """A JSON object."""

    @property
    def is_listed(self) -> bool:
        """Whether several can be posted as a list."""

    @property
    def kind(self) -> str:
        """A word for log messages."""

    @property
    def weight(self) -> int:
        """Approximate size in bytes, in memory and as JSON."""


class Parcel(NamedTuple):
    """A serialized ``Sendable``, as it is stored on disk."""

    path: str
    body: bytes
    """A JSON object."""

    @property
    def is_listed(self) -> bool:
        """Whether several can be posted as a list."""
        return self.path in (VISITS, EVENTS)

    @property
    def kind(self) -> str:
        """A word for log messages."""
        return {VISITS: "Visits", EVENTS: "Events"}.get(self.path, "Engagements")

    @property
    def weight(self) -> int:
        """Size in memory, in bytes."""
        return len(self.body) + _OVERHEAD


def engagement_path(visit: UUID) -> str:
    """The path to which the engagement of a visit is posted."""
    return f"{VISITS}/{visit}/engagement"


def body_of(parcels: Sequence[Sendable]) -> bytes:
    """Build the body: a list if the path accepts lists, else the single object."""
    if parcels[0].is_listed:
        return b"[" + b",".join(parcel.body for parcel in parcels) + b"]"
    return parcels[0].body
