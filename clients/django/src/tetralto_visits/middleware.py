"""The middleware: notes each page view after the page was answered, and never gets in its way."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tetralto_visits import config
from tetralto_visits.delivery import courier_for
from tetralto_visits.visit import build, is_page_view

_log = logging.getLogger("tetralto_visits")

_Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class VisitMiddleware:
    """Listed first in ``MIDDLEWARE``, so that it sees what the visitor gets.

    Works under WSGI and ASGI without a thread switch. Turns itself off, with one log line,
    when the settings are missing or wrong.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], _Answer]) -> None:
        parsed, problems = config.read(settings, os.environ)
        if parsed is None:
            _log.warning("Visits are not recorded: %s", " ".join(p.message for p in problems))
            raise MiddlewareNotUsed
        self._config = parsed
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> _Answer:
        """Answer the request, then note the visit."""
        if self._is_async:
            return self._answer_async(request)
        at_ns, started = time.time_ns(), time.perf_counter()
        response = cast("HttpResponseBase", self._get_response(request))
        self._note(request, response, at_ns, started)
        return response

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        at_ns, started = time.time_ns(), time.perf_counter()
        response = await cast("Awaitable[HttpResponseBase]", self._get_response(request))
        self._note(request, response, at_ns, started)
        return response

    def _note(
        self, request: HttpRequest, response: HttpResponseBase, at_ns: int, started: float
    ) -> None:
        elapsed_ms = (time.perf_counter() - started) * 1000
        courier = courier_for(self._config.target)
        try:
            if is_page_view(request, response, self._config.excluded):
                visit = build(request, response, self._config.proxies, at_ns, elapsed_ms)
                if visit is not None:
                    courier.put(visit)
        except Exception as error:  # noqa: BLE001 - the page matters more than its visit
            courier.could_not_build(error)
