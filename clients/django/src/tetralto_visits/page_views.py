"""Decides which requests are page views."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch

from tetralto_visits.config import Rules

# Values of ``Sec-Fetch-Dest`` (W3C Fetch Metadata) for parts of a page, whose response may still
# be an HTML error page. "empty" is not included: scripts load whole pages as well.
_PARTS = frozenset(
    (
        "audio",
        "audioworklet",
        "font",
        "image",
        "json",
        "manifest",
        "paintworklet",
        "report",
        "script",
        "serviceworker",
        "sharedworker",
        "style",
        "track",
        "video",
        "worker",
        "xslt",
    )
)
_PREFETCH_KEYS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")


def is_page_view(request: HttpRequest, response: HttpResponseBase, rules: Rules) -> bool:
    """Whether the response is a page view. The function ``RECORD_IF`` takes precedence."""
    if rules.decide is not None:
        decision = rules.decide(request, response)
        if decision is not None:
            return bool(decision)
    return (
        response.status_code in rules.statuses
        and _is_content(request, response, rules.content_types)
        and can_be_page_view(request, rules)
    )


def can_be_page_view(request: HttpRequest, rules: Rules) -> bool:
    """Whether the request can be a page view, regardless of the response."""
    return (
        request.method == "GET"
        and request.META.get("HTTP_SEC_FETCH_DEST") not in _PARTS
        and not request.path.startswith(asset_paths(settings.STATIC_URL, settings.MEDIA_URL))
        and not rules.excluded.match(request.path_info)
        and (rules.included is None or rules.included.match(request.path_info))
        and not ((match := request.resolver_match) and _is_excluded_view(match, rules))
        # Fast path: almost no request has these headers.
        and (
            request.META.keys().isdisjoint(_PREFETCH_KEYS)
            or rules.prefetches
            or not _is_prefetch(request.META)
        )
    )


def _is_content(
    request: HttpRequest, response: HttpResponseBase, content_types: tuple[str, ...]
) -> bool:
    if response.status_code == 304:  # a 304 has no content type
        return "text/html" in request.META.get("HTTP_ACCEPT", "")
    try:  # faster than get()
        return response.headers["Content-Type"].startswith(content_types)
    except KeyError:
        return False


def _is_excluded_view(match: ResolverMatch, rules: Rules) -> bool:
    views = rules.excluded_views
    return "admin" in match.app_names or (views is not None and views.match(match.view_name))


def _is_prefetch(meta: Mapping[str, Any]) -> bool:
    """Whether the browser prefetches the page."""
    return any(meta.get(key, "").partition(";")[0] == "prefetch" for key in _PREFETCH_KEYS)


@lru_cache(maxsize=8)
def asset_paths(*urls: str | None) -> tuple[str, ...]:
    """Return the path prefixes of static and media files."""
    paths = (urlsplit(url or "").path for url in urls)
    return tuple(path for path in paths if path.strip("/"))
