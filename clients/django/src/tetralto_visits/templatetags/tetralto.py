"""``{% load tetralto %}{% tetralto_script %}``: the page script, for the end of a page."""

from __future__ import annotations

from django import template
from django.template import Context
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from tetralto_visits.page_views import can_be_page_view
from tetralto_visits.tracking import recorder_of
from tetralto_visits.views import page_script
from tetralto_visits.visit import Visit

register = template.Library()


@register.simple_tag(takes_context=True)
def tetralto_script(context: Context, nonce: object = None) -> SafeString:
    """Render the script tag, or nothing if the visit is not recorded or must not be tracked.

    The nonce is the argument, or else that of Django's or django-csp's content security policy.
    """
    request = context.get("request")
    visit: Visit | None = getattr(request, "visit", None)
    recorder = recorder_of(request) if request is not None else None
    empty = SafeString("")
    if request is None or visit is None or recorder is None or visit.is_skipped:
        return empty
    try:
        if not (
            can_be_page_view(request, recorder.config.rules)
            and recorder.is_tracking_allowed(request)
        ):
            return empty
        script = reverse("tetralto_visits:script")
        to = reverse("tetralto_visits:engagement")
    except NoReverseMatch as error:
        recorder.sender.record_failure(error)
        return empty
    for found in (context.get("csp_nonce"), getattr(request, "csp_nonce", None)):
        nonce = found if nonce is None else nonce
    return format_html(
        '<script defer src="{}?v={}" data-visit="{}" data-to="{}"{}></script>',
        script,
        page_script().version,
        visit.id,
        to,
        # A lazy nonce is created and added to the header when it is read.
        SafeString("") if nonce is None else format_html(' nonce="{}"', str(nonce)),
    )
