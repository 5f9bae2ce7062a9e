"""One keep-alive connection to visitor-analytics, and what its answers mean."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from time import time
from typing import Any
from urllib.parse import urlsplit

_LARGEST_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch was taken; each result has a ``status`` and perhaps an ``error``."""

    results: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch as a whole will never be taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The batch may be taken later; ``retry_after`` is what the service asked for, in seconds."""

    reason: str
    retry_after: float = 0.0


Answer = Accepted | Refused | Unavailable


class Link:
    """Posts to ``{service_url}/visits``; used by one thread only."""

    def __init__(self, service_url: str, token: str, now: Callable[[], float] = time) -> None:
        parts = urlsplit(service_url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port)
        self._path = f"{parts.path}/visits"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "tetralto-visits",
        }
        self._now = now

    def post(self, body: bytes, timeout: float) -> Answer:
        """Send a JSON array; never raises for what the network or the service does."""
        is_reused = self._connection.sock is not None
        try:
            try:
                return self._exchange(body, timeout)
            except ConnectionError:
                # The service closes idle connections; ids make it safe to send at once again.
                if not is_reused:
                    raise
                self.close()
                return self._exchange(body, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Unavailable(type(error).__name__)

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        self._connection.close()

    def _exchange(self, body: bytes, timeout: float) -> Answer:
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        content = response.read(_LARGEST_ANSWER)
        if not response.isclosed():
            self.close()
        return _read(response.status, response.getheader("Retry-After"), content, self._now())


def _read(status: int, retry_after: str | None, content: bytes, now: float) -> Answer:
    if status == 429 or status >= 500:
        return Unavailable(f"HTTP {status}", seconds_to_wait(retry_after, now))
    if not 200 <= status < 300:
        return Refused(f"HTTP {status}")
    try:
        results = json.loads(content)["results"]
        if all(isinstance(result, dict) for result in results):
            return Accepted(list(results))
    except (ValueError, KeyError, TypeError):
        pass
    return Refused("an answer that is not visitor-analytics's")


def seconds_to_wait(retry_after: str | None, now: float) -> float:
    """Read ``Retry-After`` (RFC 9110, section 10.2.3), seconds or a date; 0 when unreadable."""
    text = (retry_after or "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    # A date without a zone ("-0000") means UTC.
    date = date if date.tzinfo else date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.fromtimestamp(now, timezone.utc)).total_seconds())
