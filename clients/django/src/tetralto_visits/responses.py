"""Classifies the responses of visitor-analytics."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tetralto_visits.connection import NoReply, Reply
from tetralto_visits.message import VISITS

_INVALID_MESSAGE = (400, 422)
_TOO_LARGE = 413
_CONFLICT = 409
_STATUSES = ("recorded", "duplicate", "ignored", "rejected")
# These may be caused by a single message that makes the service fail or crash.
_SUSPICIOUS_STATUSES = (500, 502)
_SUSPICIOUS_REASONS = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")
# The visit id of an engagement comes from the browser. It may not exist or belong to another site.
_UNKNOWN_VISIT_CODES = ("NOT_FOUND", "SITE_FORBIDDEN")
_UNKNOWN_PATHS = (404, 405, 501)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch was accepted. Single messages may have been rejected."""

    recorded: int
    duplicate: int = 0
    rejected: int = 0
    ignored: int = 0
    code: str | None = None
    """The error code of the first rejected message."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A message of the batch is invalid. Splitting the batch finds it."""

    reason: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The batch must be split."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The batch may succeed later, perhaps after the settings are corrected."""

    reason: str
    retry_after: float = 0.0
    is_suspicious: bool = False
    """Whether one of the messages may cause the failure."""


Answer = Accepted | Refused | TooLarge | Unavailable


def classify(reply: Reply | NoReply, path: str, messages: int) -> Answer:
    """Classify the response to a number of messages.

    Messages are given up only if visitor-analytics itself rejects them. A 400 of a proxy, a wrong
    token or a wrong URL can be corrected, and the messages are sent again.
    """
    if isinstance(reply, NoReply):
        return Unavailable(reply.reason, is_suspicious=reply.reason in _SUSPICIOUS_REASONS)
    if 200 <= reply.status < 300:
        counted = _count(reply.content, messages)
        if counted is None and path == VISITS:
            return Unavailable("not a response of visitor-analytics", reply.retry_after)
        return counted or Accepted(messages)
    reason = f"HTTP {reply.status}"
    if reply.status == _TOO_LARGE:
        return TooLarge(reason)
    problem = _problem(reply.content)
    if _is_message_invalid(reply.status, problem, path):
        return Refused(f"{reason} {problem['code']}")
    is_suspicious = reply.status in _SUSPICIOUS_STATUSES or (
        path != VISITS and reply.status in _UNKNOWN_PATHS
    )
    return Unavailable(reason, reply.retry_after, is_suspicious)


def _is_message_invalid(status: int, problem: dict[str, Any], path: str) -> bool:
    if "code" not in problem:
        return False
    if status in _INVALID_MESSAGE:
        return True
    if status == _CONFLICT:
        return problem.get("field") == "id"
    return path != VISITS and problem["code"] in _UNKNOWN_VISIT_CODES


def _problem(content: bytes) -> dict[str, Any]:
    """Parse problem details (RFC 9457) with a ``code``; empty if the content is anything else."""
    try:
        problem = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    is_ours = isinstance(problem, dict) and isinstance(problem.get("code"), str)
    # The code is logged, so its length is limited.
    return problem if is_ours and len(problem["code"]) <= 64 else {}


def _count(content: bytes, messages: int) -> Accepted | None:
    """Count the results by status. ``None`` unless there is one result for each message."""
    # Parsing a hundred results takes a millisecond, in which no request runs (GIL). In the compact
    # JSON of the service, counting this text is equivalent: within a JSON string, the quotes would
    # be escaped.
    if content.count(b'"status":"recorded"') == messages:
        return Accepted(messages)
    try:
        results = json.loads(content)["results"]
        counts = Counter(str(result["status"]) for result in results)
        first: dict[str, Any] = next((r for r in results if r["status"] == "rejected"), {})
        code = (first.get("error") or {}).get("code")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if sum(counts[status] for status in _STATUSES) != messages:
        return None
    return Accepted(
        counts["recorded"], counts["duplicate"], counts["rejected"], counts["ignored"], code
    )
