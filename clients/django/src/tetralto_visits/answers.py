"""What the answers of visitor-analytics mean for what was posted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tetralto_visits.link import NoReply, Reply
from tetralto_visits.parcel import VISITS

# The parcels themselves are wrong: they would be refused for ever.
_BAD_PARCELS = (400, 413, 415, 422)
# The service does not know what else than visits this package sends, or not that visit.
_UNKNOWN_PATH = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch was taken, but for those of its parcels that were rejected."""

    recorded: int
    duplicate: int = 0
    rejected: int = 0
    code: str | None = None
    """Why the first of the rejected was."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch as a whole will never be taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The batch may be taken later, perhaps when somebody has mended the settings."""

    reason: str
    retry_after: float = 0.0


Answer = Accepted | Refused | Unavailable


def judge(reply: Reply | NoReply, path: str, parcels: int) -> Answer:
    """Say what a reply to so many parcels means.

    Visits are given up only where they are wrong themselves: a token or an address that is wrong
    can be mended, and they are sent then.
    """
    if isinstance(reply, NoReply):
        return Unavailable(reply.reason)
    if 200 <= reply.status < 300:
        counted = _count(reply.content, parcels)
        if counted is None and path == VISITS:
            return Unavailable("an answer that is not visitor-analytics's")
        return counted or Accepted(parcels)
    reason = f"HTTP {reply.status}"
    if reply.status in _BAD_PARCELS or (path != VISITS and reply.status in _UNKNOWN_PATH):
        return Refused(reason)
    return Unavailable(reason, reply.retry_after)


def _count(content: bytes, parcels: int) -> Accepted | None:
    # Reading a hundred answers as JSON would keep requests from running for a millisecond. Where
    # they are written as compactly as by the service, counting words tells the same: inside of a
    # JSON text the quotes would have backslashes.
    if content.count(b'"status":"recorded"') == parcels:
        return Accepted(parcels)
    try:
        results = json.loads(content)["results"]
        statuses = [result["status"] for result in results]
        first: dict[str, Any] = next((r for r in results if r["status"] == "rejected"), {})
        code = (first.get("error") or {}).get("code")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Accepted(
        statuses.count("recorded"), statuses.count("duplicate"), statuses.count("rejected"), code
    )
