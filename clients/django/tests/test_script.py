"""The page script: serving it, its reports, and a run in a real browser."""

import gzip
import json
import subprocess
import time
from pathlib import Path
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.template import Context, Template
from django.test import RequestFactory, override_settings

from analytics import Analytics
from browser import command
from conftest import StartSite
from polling import until
from tetralto_visits.ids import uuid7
from tetralto_visits.middleware import VisitMiddleware
from tetralto_visits.rate_limit import RateLimiter
from tetralto_visits.views import page_script, read_report

NOW_NS = 1_795_176_000_000_000_000
VISIT = uuid7(NOW_NS, b"12345678")
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"}


def rendered(own: dict[str, object], path: str = "/", **context: object) -> str:
    """Render the tag on a page of a site with these settings."""
    template = Template("{% load tetralto %}{% tetralto_script %}")
    request = RequestFactory().get(path, headers={"DNT": "1"})
    good = {"SERVICE_URL": "http://127.0.0.1:9", "TOKEN": "t", "SPOOL": "off"}
    found = []
    with override_settings(TETRALTO=good | own):

        def view(request: object) -> HttpResponse:
            found.append(template.render(Context({"request": request, **context})))
            return HttpResponse(content_type="text/plain")

        VisitMiddleware(view)(request)
    return found[0]


def test_the_tag_names_the_visit() -> None:
    tag = rendered({})
    assert tag.startswith('<script defer src="/visits/script.js?v=')
    assert 'data-to="/visits/engagement"' in tag
    assert "nonce" not in tag
    assert ' nonce="r4nd&lt;m"' in rendered({}, csp_nonce="r4nd<m")


@pytest.mark.parametrize(
    ("own", "path"),
    [
        ({"RESPECT_DNT": True}, "/"),
        ({"CONSENT": lambda _request: False}, "/"),
        ({"SERVICE_URL": ""}, "/"),
        ({"EXCLUDE_PATHS": ["/no/*"]}, "/no/page/"),
        ({"CONSENT": lambda _request: 1 / 0}, "/"),
    ],
)
def test_the_tag_is_empty_where_nothing_is_recorded(own: dict[str, object], path: str) -> None:
    assert rendered(own, path) == ""


def test_the_tag_works_without_a_request() -> None:
    assert Template("{% load tetralto %}{% tetralto_script %}").render(Context()) == ""


def test_the_script_is_small_and_cached(start_site: StartSite) -> None:
    assert len(gzip.compress(page_script().content)) <= 1024
    site = start_site("")
    named = site.get(f"/visits/script.js?v={page_script().version}")
    assert named.body == page_script().content
    assert named.headers["Content-Type"].startswith("text/javascript")
    assert named.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert site.get("/visits/script.js").headers["Cache-Control"] == "public, max-age=3600"
    assert site.ask("POST", "/visits/script.js").status == 405


def report(seconds: object = 12, depth: object = 50, visit: str | None = None) -> bytes:
    visit = visit or uuid7(time.time_ns(), b"12345678")
    content = {"visit": visit, "engagement_seconds": seconds, "scroll_depth": depth}
    return json.dumps(content).encode()


def test_reports_are_forwarded(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url)
    body = report(0, 200)
    answer = site.ask("POST", "/visits/engagement", SAME_ORIGIN, body)
    assert (answer.status, answer.headers["Cache-Control"]) == (204, "no-store")
    engagements = until(analytics.engagements, "the engagement")
    expected = {"engagement_seconds": 0, "scroll_depth": 100}
    assert engagements == {json.loads(body)["visit"]: expected}
    assert analytics.stored() == []


def test_a_report_that_the_service_does_not_know_costs_no_visit(start_site: StartSite) -> None:
    with Analytics(knows_events=False) as analytics:
        site = start_site(analytics.url)
        site.ask("POST", "/visits/engagement", SAME_ORIGIN, report())
        site.get("/")
        analytics.wait_for(1)
        until(lambda: site.stats()["refused"] == 1, "the engagement")


NO_REPORTS: list[tuple[dict[str, str], bytes, int]] = [
    ({"Sec-Fetch-Site": "cross-site"}, report(), 403),
    ({"Origin": "https://evil.example"}, report(), 403),
    ({"Origin": "http://["}, report(), 403),
    ({"Origin": "null"}, report(), 403),
    ({"Content-Length": "9" * 5000}, b"", 400),
    ({"Content-Length": "-1"}, b"", 400),
    ({}, b"\xff\xfe", 400),
    ({}, b'{"visit":1e999}', 400),
    ({}, b"x" * 1000, 400),
    ({}, b"", 400),
    ({}, b"[]", 400),
    ({}, b"[" * 500, 400),
    ({}, report("12"), 400),
    ({}, report(-1), 400),
    ({}, report(True), 400),
    ({}, report(visit=str(uuid4())), 400),
    ({}, report(visit="01890000-0000-7000-8000-000000000000"), 400),
    ({}, report(visit="../../sites"), 400),
]


def test_what_is_no_report_is_refused(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url)
    for headers, body, status in NO_REPORTS:
        answer = site.ask("POST", "/visits/engagement", {**SAME_ORIGIN, **headers}, body)
        assert (answer.status, headers, body) == (status, headers, body)
    assert site.stats()["queued"] == 0


def test_nobody_looks_for_longer_than_since_the_visit() -> None:
    now = NOW_NS / 1e9
    assert read_report(report(12, 50, VISIT), now + 60).seconds == 12
    assert read_report(report(9999, 50, VISIT), now + 60).seconds == 61
    with pytest.raises(ValueError, match="within 24 hours"):
        read_report(report(12, 50, VISIT), now + 25 * 3600)


def test_an_address_may_report_so_often(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url, TETRALTO_ENGAGEMENT_PER_MINUTE="2")
    answers = [site.ask("POST", "/visits/engagement", SAME_ORIGIN, report()) for _ in range(6)]
    statuses = [answer.status for answer in answers]
    assert 2 <= statuses.count(204) <= 4, "a minute may begin meanwhile"
    assert statuses.count(204) + statuses.count(429) == 6
    assert {a.headers.get("Retry-After") for a in answers if a.status == 429} == {"60"}


def test_the_rate_limiter_counts_by_network_and_minute() -> None:
    now = 0.0
    limiter = RateLimiter(lambda: now)
    first = ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "192.0.2.1", "192.0.2.2"]
    assert [limiter.try_acquire(address, 1) for address in first] == [True, False, True, True, True]
    assert not limiter.try_acquire("192.0.2.1", 1)
    now = 60.0
    assert limiter.try_acquire("192.0.2.1", 1)


def test_a_full_rate_limiter_refuses_only_who_has_had_the_share() -> None:
    limiter = RateLimiter(lambda: 0.0)
    attackers = [f"2001:db8:{n:x}::1" for n in range(6000)]
    assert limiter.try_acquire("192.0.2.1", 1)
    for attacker in attackers:
        assert limiter.try_acquire(attacker, 1)
        assert not limiter.try_acquire("192.0.2.1", 1), (
            "a network that keeps reporting stays in the table"
        )
    assert limiter.try_acquire("192.0.2.2", 1), "others can still report"
    assert not limiter.try_acquire(attackers[-1], 1)
    assert len(limiter._counts) == 4096


@pytest.mark.browser
@pytest.mark.parametrize("server", ["gunicorn-threads", "uvicorn"])
def test_a_real_browser_reports_its_engagement(
    analytics: Analytics, start_site: StartSite, tmp_path: Path, server: str
) -> None:
    site = start_site(analytics.url, server, TETRALTO_DEMO_CSP="1")
    arguments = command(
        tmp_path / "profile",
        f"--host-resolver-rules=MAP www.example.com {site.url.removeprefix('http://')}",
        "http://www.example.com/tall/",
    )
    with (tmp_path / "browser.log").open("wb") as log:
        browser = subprocess.Popen(arguments, stdout=log, stderr=log)
        try:
            engagements = until(analytics.engagements, "the engagement", seconds=60)
        finally:
            browser.terminate()
            browser.wait(timeout=30)
    visit = next(v for v in analytics.stored() if v["url"].endswith("/tall/"))
    engagement = engagements[visit["id"]]
    assert 4 <= engagement["engagement_seconds"] <= 60
    assert 40 <= engagement["scroll_depth"] <= 90, "the page is scrolled half way"
