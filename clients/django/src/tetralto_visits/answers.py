"""What the answers of visitor-analytics mean for what was posted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tetralto_visits.link import NoReply, Reply
from tetralto_visits.parcel import VISITS

_BAD_PARCELS = (400, 422)
_TOO_LARGE = 413
_CONFLICT = 409
_STATUSES = ("recorded", "duplicate", "ignored", "rejected")
# An answer with one of these may be the fault of one parcel: it makes the service fail, or end.
_SUSPICIOUS_STATUSES = (500, 502)
_SUSPICIOUS_REASONS = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")
# The page script names the visit of an engagement, so anybody can name one that does not exist or
# belongs to another site.
_UNKNOWN_VISIT_CODES = ("NOT_FOUND", "SITE_FORBIDDEN")
_UNKNOWN_PATHS = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch was taken, but for those of its parcels that were rejected."""

    recorded: int
    duplicate: int = 0
    rejected: int = 0
    ignored: int = 0
    code: str | None = None
    """Why the first of the rejected was."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A parcel of the batch is wrong and will never be taken; in a smaller batch it is found."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The batch has to be split."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The batch may be taken later, perhaps when somebody has mended the settings."""

    reason: str
    retry_after: float = 0.0
    is_suspicious: bool = False
    """Whether one of the parcels may be what makes the service fail."""


Answer = Accepted | Refused | TooLarge | Unavailable


def judge(reply: Reply | NoReply, path: str, parcels: int) -> Answer:
    """Say what a reply to so many parcels means.

    Only what visitor-analytics itself says about the parcels is believed to be their fault: a
    proxy's 400, a token or an address that is wrong can be mended, and the parcels are sent then.
    """
    if isinstance(reply, NoReply):
        return Unavailable(reply.reason, is_suspicious=reply.reason in _SUSPICIOUS_REASONS)
    if 200 <= reply.status < 300:
        counted = _count(reply.content, parcels)
        if counted is None and path == VISITS:
            return Unavailable("an answer that is not visitor-analytics's", reply.retry_after)
        return counted or Accepted(parcels)
    reason = f"HTTP {reply.status}"
    if reply.status == _TOO_LARGE:
        return TooLarge(reason)
    problem = _problem(reply.content)
    if _blames_parcels(reply.status, problem, path):
        return Refused(f"{reason} {problem['code']}")
    is_suspicious = reply.status in _SUSPICIOUS_STATUSES or (
        path != VISITS and reply.status in _UNKNOWN_PATHS
    )
    return Unavailable(reason, reply.retry_after, is_suspicious)


def _blames_parcels(status: int, problem: dict[str, Any], path: str) -> bool:
    if "code" not in problem:
        return False
    if status in _BAD_PARCELS:
        return True
    if status == _CONFLICT:
        return problem.get("field") == "id"
    return path != VISITS and problem["code"] in _UNKNOWN_VISIT_CODES


def _problem(content: bytes) -> dict[str, Any]:
    """Read problem details (RFC 9457) with the service's ``code``; empty when it is no such."""
    try:
        problem = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    is_ours = isinstance(problem, dict) and isinstance(problem.get("code"), str)
    # The code goes to the log.
    return problem if is_ours and len(problem["code"]) <= 64 else {}


def _count(content: bytes, parcels: int) -> Accepted | None:
    """Count the answers about each parcel; ``None`` unless there is one about each."""
    # Reading a hundred answers as JSON would keep requests from running for a millisecond. Where
    # they are written as compactly as by the service, counting words tells the same: inside of a
    # JSON text the quotes would have backslashes.
    if content.count(b'"status":"recorded"') == parcels:
        return Accepted(parcels)
    try:
        results = json.loads(content)["results"]
        counts = Counter(str(result["status"]) for result in results)
        first: dict[str, Any] = next((r for r in results if r["status"] == "rejected"), {})
        code = (first.get("error") or {}).get("code")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if sum(counts[status] for status in _STATUSES) != parcels:
        return None
    return Accepted(
        counts["recorded"], counts["duplicate"], counts["rejected"], counts["ignored"], code
    )
