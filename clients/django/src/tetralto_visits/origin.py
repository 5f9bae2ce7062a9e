"""Scheme and host of a request."""

from __future__ import annotations

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest

from tetralto_visits.memo import Memo

HOST_KEYS = (
    "HTTP_HOST",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "SERVER_NAME",
    "SERVER_PORT",
)
"""What ``HttpRequest.get_host`` looks at in ``META``."""

_origins: Memo[str] = Memo()


def origin_of(request: HttpRequest, named: tuple[str | None, ...]) -> str:
    """Write scheme and host as in a URL; ``named`` are the values of ``HOST_KEYS``.

    A host of ours is checked by Django once, since that takes long. ``DisallowedHost`` when the
    host is not ours.
    """
    scheme = request.scheme
    key = (scheme, *named)
    return _origins.get(key) or _origins.keep(key, f"{scheme}://{request.get_host()}")


@receiver(setting_changed)
def _forget(**_kwargs: object) -> None:
    """Which hosts are ours may be what a test has changed."""
    _origins.clear()
