"""Views that serve the page script and receive its reports."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from tetralto_visits.rate_limit import RateLimiter
from tetralto_visits.recorder import Recorder
from tetralto_visits.tracking import recorder_of

_MAX_REPORT_BYTES = 512
_MAX_VISIT_AGE_SECONDS = 24 * 3600
_CLOCK_LEEWAY_SECONDS = 300

_rate_limiter = RateLimiter()


class Script(NamedTuple):
    """The page script and a hash of its content."""

    content: bytes
    version: str


class Report(NamedTuple):
    """A report of the page script about a visit."""

    visit: UUID
    seconds: int
    scroll_depth: int


@lru_cache(maxsize=1)
def page_script() -> Script:
    """Read the script."""
    content = files("tetralto_visits").joinpath("page.js").read_bytes()
    return Script(content, sha256(content).hexdigest()[:12])


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """Serve the script. The URL in the template tag contains the version, so it can be cached."""
    found = page_script()
    is_this = request.GET.get("v") == found.version
    response = HttpResponse(found.content, content_type="text/javascript; charset=utf-8")
    response["Cache-Control"] = (
        "public, max-age=31536000, immutable" if is_this else "public, max-age=3600"
    )
    response["X-Content-Type-Options"] = "nosniff"
    return response


@csrf_exempt  # changes nothing on behalf of a user; requests of other sites are rejected below
@require_POST
def engagement(request: HttpRequest) -> HttpResponse:
    """Receive a report and forward it. Returns 204 even if forwarding fails later."""
    recorder = recorder_of(request)
    if recorder is None:
        return _response(204)
    if not _is_same_origin(request):
        return _response(403)
    if not _is_within_rate_limit(request, recorder):
        response = _response(429)
        response["Retry-After"] = "60"
        return response
    try:
        report = read_report(_body(request), time.time())
    except (ValueError, RecursionError, OSError):  # OSError: the visitor has disconnected
        return _response(400)
    if recorder.is_tracking_allowed(request):
        recorder.engagement(*report)
    return _response(204)


def read_report(body: bytes, now: float) -> Report:
    """Parse a report. Raises ``ValueError`` if it is invalid. ``now`` is a Unix timestamp.

    The engagement time is limited to the age of the visit.
    """
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("not an object")  # noqa: TRY004 - callers expect only ValueError
    visit = UUID(str(content.get("visit")))
    age = now - (visit.int >> 80) / 1000
    if visit.version != 7 or not -_CLOCK_LEEWAY_SECONDS <= age <= _MAX_VISIT_AGE_SECONDS:
        raise ValueError("not the id of a visit within 24 hours")
    seconds, depth = content.get("engagement_seconds"), content.get("scroll_depth")
    if type(seconds) is not int or type(depth) is not int or seconds < 0 or depth < 0:
        raise ValueError("not non-negative integers")
    return Report(visit, min(seconds, max(0, round(age)) + 1), min(depth, 100))


def _body(request: HttpRequest) -> bytes:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > _MAX_REPORT_BYTES:
        raise ValueError("too long")
    return request.read(_MAX_REPORT_BYTES)


def _is_same_origin(request: HttpRequest) -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.get_host()
    except ValueError:
        return False


def _is_within_rate_limit(request: HttpRequest, recorder: Recorder) -> bool:
    try:
        address = recorder.peers.of(request.META).address
    except ValueError:
        return False
    return _rate_limiter.try_acquire(address, recorder.config.engagement_per_minute)


def _response(status: int) -> HttpResponse:
    response = HttpResponse(status=status)
    response["Cache-Control"] = "no-store"
    return response
