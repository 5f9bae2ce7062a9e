"""Messages to visitor-analytics: a JSON object and the path to which it is posted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

VISITS = "/visits"
EVENTS = "/analytics/events"
MAX_BATCH_SIZE = 100
MAX_BODY_BYTES = 512 * 1024
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
    def is_batchable(self) -> bool:
        """Whether several can be posted as a list."""

    @property
    def kind(self) -> str:
        """A word for log messages."""

    @property
    def weight(self) -> int:
        """Approximate size in bytes, in memory and as JSON."""


class Message(NamedTuple):
    """A serialized ``Sendable``, as it is stored on disk."""

    path: str
    body: bytes
    """A JSON object."""

    @property
    def is_batchable(self) -> bool:
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
    """Return the path to which the engagement of a visit is posted."""
    return f"{VISITS}/{visit}/engagement"


def build_body(messages: Sequence[Sendable]) -> bytes:
    """Build the body: a list if the path accepts lists, else the single object."""
    if messages[0].is_batchable:
        return b"[" + b",".join(message.body for message in messages) + b"]"
    return messages[0].body
