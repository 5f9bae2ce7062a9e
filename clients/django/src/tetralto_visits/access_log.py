"""Parses access logs.

JSON logs of nginx, Caddy and Traefik, and W3C extended logs (IIS, CloudFront) are recognized by
their lines. Others are in the common or combined format of Apache, nginx and others:
``[host] address identity user [time] "request" status bytes "referrer" "user agent" …``
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from urllib.parse import urlsplit

from tetralto_visits.json_log import parse_json_line
from tetralto_visits.log_fields import (
    given,
    parse_address_fields,
    split_at_time,
    split_fields,
    split_quoted,
)
from tetralto_visits.logged_request import LoggedRequest, parse_request_line
from tetralto_visits.page_files import skip_reason
from tetralto_visits.w3c_log import W3cDirectives

_STATUS = re.compile(r"\d{3}", re.ASCII)
_MAX_REMEMBERED_LINES = 10_000
# The limits of ``POST /import``.
_MAX_LINE_BYTES, _MAX_URL_BYTES = 65_536, 4_096
# The id is a hash of the whole line, so a line that is sent again is not recorded again.
_NAMESPACE = uuid.UUID("6f6d7c0e-3f0b-5d0f-9d3a-5c1f6f0f6a10")
_MAX_USER_AGENT_CHARS = 1024
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One request in the log."""

    id: uuid.UUID
    at: datetime
    ip: str
    method: str
    """Empty if the client did not send an HTTP request."""
    target: str
    """The path with its query."""
    http_version: str | None
    status: int
    """0 if there was no response."""
    referrer: str | None
    user_agent: str
    user: str | None = None
    origin: str | None = None
    """Scheme and host of an absolute target."""
    host: str | None = None
    """The virtual host, if the log has it."""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def skip_reason(self) -> str | None:
        """Why the request is not a page view; ``None`` if it is one."""
        if not self.method or (self.method == "GET" and not self.target.startswith("/")):
            return "request"
        return skip_reason(self.method, self.target, self.status)

    def url(self, site: str) -> str:
        """Return the URL of the page. ``site`` is a URL such as ``https://example.com``."""
        scheme = urlsplit(site).scheme
        origin = self.origin or (f"{scheme}://{self.host}" if self.host else site)
        return f"{origin}{self.target}"

    def visit(self, site: str, *, with_user: bool = False) -> bytes:
        """Build the visit as JSON. ``site`` is a URL such as ``https://example.com``."""
        visit = {
            "id": str(self.id),
            "timestamp": self.at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            "url": self.url(site),
            "ip": self.ip,
            "user_agent": self.user_agent[:_MAX_USER_AGENT_CHARS],
            "referrer": self.referrer,
            "method": self.method,
            "status_code": self.status,
            "http_version": self.http_version,
        }
        if self.origin or self.host:
            # The client sends the host, so the host does not choose the site.
            visit["site"] = urlsplit(site).hostname
        if with_user and self.user:
            visit["user_id"] = self.user
        return json.dumps(visit, separators=(",", ":")).encode()


def read(lines: Iterable[str]) -> Iterator[LogLine | None]:
    """Parse line by line; ``None`` for a line that cannot be parsed.

    Identical lines are distinguished by their number. Empty lines and directives are left out.
    """
    directives = W3cDirectives()
    seen: dict[str, int] = {}
    is_first = True
    for text in lines:
        if len(seen) >= _MAX_REMEMBERED_LINES:  # identical lines are close together
            seen = dict(list(seen.items())[_MAX_REMEMBERED_LINES // 2 :])
        stripped = text.rstrip("\r\n")
        if is_first:
            stripped = stripped.removeprefix(_BYTE_ORDER_MARK)
            is_first = False
        if not stripped.strip():
            continue
        if stripped.startswith("#"):
            directives.read(stripped)
            continue
        nth = seen.pop(stripped, 0)
        seen[stripped] = nth + 1
        yield _parse(stripped, nth, directives)


def _parse(text: str, nth: int, directives: W3cDirectives) -> LogLine | None:
    try:
        length = len(text.encode())
    except UnicodeEncodeError:  # surrogates stand for bytes that are not UTF-8
        return None
    if length > _MAX_LINE_BYTES:
        return None
    if directives.has_fields:
        request = directives.parse_line(text)
    elif text.lstrip().startswith("{"):
        request = parse_json_line(text)
    else:
        request = _parse_common(text)
    if request is None or len(request.line.target.encode("utf-8", "replace")) > _MAX_URL_BYTES:
        return None
    return LogLine(
        id=uuid.uuid5(_NAMESPACE, f"{nth}:{text}"),
        at=request.at,
        ip=str(request.address),
        method=request.line.method,
        target=request.line.target,
        http_version=request.line.http_version,
        status=request.status,
        referrer=request.referrer,
        user_agent=request.user_agent or "",
        user=request.user,
        origin=request.line.origin,
        host=request.host,
    )


def _parse_common(text: str) -> LoggedRequest | None:
    parts = split_at_time(text)
    fields = parse_address_fields(parts[0]) if parts else None
    request = split_quoted(parts[2]) if parts else None
    if parts is None or fields is None or request is None:
        return None
    status, values = _status_and_values(request[1])
    if status is None or values is None:
        return None
    referrer, user_agent = _referrer_and_user_agent(values)
    return LoggedRequest(
        parts[1],
        fields.address,
        parse_request_line(request[0]),
        status,
        given(referrer),
        given(user_agent),
        fields.user,
        fields.host,
    )


def _status_and_values(rest: str) -> tuple[int | None, list[tuple[bool, str]] | None]:
    """Parse the status; returns it with the fields that follow."""
    fields = split_fields(rest, 2)
    if not fields:
        return None, None
    is_quoted, status = fields[0]
    if is_quoted or not (status == "-" or _STATUS.fullmatch(status)):
        return None, None
    return 0 if status == "-" else int(status), fields[1:]


def _referrer_and_user_agent(fields: list[tuple[bool, str]]) -> tuple[str | None, str | None]:
    """Choose from the fields after the status: bytes, referrer, user agent, and others."""
    if fields and not fields[0][0]:
        fields = fields[1:]
    # A missing value may be written without quotes. Other plain fields, such as a duration, are
    # neither referrer nor user agent.
    values = [text for is_quoted, text in fields if is_quoted or text == "-"]
    if len(values) == 1 and values[0] != "-" and not values[0].startswith("http"):
        return None, values[0]
    referrer, user_agent, *_ = [*values, None, None]
    return referrer, user_agent
