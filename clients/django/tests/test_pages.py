"""Which requests are recorded, and which details a view can add."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import resolve

from analytics import Analytics
from conftest import StartSite
from polling import until
from tetralto_visits import Visit, config, track
from tetralto_visits.address import Peers
from tetralto_visits.message import MAX_BODY_BYTES
from tetralto_visits.middleware import VisitMiddleware
from tetralto_visits.page_views import is_page_view
from tetralto_visits.payload import HEADERS, capture_visit
from tetralto_visits.serialization import write_event

GOOD = {"SERVICE_URL": "http://127.0.0.1:9", "TOKEN": "a-token", "SPOOL": "off"}


def parsed(**own: object) -> config.Config:
    found, problems = config.read(SimpleNamespace(TETRALTO=GOOD | own), {})
    assert found is not None, problems
    return found


def is_recorded(
    path: str, own: dict[str, object], status: int = 200, headers: dict[str, str] | None = None
) -> bool:
    request = RequestFactory().get(path, headers=headers)
    request.resolver_match = resolve(path)
    content_type = "application/json" if path.endswith(".json") else "text/html; charset=utf-8"
    response = HttpResponse(status=status, content_type=content_type)
    return is_page_view(request, response, parsed(**own).rules)


def only_posts(request: HttpRequest, _response: HttpResponse) -> bool | None:
    return None if request.method == "GET" else True


@pytest.mark.parametrize(
    ("path", "own", "status", "expected"),
    [
        ("/", {}, 200, True),
        ("/", {}, 404, True),
        ("/", {}, 302, False),
        ("/", {"STATUS_CODES": ["2xx"]}, 404, False),
        ("/", {"STATUS_CODES": [404]}, 404, True),
        ("/", {"STATUS_CODES": "3xx"}, 302, True),
        ("/data.json", {}, 200, False),
        ("/data.json", {"CONTENT_TYPES": ["text/html", "application/json"]}, 200, True),
        ("/products/lamp/", {"INCLUDE_PATHS": ["/products/*"]}, 200, True),
        ("/pricing/", {"INCLUDE_PATHS": ["/products/*"]}, 200, False),
        ("/pricing/", {"EXCLUDE_PATHS": ["/pricing"]}, 200, False),
        ("/pricing/", {"EXCLUDE_VIEWS": ["pri*"]}, 200, False),
        ("/pricing/", {"EXCLUDE_VIEWS": "quote,demo.*"}, 200, True),
        ("/admin/login/", {}, 200, False),
        ("/pricing/", {"RECORD_IF": lambda _request, _response: False}, 200, False),
        ("/data.json", {"RECORD_IF": lambda _request, _response: True}, 500, True),
        ("/pricing/", {"RECORD_IF": "test_pages.only_posts"}, 200, True),
    ],
)
def test_what_is_a_page_view(
    path: str, own: dict[str, object], status: int, expected: bool
) -> None:
    assert is_recorded(path, own, status) == expected


@pytest.mark.parametrize(
    ("destination", "expected"),
    [("document", True), ("iframe", True), ("empty", True), ("image", False), ("script", False)],
)
def test_a_part_of_a_page_is_none(destination: str, expected: bool) -> None:
    assert is_recorded("/", {}, 404, {"Sec-Fetch-Dest": destination}) == expected


def test_what_browsers_ask_for_by_themselves_is_no_page() -> None:
    request = RequestFactory().get("/favicon.ico")
    response = HttpResponse("Not found", status=404)
    assert not is_page_view(request, response, parsed().rules)


@pytest.mark.parametrize(
    ("header", "value"),
    [("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"), ("X-Moz", "prefetch")],
)
def test_a_prefetch_is_none_unless_asked_for(header: str, value: str) -> None:
    assert not is_recorded("/", {}, headers={header: value})
    assert is_recorded("/", {"RECORD_PREFETCHES": True}, headers={header: value})


def test_a_view_has_its_say(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url)
    for path in ("/private/", "/pricing/", "/quote/", "/products/lamp/", "/nowhere/"):
        site.get(path)
    pricing, quote, lamp, nowhere = analytics.wait_for(4)
    assert (pricing["title"], pricing["visitor_id"]) == ("Our prices", "visitor-7")
    assert pricing["properties"] == {"route": "pricing", "plan": "pro", "price": "9.90"}
    assert quote["properties"] == {"route": "The quote"}
    assert lamp["properties"] == {"route": "demo.views.product"}
    assert nowhere["properties"] == {}

    (event,) = analytics.wait_for(1, "/analytics/events")
    assert event["event_type"] == "quote_requested"
    assert event["metadata"] == {"rooms": 3}
    assert event["site"] == "www.example.com"
    assert event["ip"] == "127.0.0.1"
    assert event["user_agent"].startswith("Mozilla/5.0")
    assert event.keys() == {
        "id", "event_type", "site", "user_id", "visitor_id", "ip", "user_agent", "timestamp",
        "metadata",
    }  # fmt: skip


def test_a_service_without_events_still_gets_every_visit(start_site: StartSite) -> None:
    with Analytics(knows_events=False) as analytics:
        site = start_site(analytics.url)
        for _ in range(3):
            site.get("/quote/")
        until(lambda: site.stats()["refused"] == 3, "the refusals")
        site.stop()
        assert analytics.paths() == {"quote/": 3}
        assert "Events were refused and dropped: HTTP 404 NOT_FOUND." in site.log.read_text()


def written(request: HttpRequest, visit: Visit, **own: object) -> dict[str, Any]:
    settings = parsed(**own)
    payload = capture_visit(request, visit, 200, Peers(settings.proxies), settings.http_version_key)
    content: dict[str, Any] = json.loads(payload.body)
    return content


def test_a_visit_is_written_the_same_each_time() -> None:
    visit = Visit()
    request = RequestFactory().get("/caf\u00e9/?q=%C3%BC", headers={"Referer": "x" * 5000})
    payload = capture_visit(request, visit, 200, Peers(parsed().proxies), None)
    content = json.loads(payload.body)
    assert payload.body == payload.body
    assert content["id"] == visit.id
    assert content["url"] == "http://testserver/caf%C3%A9/?q=%C3%BC"
    assert len(content["referrer"]) == 2048


def test_numbers_as_ids_are_told_as_texts() -> None:
    visit = Visit()
    visit.user_id, visit.visitor_id = 42, 43  # type: ignore[assignment]
    request = RequestFactory().get("/")
    event = json.loads(write_event(request, visit, "seen", {}, Peers(parsed().proxies)))
    for told in (event, written(request, visit)):
        assert (told["user_id"], told["visitor_id"]) == ("42", "43")


def test_what_is_no_unicode_costs_no_batch() -> None:
    request = RequestFactory().get("/")
    request.path = "/\udcff/"
    request.META["QUERY_STRING"] = "\udcff"
    request.META["HTTP_USER_AGENT"] = "\udcff"
    payload = capture_visit(request, Visit(), 200, Peers(parsed().proxies), None)
    assert json.loads(payload.body)["url"] == "http://testserver/%3F/??"


def test_no_visit_is_too_long_for_the_service() -> None:
    long = "\u00ff" * 9000
    headers = dict.fromkeys((*HEADERS, "referer", "user-agent"), long)
    request = RequestFactory().get(f"/{long}?{long}", headers=headers)
    visit = Visit()
    visit.title = visit.user_id = visit.visitor_id = long
    visit.properties = {"text": "x" * 8000}
    payload = capture_visit(request, visit, 200, Peers(parsed().proxies), None)
    batch = max(1, MAX_BODY_BYTES // payload.weight)
    assert batch * len(payload.body) < 1_500_000, "the service accepts 1.5 MB"


def test_the_http_version_is_what_the_edge_saw() -> None:
    request = RequestFactory().get("/", headers={"X-Http-Version": "HTTP/2.0"})
    header = {"HTTP_VERSION_HEADER": "X-Http-Version"}
    behind = {"TRUSTED_PROXIES": "127.0.0.0/8"}
    assert written(request, Visit())["http_version"] == "1.1"
    assert written(request, Visit(), **header)["http_version"] == "1.1"
    assert written(request, Visit(), **behind)["http_version"] is None
    assert written(request, Visit(), **header, **behind)["http_version"] == "2"


@pytest.mark.parametrize("value", [float("nan"), "x" * 9000, {1: {2, 3}, (1, 2): 3}])
def test_properties_that_are_no_json_cost_only_themselves(
    analytics: Analytics, value: object
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        request.visit.properties["value"] = value  # type: ignore[attr-defined]
        track(request, "bad", {"value": value})
        return HttpResponse("page")

    own = GOOD | {"SERVICE_URL": analytics.url}
    with override_settings(TETRALTO=own):
        VisitMiddleware(view)(RequestFactory().get("/bad/"))
    (visit,) = analytics.wait_for(1)
    assert visit["properties"] == {}


class User:
    is_authenticated = True
    pk = 42


def with_user(request: HttpRequest, cookies: dict[str, str]) -> HttpRequest:
    async def auser() -> User:
        return User()

    request.COOKIES = cookies
    request.user = User()  # type: ignore[assignment]
    request.auser = auser  # type: ignore[assignment]
    return request


def test_the_user_is_told_only_when_asked_for(analytics: Analytics) -> None:
    async def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse("page")

    async def ask_async(path: str) -> None:
        answer = VisitMiddleware(view)(with_user(RequestFactory().get(path), {"sessionid": "x"}))
        assert not isinstance(answer, HttpResponse)
        await answer  # type: ignore[misc]

    def ask(path: str, cookies: dict[str, str]) -> None:
        middleware = VisitMiddleware(lambda _request: HttpResponse("page"))
        middleware(with_user(RequestFactory().get(path), cookies))

    own = GOOD | {"SERVICE_URL": analytics.url}
    with override_settings(TETRALTO=own):
        ask("/unasked", {"sessionid": "x"})
    with override_settings(TETRALTO=own | {"RECORD_USER_ID": True}):
        ask("/sync", {"sessionid": "x"})
        ask("/no-session", {})
        asyncio.run(ask_async("/async"))
    found = {visit["url"].rpartition("/")[2]: visit["user_id"] for visit in analytics.wait_for(4)}
    assert found == {"unasked": None, "sync": "42", "no-session": None, "async": "42"}


@pytest.mark.parametrize(
    ("own", "headers", "expected"),
    [
        ({}, {"DNT": "1"}, True),
        ({"RESPECT_DNT": True}, {}, True),
        ({"RESPECT_DNT": True}, {"DNT": "1"}, False),
        ({"RESPECT_DNT": "on"}, {"Sec-GPC": "1"}, False),
        ({"CONSENT": lambda request: request.GET.get("yes") == "1"}, {}, False),
    ],
)
def test_who_does_not_want_it_is_not_told_of(
    analytics: Analytics, own: dict[str, object], headers: dict[str, str], expected: bool
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        track(request, "seen")
        return HttpResponse("page")

    with override_settings(TETRALTO=GOOD | {"SERVICE_URL": analytics.url} | own):
        middleware = VisitMiddleware(view)
        middleware(RequestFactory().get("/", headers=headers))
        middleware(RequestFactory().get("/last?yes=1"))
    visits = analytics.wait_for(2 if expected else 1)
    events = analytics.wait_for(2 if expected else 1, "/analytics/events")
    assert len(visits) == len(events) == (2 if expected else 1)
