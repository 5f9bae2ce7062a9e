"""Records visits, events and engagements, and queues them for the background sender."""

from __future__ import annotations

from os import getpid
from typing import Any
from uuid import UUID

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tetralto_visits.address import Peers
from tetralto_visits.config import Config
from tetralto_visits.consent import may_tell
from tetralto_visits.courier import Courier
from tetralto_visits.delivery import courier_for
from tetralto_visits.note import note_visit
from tetralto_visits.pages import is_page_view
from tetralto_visits.parcel import EVENTS, Parcel, engagement_path
from tetralto_visits.visit import Visit
from tetralto_visits.wire import BadPropertiesError, write_event, write_object


class Recorder:
    """Records visits. Its methods never raise, because the page matters more than its visit."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.peers = Peers(config.proxies)
        self._courier: tuple[int, Courier] | None = None

    @property
    def courier(self) -> Courier:
        """The background sender of this process, which may have been forked since the last call."""
        pid = getpid()
        found = self._courier
        if found is None or found[0] != pid:
            found = self._courier = (pid, courier_for(self.config.target))
        return found[1]

    def may_tell(self, request: HttpRequest) -> bool:
        """Whether the visitor may be tracked; false if the function ``CONSENT`` fails."""
        try:
            return may_tell(request, self.config.rules)
        except Exception as error:  # noqa: BLE001
            self.courier.could_not_build(error)
            return False

    def wants(self, request: HttpRequest, response: HttpResponseBase, visit: Visit) -> bool:
        """Whether the visit should be recorded."""
        try:
            rules = self.config.rules
            return (
                not visit.is_skipped
                and is_page_view(request, response, rules)
                and may_tell(request, rules)
            )
        except Exception as error:  # noqa: BLE001
            self.courier.could_not_build(error)
            return False

    def visit(self, request: HttpRequest, response: HttpResponseBase, visit: Visit) -> None:
        """Record a visit."""
        try:
            key = self.config.http_version_key
            try:
                note = note_visit(request, visit, response.status_code, self.peers, key)
            except BadPropertiesError as error:  # record the visit without properties
                self.courier.could_not_build(error)
                visit.properties = {}
                note = note_visit(request, visit, response.status_code, self.peers, key)
            self.courier.put(note)
        except DisallowedHost:
            pass  # not a page of this site
        except Exception as error:  # noqa: BLE001
            self.courier.could_not_build(error)

    def event(
        self, request: HttpRequest, visit: Visit, event_type: str, metadata: dict[str, Any]
    ) -> None:
        """Record an event."""
        try:
            if may_tell(request, self.config.rules):
                body = write_event(request, visit, event_type, metadata, self.peers)
                self.courier.put(Parcel(EVENTS, body))
        except DisallowedHost:
            pass
        except Exception as error:  # noqa: BLE001
            self.courier.could_not_build(error)

    def engagement(self, visit: UUID, seconds: int, scroll_depth: int) -> None:
        """Record how long a page was visible, and how far it was scrolled (0 to 100)."""
        try:
            body = write_object({"engagement_seconds": seconds, "scroll_depth": scroll_depth})
            self.courier.put(Parcel(engagement_path(visit), body.encode()))
        except Exception as error:  # noqa: BLE001
            self.courier.could_not_build(error)
