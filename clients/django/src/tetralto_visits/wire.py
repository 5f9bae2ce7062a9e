"""How texts, objects and events are written as JSON for visitor-analytics."""

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

LONGEST_URL = 2048
LONGEST_USER_AGENT = 1024
LONGEST_ID = 128
_LONGEST_OBJECT = 8192


class BadPropertiesError(ValueError):
    """What a view said is no JSON, or too long."""


def write_event(
    request: HttpRequest,
    visit: Visit,
    event_type: str,
    metadata: dict[str, Any],
    peers: Peers,
) -> bytes:
    """Write one event of a visit as JSON.

    ``DisallowedHost`` when the request names a host that is not ours, ``BadPropertiesError``, and
    ``ValueError`` when nothing tells the visitor's address.
    """
    at_ns = time_ns()
    event = {
        "id": uuid7(at_ns, urandom(8)),
        "event_type": str(event_type),
        "site": urlsplit(f"//{request.get_host()}").hostname,
        "user_id": _short(visit.user_id),
        "visitor_id": _short(visit.visitor_id),
        "ip": peers.of(request.META).address,
        "user_agent": request.META.get("HTTP_USER_AGENT", "")[:LONGEST_USER_AGENT],
        "timestamp": rfc3339(at_ns),
        "metadata": metadata,
    }
    return write_object(event).encode("ascii")


def write_object(content: dict[str, Any]) -> str:
    """Write JSON, as texts what JSON does not know; ``BadPropertiesError`` when it cannot be."""
    if not content:
        return "{}"
    try:
        text = json.dumps(content, separators=(",", ":"), default=str, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise BadPropertiesError from error
    if len(text) > _LONGEST_OBJECT:
        raise BadPropertiesError
    return text


def _short(own_id: object) -> str | None:
    """Make an id of the site's a text, as which it is expected: views like to give numbers."""
    return None if own_id is None or own_id == "" else str(own_id)[:LONGEST_ID]


def text_or_null(value: object, longest: int) -> str:
    """Write a text as JSON, cut to so many characters; one that is missing or empty as null."""
    return "null" if value is None or value == "" else quoted(str(value)[:longest])
