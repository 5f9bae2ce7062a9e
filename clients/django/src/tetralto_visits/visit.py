"""``request.visit``, with which a view describes its visit."""

from __future__ import annotations

from os import urandom
from time import perf_counter, time_ns
from typing import Any

from tetralto_visits.ids import uuid7


class Visit:
    """The visit of the current request. A view can set its attributes.

    Every request has one, even if the request is not recorded or tracking is off.
    """

    __slots__ = (
        "_started",
        "at_ns",
        "entropy",
        "is_skipped",
        "name",
        "properties",
        "title",
        "user_id",
        "visitor_id",
    )

    def __init__(self) -> None:
        self._started = perf_counter()
        self.at_ns = time_ns()
        """Time of the request, Unix time in nanoseconds."""
        self.entropy = urandom(8)
        """Random part of the id."""
        self.is_skipped = False
        self.title: str | None = None
        """Title of the page."""
        self.name: str | None = None
        """Name of the page in ``properties["route"]``, instead of the name of the route."""
        self.properties: dict[str, Any] = {}
        """Custom properties, at most 8 kB as JSON."""
        self.user_id: str | None = None
        """Id of the logged-in user on the site."""
        self.visitor_id: str | None = None
        """Id of the visitor on the site, instead of the id that the service computes."""

    @property
    def id(self) -> str:
        """The id of the visit in visitor-analytics."""
        return uuid7(self.at_ns, self.entropy)

    @property
    def elapsed_ms(self) -> float:
        """Duration of the request so far, in milliseconds."""
        return (perf_counter() - self._started) * 1000

    def skip(self) -> None:
        """Do not record this visit."""
        self.is_skipped = True
