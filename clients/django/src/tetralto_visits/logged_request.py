"""A request in an access log, whatever the format of the log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

from tetralto_visits.address import Address
from tetralto_visits.log_fields import host_name

_REQUEST = re.compile(r"([A-Z]+) (.+?)(?: HTTP/(\S*))?", re.DOTALL)
_ABSOLUTE = re.compile(r"(https?)://([^/?#]*)(.*)", re.DOTALL | re.IGNORECASE)


class RequestLine(NamedTuple):
    """The method and target of a request."""

    method: str
    """Empty if the client did not send an HTTP request."""
    target: str
    """The path with its query."""
    origin: str | None = None
    """Scheme and host of an absolute target."""
    http_version: str | None = None


class LoggedRequest(NamedTuple):
    """A request. Texts are unescaped."""

    at: datetime
    address: Address
    line: RequestLine
    status: int
    """0 if there was no response."""
    referrer: str | None
    user_agent: str | None
    user: str | None
    host: str | None
    """The virtual host, if the log has it."""


def parse_request_line(text: str) -> RequestLine:
    """Parse ``GET /path HTTP/1.1``. The version may be missing, and the path may contain blanks."""
    found = _REQUEST.fullmatch(text.strip())
    if found is None:
        return RequestLine("", "")
    method, target, version = found.groups()
    return request_line(method, target, version)


def request_line(method: str, target: str, version: str | None = None) -> RequestLine:
    """Split the origin from an absolute target."""
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:
        scheme, authority, path = absolute.groups()
        authority = authority.rpartition("@")[2].lower()
        if host_name(authority) is not None:
            slash = "" if path.startswith("/") else "/"
            return RequestLine(method, slash + path, f"{scheme.lower()}://{authority}", version)
    return RequestLine(method, target, None, version)
