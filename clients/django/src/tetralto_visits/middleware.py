"""The middleware. It records page views after the response was created, without delaying it."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tetralto_visits import config, users
from tetralto_visits.recorder import Recorder
from tetralto_visits.tracking import start_visit

_log = logging.getLogger("tetralto_visits")

_Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class VisitMiddleware:
    """Must be the first entry of ``MIDDLEWARE``, so that it sees the final response.

    Works under WSGI and ASGI without switching threads. Sets ``request.visit`` on each request. If
    the settings are missing or invalid, it logs one warning and records nothing.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], _Answer]) -> None:
        parsed, problems = config.read(settings, os.environ)
        if parsed is None:
            _log.warning("Visits are not recorded: %s", " ".join(p.message for p in problems))
        self._recorder = Recorder(parsed) if parsed else None
        # Returns a response in sync mode, and an awaitable in async mode.
        self._get_response: Callable[[HttpRequest], Any] = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> _Answer:
        """Get the response, then record the visit."""
        if self._is_async:
            return self._answer_async(request)
        visit = start_visit(request, self._recorder)
        response: HttpResponseBase = self._get_response(request)
        recorder = self._recorder
        if recorder is not None and recorder.should_record(request, response, visit):
            if recorder.config.user_id and visit.user_id is None:
                visit.user_id = users.id_of(request)
            recorder.visit(request, response, visit)
        return response

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        visit = start_visit(request, self._recorder)
        response: HttpResponseBase = await self._get_response(request)
        recorder = self._recorder
        if recorder is not None and recorder.should_record(request, response, visit):
            if recorder.config.user_id and visit.user_id is None:
                visit.user_id = await users.id_of_async(request)
            recorder.visit(request, response, visit)
        return response
