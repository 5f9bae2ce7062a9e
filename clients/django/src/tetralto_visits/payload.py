"""The payload of a visit: captured during the request, serialized in the background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import ClassVar

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path, iri_to_uri

from tetralto_visits.address import PEER_KEYS, Peers
from tetralto_visits.cache import BoundedCache
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.message import VISITS
from tetralto_visits.origin import HOST_KEYS, origin_of
from tetralto_visits.serialization import (
    MAX_ID_CHARS,
    MAX_URL_CHARS,
    MAX_USER_AGENT_CHARS,
    text_or_null,
    write_object,
)
from tetralto_visits.visit import Visit

# The headers that distinguish browsers from bots. The fixed list bounds the size of a visit, and
# excludes credentials (cookies, authorization).
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
# All keys of META, so that one loop reads them.
_BROWSER_KEYS = ("HTTP_USER_AGENT", *(f"HTTP_{name.upper().replace('-', '_')}" for name in HEADERS))
_KEYS = (
    "HTTP_REFERER",
    "QUERY_STRING",
    "SERVER_PROTOCOL",
    *PEER_KEYS,
    *HOST_KEYS,
    *_BROWSER_KEYS,
)
_PEER = slice(3, 3 + len(PEER_KEYS))
_HOST = slice(_PEER.stop, _PEER.stop + len(HOST_KEYS))
_BROWSER = slice(_HOST.stop, None)

_MAX_HEADER_CHARS = 512
_NULL = "null"
# Memory of a payload without its texts, and JSON without its values.
_OVERHEAD = 600


@dataclass(slots=True)
class VisitPayload:
    """A visit in the queue.

    During the request, only the values are captured. Serializing takes longer and is faster in
    batches, so the background thread does it.
    """

    path: ClassVar[str] = VISITS
    kind: ClassVar[str] = "Visits"
    is_batchable: ClassVar[bool] = True

    at_ns: int
    entropy: bytes
    origin: str
    page: str
    """Path of the page."""
    query: str
    address: str
    browser: str
    """The fields ``user_agent`` and ``headers`` as JSON, shared by visits of the same browser."""
    method: str
    status_code: int
    milliseconds: float
    http_version: str
    referrer: str
    """JSON, like the following fields."""
    title: str
    visitor_id: str
    user_id: str
    properties: str

    @property
    def weight(self) -> int:
        """Size in memory in bytes, without sharing."""
        return (
            _OVERHEAD
            + len(self.page)
            + len(self.query)
            + len(self.browser)
            + len(self.referrer)
            + len(self.properties)
        )

    @property
    def body(self) -> bytes:
        """The visit as JSON. Each call returns the same bytes."""
        # json.dumps takes more than twice as long.
        text = (
            f'{{"id":"{uuid7(self.at_ns, self.entropy)}","site":null,'
            f'"timestamp":"{rfc3339(self.at_ns)}",'
            f'"url":{quoted((self.origin + _target(self.page, self.query))[:MAX_URL_CHARS])},'
            f'"ip":"{self.address}",{self.browser},"referrer":{self.referrer},'
            f'"title":{self.title},"method":{quoted(self.method)},"status_code":{self.status_code:d},'
            f'"response_time_ms":{self.milliseconds:.0f},'
            f'"http_version":{_version(self.http_version)},'
            f'"visitor_id":{self.visitor_id},"user_id":{self.user_id},'
            f'"properties":{self.properties}}}'
        )
        return text.encode("ascii")


def capture_visit(
    request: HttpRequest,
    visit: Visit,
    status_code: int,
    peers: Peers,
    http_version_key: str | None,
) -> VisitPayload:
    """Capture one visit.

    Raises ``DisallowedHost`` if the host is not allowed, ``BadPropertiesError`` if the properties
    are invalid, and ``ValueError`` if the address of the visitor is unknown.
    """
    meta = request.META
    found = tuple(map(meta.get, _KEYS))
    peer = peers.find(found[_PEER])
    version = found[2]
    if peer.is_proxy:  # only the proxy knows the HTTP version of the visitor
        version = meta.get(http_version_key) if http_version_key else None
    elif version is None:
        scope = getattr(request, "scope", None)
        version = scope["http_version"] if scope else None
    browser = found[_BROWSER]
    return VisitPayload(
        visit.at_ns,
        visit.entropy,
        origin_of(request, found[_HOST]),
        request.path,
        found[1] or "",
        peer.address,
        _browsers.get(browser) or _browsers.store(browser, _write_browser(*browser)),
        request.method or "GET",
        status_code,
        visit.elapsed_ms,
        version or "",
        # Most visits have none of these, and the check is cheaper than a call.
        _NULL if found[0] is None else text_or_null(found[0], MAX_URL_CHARS),
        _NULL if visit.title is None else text_or_null(visit.title, _MAX_HEADER_CHARS),
        _NULL if visit.visitor_id is None else text_or_null(visit.visitor_id, MAX_ID_CHARS),
        _NULL if visit.user_id is None else text_or_null(visit.user_id, MAX_ID_CHARS),
        _properties(request, visit),
    )


_browsers: BoundedCache[str] = BoundedCache()


def _write_browser(user_agent: str | None, *headers: str | None) -> str:
    given = (
        f"{quoted(name)}:{quoted(value[:_MAX_HEADER_CHARS])}"
        for name, value in zip(HEADERS, headers, strict=True)
        if value is not None
    )
    user_agent = quoted((user_agent or "")[:MAX_USER_AGENT_CHARS])
    return f'"user_agent":{user_agent},"headers":{{{",".join(given)}}}'


def _properties(request: HttpRequest, visit: Visit) -> str:
    match = request.resolver_match
    name = visit.name or (match.view_name if match else None)
    if not visit.properties:
        return _only_route(name)
    return write_object({"route": name, **visit.properties} if name else visit.properties)


@lru_cache(maxsize=256)
def _only_route(name: str | None) -> str:
    return write_object({"route": name} if name else {})


@lru_cache(maxsize=16)
def _version(text: str) -> str:
    version = text.upper().removeprefix("HTTP/").removeprefix("H")
    return text_or_null({"2.0": "2", "3.0": "3"}.get(version, version), 8)


def _target(path: str, query: str) -> str:
    """Encode path and query as in a URL."""
    try:
        return f"{escape_uri_path(path)}?{iri_to_uri(query)}" if query else escape_uri_path(path)
    except UnicodeError:  # lone surrogates, for bytes that are not UTF-8
        return _target(*(text.encode("utf-8", "replace").decode() for text in (path, query)))
