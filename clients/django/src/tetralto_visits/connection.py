"""A keep-alive connection to visitor-analytics."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit

_MAX_RESPONSE_BYTES = 1 << 20
_MIN_COMPRESSED_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """A response of the service."""

    status: int
    content: bytes
    retry_after: float
    """``Retry-After`` in seconds; 0 if it is missing."""


@dataclass(frozen=True, slots=True)
class NoReply:
    """No valid HTTP response was received."""

    reason: str


class Connection:
    """Posts JSON to the service. Not thread-safe."""

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
        """Send JSON. Never raises an error of the network or the service.

        ``timeout`` in seconds applies to each step: connecting, sending, and each read.
        """
        is_reused = self._connection.sock is not None
        try:
            try:
                return self._exchange(path, body, timeout)
            except ConnectionError:
                # The service closes idle connections. The ids make a repetition safe.
                if not is_reused:
                    raise
                self.close()
                return self._exchange(path, body, timeout)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return NoReply(type(error).__name__)

    def close(self) -> None:
        """Close the connection. The next post opens a new one."""
        self._connection.close()

    def _exchange(self, path: str, body: bytes, timeout: float) -> Reply:
        headers = self._headers
        if len(body) >= _MIN_COMPRESSED_BYTES:
            body = gzip.compress(body, 5)
            headers = {**headers, "Content-Encoding": "gzip"}
        self._connection.timeout = timeout
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout)
        self._connection.request("POST", self._prefix + path, body, headers)
        response = self._connection.getresponse()
        content = response.read(_MAX_RESPONSE_BYTES)
        if not response.isclosed():
            self.close()
        wait = seconds_to_wait(response.getheader("Retry-After"), self._now())
        return Reply(response.status, content, wait)


def seconds_to_wait(retry_after: str | None, now: float) -> float:
    """Parse ``Retry-After`` (RFC 9110, section 10.2.3), seconds or a date; 0 if it is invalid."""
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
