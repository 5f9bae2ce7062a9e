"""Parses access logs that contain a JSON object per line: nginx, Caddy, Traefik.

visitor-analytics applies the same rules to ``POST /import``; ``access_log_cases.jsonl`` tests both.
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from tetralto_visits.address import Address
from tetralto_visits.log_fields import first_address, given, host_name, parse_time
from tetralto_visits.logged_request import LoggedRequest, parse_request_line, request_line


class _Keys(NamedTuple):
    """The keys of a format. The first that has a value counts."""

    time: str
    ip: str
    forwarded_for: str
    request: str
    method: str
    target: str
    query: str
    host: str
    status: str
    referrer: str
    user_agent: str
    user: str


_NGINX = _Keys(
    time="time_iso8601 time_local msec @timestamp timestamp time ts",
    ip="remote_addr remote_ip client_ip client clientip ip realip_remote_addr",
    forwarded_for="http_x_forwarded_for x_forwarded_for proxy_add_x_forwarded_for",
    request="request",
    method="request_method method",
    target="request_uri uri path",
    query="args query_string",
    host="host http_host server_name vhost",
    status="status status_code response",
    referrer="http_referer http_referrer referer referrer",
    user_agent="http_user_agent user_agent agent useragent",
    user="remote_user",
)
_CADDY = _Keys(
    time="ts time timestamp",
    ip="request.client_ip request.remote_ip request.remote_addr",
    forwarded_for="request.headers.X-Forwarded-For",
    request="",
    method="request.method",
    target="request.uri",
    query="",
    host="request.host",
    status="status",
    referrer="request.headers.Referer",
    user_agent="request.headers.User-Agent",
    user="user_id",
)
_TRAEFIK = _Keys(
    time="StartUTC StartLocal time",
    ip="ClientHost ClientAddr",
    forwarded_for="request_X-Forwarded-For",
    request="",
    method="RequestMethod",
    target="RequestPath",
    query="",
    host="RequestHost RequestAddr",
    status="DownstreamStatus OriginStatus",
    referrer="request_Referer",
    user_agent="request_User-Agent",
    user="ClientUsername",
)


def parse_json_line(text: str) -> LoggedRequest | None:
    """Parse a line; ``None`` if it is no request of a known format."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    keys = _keys_of(fields)
    at = _parse_time(_find(fields, keys.time))
    address = visitor_address(_text(fields, keys.ip), _text(fields, keys.forwarded_for))
    status = _text(fields, keys.status) or ""
    if at is None or address is None or not (status.isascii() and status.isdecimal()):
        return None
    request = _text(fields, keys.request)
    method, target = _text(fields, keys.method), _text(fields, keys.target)
    if request is not None:
        line = parse_request_line(request)
    elif method is None or target is None:
        return None
    else:
        query = _text(fields, keys.query) if "?" not in target else None
        line = request_line(method, f"{target}?{query}" if query else target)
    user = _text(fields, keys.user)
    return LoggedRequest(
        at,
        address,
        line,
        int(status[:6]),
        _text(fields, keys.referrer),
        _text(fields, keys.user_agent),
        user if user and first_address(user) is None else None,
        host_name(_text(fields, keys.host) or ""),
    )


def _keys_of(fields: dict[str, Any]) -> _Keys:
    if _find(fields, "request.uri request.remote_ip request.client_ip") is not None:
        return _CADDY
    if _find(fields, "RequestMethod DownstreamStatus ClientAddr") is not None:
        return _TRAEFIK
    return _NGINX


def visitor_address(peer: str | None, forwarded_for: str | None) -> Address | None:
    """Return the visitor's address: the first forwarded one if the peer is a private address."""
    direct = first_address(peer or "")
    if direct is not None and direct.is_global:
        return direct
    parts = (forwarded_for or "").replace("+", ",").replace(" ", ",").split(",")
    for part in parts:
        if address := first_address(part):
            return address
    return direct


def _find(fields: dict[str, Any], keys: str) -> Any:  # noqa: ANN401
    """Find the first key with a value. A dot separates the keys of nested objects."""
    for key in keys.split():
        value: Any = fields
        for part in key.split(".", 2):
            value = _get(value, part) if isinstance(value, dict) else None
        if value not in (None, "", "-"):
            return value
    return None


def _get(fields: dict[str, Any], key: str) -> Any:  # noqa: ANN401
    if key in fields:
        return fields[key]
    return next((value for name, value in fields.items() if name.lower() == key.lower()), None)


def _text(fields: dict[str, Any], keys: str) -> str | None:
    value = _find(fields, keys)
    if isinstance(value, list):  # the values of a header
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return given(str(value))


def _parse_time(value: Any) -> datetime | None:  # noqa: ANN401
    """Parse a text, or the time since 1970 in seconds, milliseconds, microseconds, nanoseconds."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return parse_time(value) or parse_time(f"{value}Z")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
        if not math.isfinite(number) or number < 0:
            return None
        # The unit follows from the size: 10^11 seconds are in the year 5138.
        factor = next(
            (f for most, f in ((1e11, 1e6), (1e14, 1e3), (1e17, 1)) if number < most), 1e-3
        )
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
            microseconds=round(number * factor)
        )
    except OverflowError:
        return None
