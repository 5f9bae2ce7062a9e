"""Scheme and host of a request."""

from __future__ import annotations

from django.core.signals import setting_changed
from django.dispatch import receiver
from django.http import HttpRequest

from tetralto_visits.cache import BoundedCache

HOST_KEYS = (
    "HTTP_HOST",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "SERVER_NAME",
    "SERVER_PORT",
)
"""The keys of ``META`` that ``HttpRequest.get_host`` reads."""

_origins: BoundedCache[str] = BoundedCache()


def origin_of(request: HttpRequest, named: tuple[str | None, ...]) -> str:
    """Return scheme and host as in a URL. ``named`` are the values of ``HOST_KEYS``.

    Raises ``DisallowedHost`` if the host is not allowed. Results are cached, because Django's check
    is slow.
    """
    scheme = request.scheme
    key = (scheme, *named)
    return _origins.get(key) or _origins.store(key, f"{scheme}://{request.get_host()}")


@receiver(setting_changed)
def _forget(**_kwargs: object) -> None:
    """Clear the cache: a test may have changed the allowed hosts."""
    _origins.clear()
