"""``request.visit``: what a view can say about the visit that its page is."""

from __future__ import annotations

from os import urandom
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Any

from tetralto_visits.ids import uuid7

if TYPE_CHECKING:
    from django.http import HttpRequest

    from tetralto_visits.recorder import Recorder


class Visit:
    """A visit while its request is answered. What a view sets goes along with it.

    It is there on every request, also on those that are not recorded and where tracking is off.
    """

    __slots__ = (
        "_recorder",
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

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._started = perf_counter()
        self.at_ns = time_ns()
        """When the request came: Unix time in nanoseconds."""
        self.entropy = urandom(8)
        """What makes its id differ from those of other visits of the time."""
        self.is_skipped = False
        self.title: str | None = None
        """The title of the page."""
        self.name: str | None = None
        """The name of the page, instead of that of its route; it goes into ``properties``."""
        self.properties: dict[str, Any] = {}
        """Whatever is worth knowing, as JSON of at most 8 kB."""
        self.user_id: str | None = None
        """The site's own id of a user who is logged in."""
        self.visitor_id: str | None = None
        """The site's own id of the visitor, instead of the daily one."""

    @property
    def id(self) -> str:
        """Under this id it can be found in visitor-analytics."""
        return uuid7(self.at_ns, self.entropy)

    @property
    def recorder(self) -> Recorder | None:
        """What takes the visit; ``None`` where tracking is off."""
        return self._recorder

    @property
    def elapsed_ms(self) -> float:
        """How long the request has taken until now."""
        return (perf_counter() - self._started) * 1000

    def skip(self) -> None:
        """Do not record this visit."""
        self.is_skipped = True


def track(request: HttpRequest, event_type: str, metadata: dict[str, Any] | None = None) -> None:
    """Tell that something happened: ``track(request, "quote_requested", {"rooms": 3})``.

    Never waits and never raises. Does nothing where tracking is off or not allowed.
    """
    visit: Visit | None = getattr(request, "visit", None)
    if visit is not None and visit.recorder is not None:
        visit.recorder.event(request, visit, event_type, metadata or {})
