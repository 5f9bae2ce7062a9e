"""Views of the example, which add details to their visits."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from tetralto_visits import Visit, track


def home(request: HttpRequest) -> HttpResponse:
    """Show a page that is recorded without details."""
    return render(request, "page.html", {"title": "Welcome"})


def pricing(request: HttpRequest) -> HttpResponse:
    """Show a page that sets the title and a property of its visit."""
    visit: Visit = request.visit  # type: ignore[attr-defined]
    visit.title = "Pricing"
    visit.properties["plan"] = request.GET.get("plan", "none")
    return render(request, "page.html", {"title": "Pricing"})


@require_POST
def quote(request: HttpRequest) -> HttpResponse:
    """Record an event."""
    track(request, "quote_requested", {"rooms": 3})
    return redirect("home")
