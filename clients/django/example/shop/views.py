"""Views of the example: what a view can say about its visit."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from tetralto_visits import Visit, track


def home(request: HttpRequest) -> HttpResponse:
    """Show a page that is recorded as it is."""
    return render(request, "page.html", {"title": "Welcome"})


def pricing(request: HttpRequest) -> HttpResponse:
    """Show a page that tells more."""
    visit: Visit = request.visit  # type: ignore[attr-defined]
    visit.title = "Pricing"
    visit.properties["plan"] = request.GET.get("plan", "none")
    return render(request, "page.html", {"title": "Pricing"})


@require_POST
def quote(request: HttpRequest) -> HttpResponse:
    """Tell of something that happened."""
    track(request, "quote_requested", {"rooms": 3})
    return redirect("home")
