"""How visits and events are written down for visitor-analytics."""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from os import urandom
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.encoding import escape_uri_path, iri_to_uri

from tetralto_visits.address import Peer, Peers
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.visit import Visit

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
_META_KEYS = tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in HEADERS)

_LONGEST_URL = 2048
_LONGEST_USER_AGENT = 1024
_LONGEST_HEADER = 512
_LONGEST_PROPERTIES = 8192
_LONGEST_ID = 128


class BadPropertiesError(ValueError):
    """What a view said is no JSON, or too long."""


def write_visit(
    request: HttpRequest,
    visit: Visit,
    status_code: int,
    peers: Peers,
    http_version_key: str | None,
) -> bytes:
    """Write one visit as JSON.

    ``DisallowedHost`` when the request names a host that is not ours, ``BadPropertiesError``, and
    ``ValueError`` when nothing tells the visitor's address.
    """
    meta = request.META
    peer = peers.of(meta)
    url = _origin(request) + _path(request.path, meta.get("QUERY_STRING", ""))
    version = _http_version(request, peer, http_version_key)
    properties = _properties(visit.name or _route(request), visit.properties)
    # json.dumps would take more than twice as long, while a page waits.
    text = (
        f'{{"id":"{visit.id}","site":null,"timestamp":"{rfc3339(visit.at_ns)}",'
        f'"url":{quoted(url[:_LONGEST_URL])},"ip":"{peer.address}",'
        f'"user_agent":{quoted(meta.get("HTTP_USER_AGENT", "")[:_LONGEST_USER_AGENT])},'
        f'"referrer":{_text(meta.get("HTTP_REFERER"), _LONGEST_URL)},'
        f'"title":{_text(visit.title, _LONGEST_HEADER)},"method":{quoted(request.method or "GET")},'
        f'"status_code":{status_code:d},"response_time_ms":{visit.elapsed_ms:.0f},'
        f'"http_version":{_text(version, 8)},"headers":{_headers(*map(meta.get, _META_KEYS))},'
        f'"visitor_id":{_text(visit.visitor_id, _LONGEST_ID)},'
        f'"user_id":{_text(visit.user_id, _LONGEST_ID)},"properties":{properties}}}'
    )
    return text.encode("ascii")


def write_event(
    request: HttpRequest,
    visit: Visit,
    event_type: str,
    metadata: dict[str, Any],
    peers: Peers,
) -> bytes:
    """Write one event of a visit as JSON; raises like ``write_visit``."""
    at_ns = time_ns()
    event = {
        "id": uuid7(at_ns, urandom(8)),
        "event_type": event_type,
        "site": urlsplit(f"//{request.get_host()}").hostname,
        "user_id": visit.user_id,
        "visitor_id": visit.visitor_id,
        "ip": peers.of(request.META).address,
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:_LONGEST_USER_AGENT],
        "timestamp": rfc3339(at_ns),
        "metadata": metadata,
    }
    return write_object(event).encode("ascii")


def write_object(content: dict[str, Any]) -> str:
    """Write JSON, as texts what JSON does not know; ``BadPropertiesError`` when it cannot be."""
    if not content:
        return "{}"
    try:
        text = json.dumps(content, separators=(",", ":"), default=str, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadPropertiesError from error
    if len(text) > _LONGEST_PROPERTIES:
        raise BadPropertiesError
    return text


@lru_cache(maxsize=256)
def _headers(*values: str | None) -> str:
    """Write the headers: browsers of a kind send the same ones."""
    given = (
        f"{quoted(name)}:{quoted(value[:_LONGEST_HEADER])}"
        for name, value in zip(HEADERS, values, strict=True)
        if value is not None
    )
    return "{" + ",".join(given) + "}"


_origins: dict[tuple[str | None, ...], str] = {}
_MOST_ORIGINS = 256


def _origin(request: HttpRequest) -> str:
    """Give scheme and host; a host of ours is checked by Django once, since that takes long."""
    meta, scheme = request.META, request.scheme or "http"
    key = (
        scheme,
        meta.get("HTTP_HOST"),
        meta.get("HTTP_X_FORWARDED_HOST"),
        meta.get("HTTP_X_FORWARDED_PORT"),
        meta.get("SERVER_NAME"),
        meta.get("SERVER_PORT"),
    )
    origin = _origins.get(key)
    if origin is None:
        origin = f"{scheme}://{request.get_host()}"
        if len(_origins) >= _MOST_ORIGINS:
            _origins.clear()
        _origins[key] = origin
    return origin


@receiver(setting_changed)
def _forget_origins(**_kwargs: object) -> None:
    """Which hosts are ours may be what a test has changed."""
    _origins.clear()


def _properties(route: str | None, properties: dict[str, Any]) -> str:
    if not properties:
        return _only_route(route)
    return write_object({"route": route, **properties} if route else properties)


@lru_cache(maxsize=256)
def _only_route(route: str | None) -> str:
    return write_object({"route": route} if route else {})


def _text(value: object, longest: int) -> str:
    return "null" if value is None or value == "" else quoted(str(value)[:longest])


def _route(request: HttpRequest) -> str | None:
    match = request.resolver_match
    return match.view_name if match else None


def _http_version(request: HttpRequest, peer: Peer, key: str | None) -> str | None:
    """Say which version the visitor spoke; behind a proxy only that one can know."""
    if peer.is_proxy:
        version = request.META.get(key, "") if key else ""
    else:
        scope = getattr(request, "scope", None)
        version = scope["http_version"] if scope else request.META.get("SERVER_PROTOCOL", "")
    return _version(version)


@lru_cache(maxsize=16)
def _version(text: str) -> str | None:
    version = text.upper().removeprefix("HTTP/").removeprefix("H")
    return {"2.0": "2", "3.0": "3"}.get(version, version) or None


@lru_cache(maxsize=512)
def _path(path: str, query: str) -> str:
    """Write path and query as in a URL, which takes long; the same pages are asked for."""
    return f"{escape_uri_path(path)}?{iri_to_uri(query)}" if query else escape_uri_path(path)
