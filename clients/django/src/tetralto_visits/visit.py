"""What counts as a page view, and how it is written down for ``POST /visits``."""

from __future__ import annotations

import json
from functools import lru_cache
from os import urandom
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tetralto_visits.address import TrustedProxies, visitor_address
from tetralto_visits.config import PathRules
from tetralto_visits.ids import rfc3339, uuid7

# The headers that tell a browser from a bot. A closed list: it bounds what a visit can weigh,
# and nothing that identifies a login (cookies, authorization) can slip in.
HEADERS = (
    "accept",
    "accept-language",
    "accept-encoding",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-storage-access",
    "sec-fetch-user",
    "sec-ch-ua",
    "sec-ch-ua-arch",
    "sec-ch-ua-bitness",
    "sec-ch-ua-form-factors",
    "sec-ch-ua-full-version",
    "sec-ch-ua-full-version-list",
    "sec-ch-ua-mobile",
    "sec-ch-ua-model",
    "sec-ch-ua-platform",
    "sec-ch-ua-platform-version",
    "sec-ch-ua-wow64",
    "sec-purpose",
    "purpose",
    "x-moz",
    "upgrade-insecure-requests",
    "dnt",
    "sec-gpc",
)
_META_KEYS = tuple((name, f"HTTP_{name.upper().replace('-', '_')}") for name in HEADERS)

_LONGEST_URL = 2048
_LONGEST_USER_AGENT = 1024
_LONGEST_HEADER = 512


def is_page_view(request: HttpRequest, response: HttpResponseBase, excluded: PathRules) -> bool:
    """Whether a person asked for a page and got one."""
    return (
        request.method == "GET"
        and _is_page(request, response)
        and not request.path.startswith(_asset_paths(settings.STATIC_URL, settings.MEDIA_URL))
        and not excluded.match(request.path_info)
        and not _is_admin(request)
    )


def build(
    request: HttpRequest,
    response: HttpResponseBase,
    proxies: TrustedProxies,
    at_ns: int,
    elapsed_ms: float,
) -> bytes | None:
    """Write one visit as JSON; ``at_ns`` is Unix time in nanoseconds.

    ``None`` when the request names a host that is not ours. ``ValueError`` when nothing tells
    the visitor's address.
    """
    try:
        url = request.build_absolute_uri()
    except DisallowedHost:
        return None
    meta = request.META
    address = visitor_address(
        meta.get("REMOTE_ADDR", ""),
        meta.get("HTTP_X_REAL_IP", ""),
        meta.get("HTTP_X_FORWARDED_FOR", ""),
        proxies,
    )
    if address is None:
        raise ValueError("no address: is the proxy missing in TETRALTO_TRUSTED_PROXIES?")
    visit = {
        "id": str(uuid7(at_ns, urandom(8))),
        "site": None,
        "timestamp": rfc3339(at_ns),
        "url": url[:_LONGEST_URL],
        "ip": str(address),
        "user_agent": meta.get("HTTP_USER_AGENT", "")[:_LONGEST_USER_AGENT],
        "referrer": meta.get("HTTP_REFERER", "")[:_LONGEST_URL] or None,
        "title": None,
        "method": request.method,
        "status_code": response.status_code,
        "response_time_ms": round(elapsed_ms),
        "http_version": _http_version(request),
        "headers": {
            name: value[:_LONGEST_HEADER]
            for name, key in _META_KEYS
            if (value := meta.get(key)) is not None
        },
        "visitor_id": None,
        "user_id": None,
        "properties": {},
    }
    return json.dumps(visit, separators=(",", ":")).encode("ascii")


def _is_page(request: HttpRequest, response: HttpResponseBase) -> bool:
    if response.status_code == 304:  # the page was seen again; such an answer has no type
        return "text/html" in request.META.get("HTTP_ACCEPT", "")
    is_redirect = 300 <= response.status_code < 400  # the page it leads to counts
    return not is_redirect and response.get("Content-Type", "").startswith("text/html")


def _is_admin(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and "admin" in match.app_names


@lru_cache(maxsize=8)
def _asset_paths(*urls: str | None) -> tuple[str, ...]:
    paths = (urlsplit(url or "").path for url in urls)
    return tuple(path for path in paths if path.strip("/"))


def _http_version(request: HttpRequest) -> str | None:
    """Read ``1.1`` or ``2`` from ASGI's scope or WSGI's ``SERVER_PROTOCOL``."""
    scope = getattr(request, "scope", None)
    if scope is None:
        version = request.META.get("SERVER_PROTOCOL", "").removeprefix("HTTP/")
    else:
        version = scope.get("http_version", "")
    return {"2.0": "2", "3.0": "3"}.get(version, version) or None
