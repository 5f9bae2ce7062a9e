"""Unit tests: ids, settings and their checks, Retry-After, log throttling, async."""

import asyncio
import logging
import threading
from itertools import pairwise
from types import SimpleNamespace
from uuid import RFC_4122, UUID

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.http import HttpRequest, HttpResponse
from django.test import override_settings

from tetralto_visits import config
from tetralto_visits.cache import BoundedCache
from tetralto_visits.checks import check_settings
from tetralto_visits.connection import seconds_to_wait
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.log_throttle import LogThrottle
from tetralto_visits.middleware import VisitMiddleware
from tetralto_visits.patterns import Patterns
from tetralto_visits.registry import sender_for, stats

URL, TOKEN = "http://127.0.0.1:9", "a-token"
GOOD = {
    "VISITOR_ANALYTICS_SERVICE_URL": URL,
    "VISITOR_ANALYTICS_TOKEN": TOKEN,
    "TETRALTO_SPOOL": "off",
}


def test_uuid7_has_the_layout_of_rfc_9562() -> None:
    # Time and random bits of the example in RFC 9562, appendix A.6.
    at_ns = 0x017F22E279B0 * 1_000_000
    made = uuid7(at_ns, bytes.fromhex("18c4dc0c0c07398f"))
    assert made == "017f22e2-79b0-7000-98c4-dc0c0c07398f"
    assert (UUID(made).version, UUID(made).variant) == (7, RFC_4122)
    full = uuid7(at_ns + 999_999, b"\xff" * 8)
    assert full == "017f22e2-79b0-7fff-bfff-ffffffffffff"


def test_uuid7_sorts_by_time() -> None:
    start = 1_795_000_000_000_000_000
    made = [uuid7(start + step * 500, b"\x00" * 8) for step in range(10_000)]
    assert all(earlier < later for earlier, later in pairwise(made))
    assert [UUID(one).int >> 80 for one in made] == [
        (start + n * 500) // 1_000_000 for n in range(10_000)
    ]


def test_rfc3339() -> None:
    assert rfc3339(1_795_176_000_007_999_999) == "2026-11-20T12:00:00.007Z"


def test_what_visitors_send_does_not_fill_the_memory() -> None:
    cache: BoundedCache[int] = BoundedCache()
    assert cache.store(("x" * 5000, None), 1) == 1
    assert cache == {}
    for number in range(1000):
        cache.store((str(number), None), number)
        assert cache.get((str(number), None)) == number
        assert len(cache) <= 256


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), ("Fri, 20 Nov 2026 12:00:30 GMT", 30), ("Fri, 20 Nov 2020 12:00:00 GMT", 0)]
    + [(value, 0) for value in (None, "", "soon", "-5", "1.5")],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert seconds_to_wait(value, 1_795_176_000.0) == seconds


def test_settings_go_before_the_environment() -> None:
    settings = SimpleNamespace(
        TETRALTO={"TOKEN": "own", "QUEUE_SIZE": 5},
        VISITOR_ANALYTICS_SERVICE_URL="https://analytics.example.com/base/",
    )
    parsed, problems = config.read(settings, GOOD)
    assert problems == []
    assert parsed is not None
    assert parsed.target.service_url == "https://analytics.example.com/base"
    assert (parsed.target.token, parsed.target.queue_size) == ("own", 5)
    assert "own" not in repr(parsed)


@pytest.mark.parametrize(
    ("environ", "own", "code", "words"),
    [
        ({}, {}, "W001", "VISITOR_ANALYTICS_SERVICE_URL is not set"),
        ({"VISITOR_ANALYTICS_SERVICE_URL": URL}, {}, "E002", "VISITOR_ANALYTICS_TOKEN is not set"),
        (GOOD, {"TOKEN": "a\nb"}, "E002", "characters"),
        (GOOD, {"SERVICE_URL": "localhost:8002"}, "E003", "not a valid HTTP URL"),
        (GOOD, {"SERVICE_URL": "http://host:port"}, "E003", "not a valid HTTP URL"),
        (GOOD, {"TRUSTED_PROXIES": ["10.0.0.0/33"]}, "E004", "10.0.0.0/33"),
        (GOOD, {"TRUSTED_PROXIES": 10}, "E005", "not a list"),
        (GOOD, {"QUEUE_SIZE": "many"}, "E005", "TETRALTO_QUEUE_SIZE"),
        (GOOD, {"TIMEOUT_SECONDS": 0}, "E005", "TETRALTO_TIMEOUT_SECONDS"),
        (GOOD, {"TOKE": "x"}, "E006", "TOKE"),
        (GOOD, {"RESPECT_DNT": "perhaps"}, "E005", "TETRALTO_RESPECT_DNT"),
        (GOOD, {"CONSENT": "demo.nowhere.asked"}, "E007", "TETRALTO_CONSENT"),
        (GOOD, {"RECORD_IF": "demo.views.PAGE"}, "E007", "not callable"),
        (GOOD, {"STATUS_CODES": ["2xx", "7xx"]}, "E008", "7xx"),
    ],
)
def test_each_bad_setting_is_named(
    environ: dict[str, str], own: dict[str, object], code: str, words: str
) -> None:
    parsed, problems = config.read(SimpleNamespace(TETRALTO=own), environ)
    assert parsed is None
    assert [problem.code for problem in problems] == [code]
    assert words in problems[0].message


def test_manage_py_check_reports_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    call_command("check")
    with (
        override_settings(TETRALTO={"TRUSTED_PROXIES": ["nonsense"]}),
        pytest.raises(SystemCheckError, match=r"tetralto_visits\.E004"),
    ):
        call_command("check")


def test_manage_py_check_misses_the_middleware() -> None:
    with override_settings(TETRALTO={"SERVICE_URL": URL, "TOKEN": TOKEN}, MIDDLEWARE=[]):
        assert [message.id for message in check_settings(None)] == ["tetralto_visits.W009"]


def test_excluded_paths() -> None:
    rules = Patterns.parse_paths(["/health", "/internal/*", "/blog/*/print/"])
    assert all(map(rules.match, ["/health", "/health/", "/internal/", "/internal/a/b"]))
    assert all(map(rules.match, ["/blog/a/print/", "/blog/a/print"]))
    assert not any(map(rules.match, ["/healthy", "/health/tips/", "/internal", "/"]))
    for encoded in ("/danke/schön", "/danke/sch%C3%B6n", "/danke/sch%c3%b6n"):
        assert Patterns.parse_paths([encoded]).match("/danke/schön/")


def test_trouble_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    times = iter((0.0, 1.0, 59.9, 60.0, 60.0))
    throttle = LogThrottle(lambda: next(times))
    with caplog.at_level(logging.WARNING, "tetralto_visits"):
        for _ in range(4):
            throttle.warn("kind", "Trouble.")
        throttle.warn("other", "Other.")
    assert caplog.messages == ["Trouble.", "Trouble. (2 more since)", "Other."]


@override_settings(**GOOD)
def test_async_stays_on_its_thread() -> None:
    threads = []

    async def view(_request: HttpRequest) -> HttpResponse:
        threads.append(threading.get_ident())
        return HttpResponse(content_type="text/plain")

    middleware = VisitMiddleware(view)
    assert iscoroutinefunction(middleware)

    async def ask() -> None:
        answer = middleware(HttpRequest())
        assert not isinstance(answer, HttpResponse)
        await answer

    asyncio.run(ask())
    assert threads == [threading.get_ident()]


@override_settings(**GOOD)
def test_a_visit_that_cannot_be_built_does_not_reach_the_page(
    caplog: pytest.LogCaptureFixture,
) -> None:
    page = HttpResponse("page")
    request = HttpRequest()
    request.method = "GET"
    request.META = {"SERVER_NAME": "testserver", "SERVER_PORT": "80", "REMOTE_ADDR": "nowhere"}
    before = stats()
    with caplog.at_level(logging.WARNING, "tetralto_visits"):
        assert VisitMiddleware(lambda _: page)(request) is page
    assert stats().failed == before.failed + 1
    assert "A visit could not be recorded: ValueError." in caplog.messages


def test_threads_share_one_sender() -> None:
    target = config.Target(URL, "shared", 1, 1.0)
    found = set()
    threads = [threading.Thread(target=lambda: found.add(sender_for(target))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
