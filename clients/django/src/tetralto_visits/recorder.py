"""Records visits, events and engagements, and queues them for the background sender."""

from __future__ import annotations

from os import getpid
from typing import Any
from uuid import UUID

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tetralto_visits.address import Peers
from tetralto_visits.background_sender import BackgroundSender
from tetralto_visits.config import Config
from tetralto_visits.consent import is_tracking_allowed
from tetralto_visits.message import EVENTS, Message, engagement_path
from tetralto_visits.page_views import is_page_view
from tetralto_visits.payload import capture_visit
from tetralto_visits.registry import sender_for
from tetralto_visits.serialization import BadPropertiesError, write_event, write_object
from tetralto_visits.visit import Visit


class Recorder:
    """Records visits. Its methods never raise, because the page matters more than its visit."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.peers = Peers(config.proxies)
        self._sender: tuple[int, BackgroundSender] | None = None

    @property
    def sender(self) -> BackgroundSender:
        """The background sender of this process, which may have been forked since the last call."""
        pid = getpid()
        found = self._sender
        if found is None or found[0] != pid:
            found = self._sender = (pid, sender_for(self.config.target))
        return found[1]

    def is_tracking_allowed(self, request: HttpRequest) -> bool:
        """Whether the visitor may be tracked; false if the function ``CONSENT`` fails."""
        try:
            return is_tracking_allowed(request, self.config.rules)
        except Exception as error:  # noqa: BLE001
            self.sender.record_failure(error)
            return False

    def should_record(self, request: HttpRequest, response: HttpResponseBase, visit: Visit) -> bool:
        """Whether the visit should be recorded."""
        try:
            rules = self.config.rules
            return (
                not visit.is_skipped
                and is_page_view(request, response, rules)
                and is_tracking_allowed(request, rules)
            )
        except Exception as error:  # noqa: BLE001
            self.sender.record_failure(error)
            return False

    def visit(self, request: HttpRequest, response: HttpResponseBase, visit: Visit) -> None:
        """Record a visit."""
        try:
            key = self.config.http_version_key
            try:
                payload = capture_visit(request, visit, response.status_code, self.peers, key)
            except BadPropertiesError as error:  # record the visit without properties
                self.sender.record_failure(error)
                visit.properties = {}
                payload = capture_visit(request, visit, response.status_code, self.peers, key)
            self.sender.put(payload)
        except DisallowedHost:
            pass  # not a page of this site
        except Exception as error:  # noqa: BLE001
            self.sender.record_failure(error)

    def event(
        self, request: HttpRequest, visit: Visit, event_type: str, metadata: dict[str, Any]
    ) -> None:
        """Record an event."""
        try:
            if is_tracking_allowed(request, self.config.rules):
                body = write_event(request, visit, event_type, metadata, self.peers)
                self.sender.put(Message(EVENTS, body))
        except DisallowedHost:
            pass
        except Exception as error:  # noqa: BLE001
            self.sender.record_failure(error)

    def engagement(self, visit: UUID, seconds: int, scroll_depth: int) -> None:
        """Record how long a page was visible, and how far it was scrolled (0 to 100)."""
        try:
            body = write_object({"engagement_seconds": seconds, "scroll_depth": scroll_depth})
            self.sender.put(Message(engagement_path(visit), body.encode()))
        except Exception as error:  # noqa: BLE001
            self.sender.record_failure(error)
