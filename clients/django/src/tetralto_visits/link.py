"""One keep-alive connection to visitor-analytics."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

_LARGEST_ANSWER = 1 << 20
_SMALLEST_TO_PACK = 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service said."""

    status: int
    content: bytes
    retry_after: float
    """Seconds to wait, as the service asks; 0 when it does not."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """The service said nothing that can be read."""

    reason: str


class Link:
    """Posts JSON to the service; used by one thread only."""

    def __init__(self, service_url: str, token: str, now: Callable[[], float] = time) -> None:
        parts = urlsplit(service_url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port)
        self._prefix = parts.path
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "User-Agent": "tetralto-visits",
        }
        self._now = now

    def post(self, path: str, body: bytes, timeout: float) -> Reply | NoReply:
        """Send JSON; never raises for what the network or the service does.

        ``timeout`` in seconds is for each step: to connect, to send, each wait for an answer.
        """
        is_reused = self._connection.sock is not None
        try:
            try:
                return self._exchange(path, body, timeout)
            except ConnectionError:
                # The service closes idle connections; ids make it safe to send at once again.
                if not is_reused:
                    raise
                self.close()
                return self._exchange(path, body, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return NoReply(type(error).__name__)

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        self._connection.close()

    def _exchange(self, path: str, body: bytes, timeout: float) -> Reply:
        headers = self._headers
        if len(body) >= _SMALLEST_TO_PACK:
            body = gzip.compress(body, 5)
            headers = {**headers, "Content-Encoding": "gzip"}
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request("POST", self._prefix + path, body, headers)
        response = self._connection.getresponse()
        content = response.read(_LARGEST_ANSWER)
        if not response.isclosed():
            self.close()
        wait = seconds_to_wait(response.getheader("Retry-After"), self._now())
        return Reply(response.status, content, wait)


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
