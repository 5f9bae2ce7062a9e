"""Parses W3C extended log files, such as those of IIS and the standard logs of CloudFront.

visitor-analytics applies the same rules to ``POST /import``; ``access_log_cases.jsonl`` tests both.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from tetralto_visits.json_log import visitor_address
from tetralto_visits.log_fields import first_address, given, host_name, parse_time
from tetralto_visits.logged_request import LoggedRequest, request_line

_VALUE = re.compile(r'"([^"]*)"|([^ ]+)')


class W3cDirectives:
    """What the directives of a file said so far. ``#Fields:`` names the fields of the lines."""

    def __init__(self) -> None:
        self._fields: list[str] = []
        self._day: str | None = None

    @property
    def has_fields(self) -> bool:
        """Whether the file is a W3C extended log."""
        return bool(self._fields)

    def read(self, line: str) -> None:
        """Read a directive."""
        name, _, value = line[1:].partition(":")
        words = value.split()
        if name.strip().lower() == "fields":
            self._fields = [word.lower() for word in words]
        elif name.strip().lower() == "date":
            # For lines that only have a time.
            self._day = words[0] if words else None

    def parse_line(self, line: str) -> LoggedRequest | None:
        """Parse a line with values."""
        values = _split_values(line)
        if len(values) < len(self._fields):
            return None
        named = dict(
            zip(reversed(self._fields), reversed(values[: len(self._fields)]), strict=True)
        )

        def value(*names: str) -> str | None:
            return next(filter(None, (given(named.get(name)) for name in names)), None)

        day, clock = value("date") or self._day, value("time")
        at = parse_time(f"{day} {clock}Z") if day else parse_time(f"{clock}")
        forwarded = value("x-forwarded-for", "cs(x-forwarded-for)") or ""
        forwarded = forwarded.replace("%2520", " ").replace("%20", " ")
        address = visitor_address(value("c-ip"), forwarded)
        method, status = value("cs-method"), value("sc-status") or ""
        target = value("cs-uri-stem", "cs-uri")
        if at is None or address is None or method is None or target is None:
            return None
        if not (status.isascii() and status.isdecimal()):
            return None
        query = value("cs-uri-query") if "?" not in target else None
        agent = value("cs(user-agent)")
        user = value("cs-username")
        return LoggedRequest(
            at,
            address,
            request_line(method, f"{target}?{query}" if query else target),
            int(status[:6]),
            value("cs(referer)", "cs(referrer)"),
            _decode_blanks(agent) if agent else None,
            user if user and first_address(user) is None else None,
            host_name(value("x-host-header", "cs-host", "cs(host)") or ""),
        )


def _split_values(line: str) -> list[str]:
    """Split a line at tabs, or at blanks if it has no tabs."""
    if "\t" in line:
        return [value.strip() for value in line.split("\t")]
    return [quoted or plain for quoted, plain in _VALUE.findall(line)]


def _decode_blanks(text: str) -> str:
    """Decode a user agent: CloudFront writes ``%20`` or ``%2520`` for blanks, IIS ``+``."""
    if "%20" in text or "%25" in text:
        once = unquote(text)
        return unquote(once) if "%20" in once else once
    if " " in text:
        return text
    # "++" is a blank before a plus sign, as in "; +http://…".
    return text.replace("++", " \0").replace("+", " ").replace("\0", "+")
