"""Decides whether a visitor may be tracked."""

from __future__ import annotations

from django.http import HttpRequest

from tetralto_visits.config import Rules


def is_tracking_allowed(request: HttpRequest, rules: Rules) -> bool:
    """Check the headers ``DNT`` and ``Sec-GPC`` and the function ``CONSENT``, if enabled."""
    if rules.respect_dnt:
        meta = request.META
        if meta.get("HTTP_DNT") == "1" or meta.get("HTTP_SEC_GPC") == "1":
            return False
    return rules.consent is None or bool(rules.consent(request))
