"""Requests of a real site: one visit per page view, in the format of the API."""

import re
from datetime import datetime, timezone
from uuid import UUID

import pytest

from analytics import Analytics
from conftest import StartSite
from site_process import HERE

SHAPE = {
    "id",
    "site",
    "timestamp",
    "url",
    "ip",
    "user_agent",
    "referrer",
    "title",
    "method",
    "status_code",
    "response_time_ms",
    "http_version",
    "headers",
    "visitor_id",
    "user_id",
    "properties",
}


@pytest.mark.parametrize(
    "server", ["gunicorn", "gunicorn-threads", "gunicorn-gevent", "uvicorn", "runserver"]
)
def test_each_page_view_is_one_visit(
    analytics: Analytics, start_site: StartSite, server: str
) -> None:
    site = start_site(analytics.url, server)
    answers = {
        path: site.get(path).status
        for path in ("/", "/products/red-chair/", "/async/", "/nowhere/", "/broken/")
    }
    assert list(answers.values()) == [200, 200, 200, 404, 500]
    for _ in range(3):
        site.get("/?page=2")
    site.stop()

    visits = analytics.stored()
    assert analytics.paths() == {path[1:]: 1 for path in answers} | {"?page=2": 3}
    assert len({visit["id"] for visit in visits}) == len(visits) == 8
    statuses = {visit["url"]: visit["status_code"] for visit in visits}
    assert statuses["http://www.example.com/nowhere/"] == 404
    assert statuses["http://www.example.com/broken/"] == 500


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_a_visit_has_the_shape_of_the_contract(
    analytics: Analytics, start_site: StartSite, server: str
) -> None:
    site = start_site(analytics.url, server)
    before = datetime.now(timezone.utc)
    site.get(
        "/products/stuhl-%C3%BC/?utm_source=news&q=a%20b",
        {
            "Referer": "https://www.google.com/",
            "Cookie": "sessionid=secret",
            "Authorization": "Basic c2VjcmV0",
            "X-Custom": "secret",
            "Sec-CH-UA-Platform": '"Linux"',
            "DNT": "1",
        },
    )
    (visit,) = analytics.wait_for(1)
    after = datetime.now(timezone.utc)

    assert visit.keys() == SHAPE
    assert visit["url"] == "http://www.example.com/products/stuhl-%C3%BC/?utm_source=news&q=a%20b"
    assert visit["ip"] == "127.0.0.1"
    assert visit["user_agent"].startswith("Mozilla/5.0")
    assert visit["referrer"] == "https://www.google.com/"
    assert visit["method"] == "GET"
    assert visit["http_version"] == "1.1"
    assert isinstance(visit["response_time_ms"], int)
    assert visit["response_time_ms"] >= 0
    assert visit["headers"] == {
        "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "accept-language": "en-GB,en;q=0.7",
        "accept-encoding": "gzip, deflate",
        "sec-fetch-dest": "document",
        "sec-fetch-mode": "navigate",
        "sec-fetch-site": "cross-site",
        "sec-fetch-user": "?1",
        "sec-ch-ua-platform": '"Linux"',
        "upgrade-insecure-requests": "1",
        "dnt": "1",
    }
    assert visit["properties"] == {}
    assert all(visit[name] is None for name in ("site", "title", "visitor_id", "user_id"))

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", visit["timestamp"])
    at = datetime.fromisoformat(visit["timestamp"].replace("Z", "+00:00"))
    assert before.timestamp() - 0.001 <= at.timestamp() <= after.timestamp()
    assert UUID(visit["id"]).version == 7
    assert UUID(visit["id"]).int >> 80 == round(at.timestamp() * 1000)

    (post,) = analytics.posts
    assert post.path == "/visits"
    assert post.headers["authorization"] == "Bearer a-token"
    assert post.headers["content-type"] == "application/json"


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_what_is_no_page_view_is_not_posted(
    analytics: Analytics, start_site: StartSite, server: str
) -> None:
    site = start_site(analytics.url, server)
    assert site.get("/data.json").status == 200
    assert site.get("/static/page.html").status == 200
    assert site.get("/static/missing.html").status == 404
    assert site.get("/media/page.html").status == 200
    assert site.get("/admin/login/").status == 200
    assert site.get("/admin/nowhere/").status in (302, 404)
    assert site.get("/health/").status == 200
    assert site.get("/internal/report/").status == 200
    assert site.get("/moved/").status == 302
    assert site.ask("HEAD", "/").status == 200
    assert site.ask("POST", "/").status == 200
    assert site.get("/", {"Host": "not-ours.example.org"}).status == 400
    assert site.get("/products/the-only-page/").status == 200
    assert site.stats()["failed"] == 0
    site.stop()
    assert analytics.paths() == {"products/the-only-page/": 1}


def test_a_client_that_sends_nothing_and_one_that_sends_too_much(
    analytics: Analytics, start_site: StartSite
) -> None:
    site = start_site(analytics.url)
    site.get("/", {"User-Agent": "", "Accept": "", "Referer": ""})
    long = "x" * 3000
    site.get(f"/?q={long}", {"User-Agent": long, "Accept": long, "Referer": long})
    bare, heavy = analytics.wait_for(2)
    assert (bare["user_agent"], bare["referrer"]) == ("", None)
    assert len(heavy["url"]) == len(heavy["referrer"]) == 2048
    assert len(heavy["user_agent"]) == 1024
    assert len(heavy["headers"]["accept"]) == 512


def test_the_example_is_tracked(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(
        analytics.url,
        "runserver",
        PYTHONPATH=str(HERE.parent / "example"),
        DJANGO_SETTINGS_MODULE="shop.settings",
        TETRALTO_INCLUDE_PATHS="/,/pricing",
    )
    home = site.get("/").body.decode()
    site.get("/pricing/?plan=pro")
    first, second = analytics.wait_for(2)
    assert f'data-visit="{first["id"]}" data-to="/v/engagement"' in home
    assert second["properties"] == {"route": "pricing", "plan": "pro"}


def test_without_a_url_the_site_works_and_says_so_once(start_site: StartSite) -> None:
    site = start_site("")
    assert [site.get("/").status for _ in range(3)] == [200, 200, 200]
    assert site.stats()["queued"] == 0
    site.stop()
    assert site.log.read_text().count("Visits are not recorded: VISITOR_ANALYTICS_SERVICE_URL") == 1
