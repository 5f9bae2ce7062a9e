"""Serializes texts, objects and events as JSON for visitor-analytics."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from os import urandom
from time import time_ns
from typing import Any
from urllib.parse import urlsplit

from django.http import HttpRequest

from tetralto_visits.address import Peers
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.visit import Visit

MAX_URL_CHARS = 2048
MAX_USER_AGENT_CHARS = 1024
MAX_ID_CHARS = 128
_MAX_OBJECT_CHARS = 8192


class BadPropertiesError(ValueError):
    """The properties that a view has set cannot be serialized, or are too long."""


def write_event(
    request: HttpRequest,
    visit: Visit,
    event_type: str,
    metadata: dict[str, Any],
    peers: Peers,
) -> bytes:
    """Serialize one event of a visit.

    Raises ``DisallowedHost`` if the host is not allowed, ``BadPropertiesError`` if the metadata are
    invalid, and ``ValueError`` if the address of the visitor is unknown.
    """
    at_ns = time_ns()
    event = {
        "id": uuid7(at_ns, urandom(8)),
        "event_type": str(event_type),
        "site": urlsplit(f"//{request.get_host()}").hostname,
        "user_id": _short(visit.user_id),
        "visitor_id": _short(visit.visitor_id),
        "ip": peers.of(request.META).address,
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT_CHARS],
        "timestamp": rfc3339(at_ns),
        "metadata": metadata,
    }
    return write_object(event).encode("ascii")


def write_object(content: dict[str, Any]) -> str:
    """Serialize an object; unknown types become texts. Raises ``BadPropertiesError``."""
    if not content:
        return "{}"
    try:
        text = json.dumps(content, separators=(",", ":"), default=str, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadPropertiesError from error
    if len(text) > _MAX_OBJECT_CHARS:
        raise BadPropertiesError
    return text


def _short(own_id: object) -> str | None:
    """Convert an id to a text, because views may set numbers."""
    return None if own_id is None or own_id == "" else str(own_id)[:MAX_ID_CHARS]


def text_or_null(value: object, longest: int) -> str:
    """Serialize a text, cut to ``longest`` characters; a missing or empty one as null."""
    return "null" if value is None or value == "" else quoted(str(value)[:longest])
