"""The id of the logged-in user."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.http import HttpRequest


def id_of(request: HttpRequest) -> str | None:
    """Return the user's id. May cost a query if the view did not load the user. Never raises."""
    try:
        return _id(request.user) if _has_session(request) else None
    except Exception:  # noqa: BLE001 - the page matters more
        return None


async def id_of_async(request: HttpRequest) -> str | None:
    """Return the user's id without blocking the event loop."""
    try:
        if not _has_session(request):
            return None
        if hasattr(request, "auser"):
            return _id(await request.auser())
        return await sync_to_async(id_of)(request)  # Django 4.2
    except Exception:  # noqa: BLE001 - the page matters more
        return None


def _has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES and hasattr(request, "user")


def _id(user: Any) -> str | None:  # noqa: ANN401
    return str(user.pk) if user.is_authenticated else None
