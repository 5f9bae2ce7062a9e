"""What views use to record more than the visit."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tetralto_visits.recorder import Recorder
from tetralto_visits.visit import Visit

_RECORDER = "_tetralto_recorder"


def start_visit(request: HttpRequest, recorder: Recorder | None) -> Visit:
    """Set ``request.visit``. Without a recorder, tracking is off."""
    visit = Visit()
    request.visit = visit  # type: ignore[attr-defined]
    setattr(request, _RECORDER, recorder)
    return visit


def recorder_of(request: HttpRequest) -> Recorder | None:
    """Return the recorder of a request; ``None`` if tracking is off."""
    recorder: Recorder | None = getattr(request, _RECORDER, None)
    return recorder


def track(request: HttpRequest, event_type: str, metadata: dict[str, Any] | None = None) -> None:
    """Record an event: ``track(request, "quote_requested", {"rooms": 3})``.

    Never waits and never raises. Does nothing if tracking is off or not allowed.
    """
    visit: Visit | None = getattr(request, "visit", None)
    recorder = recorder_of(request)
    if visit is not None and recorder is not None:
        recorder.event(request, visit, event_type, metadata or {})
