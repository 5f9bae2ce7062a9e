"""Parses access logs in the combined format of Apache and nginx."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from tetralto_visits.address import parse_address

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_LINE = re.compile(rf"(\S+) \S+ .*?\[([^\]]+)\] {_TEXT} (\d{{3}}) \S+(?: {_TEXT} {_TEXT})?")
_REQUEST = re.compile(r"([A-Z]+) (/\S*)(?: HTTP/([\d.]+))?")
_MAX_REMEMBERED_LINES = 10_000
# The id is a hash of the whole line, so a line that is sent again is not recorded again.
_NAMESPACE = uuid.UUID("6f6d7c0e-3f0b-5d0f-9d3a-5c1f6f0f6a10")
_MAX_URL_CHARS, _MAX_USER_AGENT_CHARS = 2048, 1024

ASSETS = (
    ".avif .bmp .css .eot .gif .gz .ico .jpeg .jpg .js .json .map .mjs .mp3 .mp4 .otf .pdf .png "
    ".rss .svg .tar .ttf .txt .webm .webmanifest .webp .woff .woff2 .xml .zip"
)
_ASSETS = tuple(ASSETS.split())


@dataclass(frozen=True, slots=True)
class LogLine:
    """One request in the log."""

    id: uuid.UUID
    at: datetime
    ip: str
    method: str
    target: str
    """The path with its query."""
    http_version: str | None
    status: int
    referrer: str | None
    user_agent: str

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @property
    def is_asset(self) -> bool:
        """Whether the path has the extension of an asset."""
        return self.path.lower().endswith(_ASSETS)

    def visit(self, site: str) -> bytes:
        """Build the visit as JSON. ``site`` is a URL such as ``https://example.com``."""
        visit = {
            "id": str(self.id),
            "timestamp": self.at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z"),
            "url": f"{site}{self.target}"[:_MAX_URL_CHARS],
            "ip": self.ip,
            "user_agent": self.user_agent[:_MAX_USER_AGENT_CHARS],
            "referrer": self.referrer,
            "method": self.method,
            "status_code": self.status,
            "http_version": self.http_version,
        }
        return json.dumps(visit, separators=(",", ":")).encode()


def read(lines: Iterable[str]) -> Iterator[LogLine | None]:
    """Parse line by line; ``None`` for a line that cannot be parsed.

    Identical lines are distinguished by their number.
    """
    seen: dict[str, int] = {}
    for text in lines:
        if len(seen) >= _MAX_REMEMBERED_LINES:  # identical lines are close together
            seen = dict(list(seen.items())[_MAX_REMEMBERED_LINES // 2 :])
        stripped = text.rstrip("\r\n")
        nth = seen.pop(stripped, 0)
        seen[stripped] = nth + 1
        yield _parse(stripped, nth)


def _parse(text: str, nth: int) -> LogLine | None:
    match = _LINE.match(text)
    request = _REQUEST.fullmatch(match[3]) if match else None
    address = parse_address(match[1]) if match else None
    if match is None or request is None or address is None:
        return None
    try:
        at = datetime.strptime(match[2], "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        return None
    return LogLine(
        id=uuid.uuid5(_NAMESPACE, f"{nth}:{text}"),
        at=at,
        ip=str(address),
        method=request[1],
        target=request[2],
        http_version=request[3],
        status=int(match[4]),
        referrer=_unescape(match[5]),
        user_agent=_unescape(match[6]) or "",
    )


def _unescape(text: str | None) -> str | None:
    """Unescape a quoted value; ``None`` for ``-``."""
    return None if text in (None, "", "-") else re.sub(r'\\(["\\])', r"\1", text or "")
