"""Visits as they are noted while the page waits, and written down later."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import ClassVar

from django.http import HttpRequest
from django.utils.encoding import escape_uri_path, iri_to_uri

from tetralto_visits.address import PEER_KEYS, Peers
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.memo import Memo
from tetralto_visits.origin import HOST_KEYS, origin_of
from tetralto_visits.parcel import VISITS
from tetralto_visits.visit import Visit
from tetralto_visits.wire import (
    LONGEST_ID,
    LONGEST_URL,
    LONGEST_USER_AGENT,
    text_or_null,
    write_object,
)

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
# All that is looked up in META, so that it can be done in one go.
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

_LONGEST_HEADER = 512
_NULL = "null"
# What Python needs for a note beside its texts, and JSON for the names of the fields.
_OVERHEAD = 600


@dataclass(slots=True)
class VisitNote:
    """A visit that waits in memory.

    Only what needs the request is done while the page waits. To write it down takes longer, and
    many at once take less, so that is left to the thread that delivers.
    """

    path: ClassVar[str] = VISITS
    kind: ClassVar[str] = "Visits"
    is_listed: ClassVar[bool] = True

    at_ns: int
    entropy: bytes
    origin: str
    page: str
    """The path of the page."""
    query: str
    address: str
    browser: str
    """The fields ``user_agent`` and ``headers`` as JSON, shared by visits of alike browsers."""
    method: str
    status_code: int
    milliseconds: float
    http_version: str
    referrer: str
    """JSON, as are those that follow."""
    title: str
    visitor_id: str
    user_id: str
    properties: str

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes, if it shares nothing."""
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
        """The visit as JSON, the same each time."""
        # json.dumps would take more than twice as long.
        text = (
            f'{{"id":"{uuid7(self.at_ns, self.entropy)}","site":null,'
            f'"timestamp":"{rfc3339(self.at_ns)}",'
            f'"url":{quoted((self.origin + _target(self.page, self.query))[:LONGEST_URL])},'
            f'"ip":"{self.address}",{self.browser},"referrer":{self.referrer},'
            f'"title":{self.title},"method":{quoted(self.method)},"status_code":{self.status_code:d},'
            f'"response_time_ms":{self.milliseconds:.0f},'
            f'"http_version":{_version(self.http_version)},'
            f'"visitor_id":{self.visitor_id},"user_id":{self.user_id},'
            f'"properties":{self.properties}}}'
        )
        return text.encode("ascii")


def note_visit(
    request: HttpRequest,
    visit: Visit,
    status_code: int,
    peers: Peers,
    http_version_key: str | None,
) -> VisitNote:
    """Note one visit.

    ``DisallowedHost`` when the request names a host that is not ours, ``BadPropertiesError``, and
    ``ValueError`` when nothing tells the visitor's address.
    """
    meta = request.META
    found = tuple(map(meta.get, _KEYS))
    peer = peers.find(found[_PEER])
    version = found[2]
    if peer.is_proxy:  # only the proxy can know which version the visitor spoke
        version = meta.get(http_version_key) if http_version_key else None
    elif version is None:
        scope = getattr(request, "scope", None)
        version = scope["http_version"] if scope else None
    browser = found[_BROWSER]
    return VisitNote(
        visit.at_ns,
        visit.entropy,
        origin_of(request, found[_HOST]),
        request.path,
        found[1] or "",
        peer.address,
        _browsers.get(browser) or _browsers.keep(browser, _write_browser(*browser)),
        request.method or "GET",
        status_code,
        visit.elapsed_ms,
        version or "",
        # A visit has few of these, and a call takes long.
        _NULL if found[0] is None else text_or_null(found[0], LONGEST_URL),
        _NULL if visit.title is None else text_or_null(visit.title, _LONGEST_HEADER),
        _NULL if visit.visitor_id is None else text_or_null(visit.visitor_id, LONGEST_ID),
        _NULL if visit.user_id is None else text_or_null(visit.user_id, LONGEST_ID),
        _properties(request, visit),
    )


_browsers: Memo[str] = Memo()


def _write_browser(user_agent: str | None, *headers: str | None) -> str:
    given = (
        f"{quoted(name)}:{quoted(value[:_LONGEST_HEADER])}"
        for name, value in zip(HEADERS, headers, strict=True)
        if value is not None
    )
    user_agent = quoted((user_agent or "")[:LONGEST_USER_AGENT])
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
    """Write path and query as in a URL."""
    try:
        return f"{escape_uri_path(path)}?{iri_to_uri(query)}" if query else escape_uri_path(path)
    except UnicodeError:  # lone surrogates: how a server may pass on bytes that are no UTF-8
        return _target(*(text.encode("utf-8", "replace").decode() for text in (path, query)))
