"""``manage.py tetralto_check`` and ``manage.py tetralto_replay``."""

import gzip
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from analytics import Analytics, problem
from polling import free_port
from tetralto_visits.access_log import read

LOG = """\
203.0.113.7 - - [20/Nov/2026:12:00:00 +0100] "GET /a?x=1 HTTP/2.0" 200 5 "https://www.google.com/" "Mozilla/5.0 \\"x\\""
203.0.113.7 - - [20/Nov/2026:12:00:00 +0100] "GET /a?x=1 HTTP/2.0" 200 5 "https://www.google.com/" "Mozilla/5.0 \\"x\\""
2001:db8::7 - bob smith [20/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 304 0 "-" "-"
203.0.113.7 - - [20/Nov/2026:12:00:02 +0100] "GET /static/a.css HTTP/2.0" 200 5 "-" "Mozilla/5.0"
203.0.113.7 - - [20/Nov/2026:12:00:02 +0100] "GET /logo.PNG HTTP/2.0" 200 5 "-" "Mozilla/5.0"
203.0.113.7 - - [20/Nov/2026:12:00:02 +0100] "POST /a HTTP/2.0" 200 5 "-" "Mozilla/5.0"
203.0.113.7 - - [20/Nov/2026:12:00:02 +0100] "GET /moved HTTP/2.0" 301 5 "-" "Mozilla/5.0"
203.0.113.7 - - [20/Nov/2026:12:00:02 +0100] "GET /health HTTP/2.0" 200 5 "-" "probe"
203.0.113.7 - - [20/Nov/2026:12:00:03 +0100] "\\x16\\x03\\x01" 400 5 "-" "-"
203.0.113.7 - - [31/Feb/2026:12:00:03 +0100] "GET / HTTP/1.1" 200 5 "-" "-"
nothing of the kind
203.0.113.8 - - [20/Nov/2026:12:00:04 +0100] "GET /common HTTP/1.0" 200 5
"""  # noqa: E501


def run(command: str, *arguments: str, url: str, **own: object) -> str:
    output = StringIO()
    settings = {"SERVICE_URL": url, "TOKEN": "a-token", "SPOOL": "off", **own}
    with override_settings(TETRALTO=settings):
        call_command(command, *arguments, stdout=output)
    return output.getvalue()


def test_the_check_prints_the_whole_answer(analytics: Analytics, tmp_path: Path) -> None:
    output = run("tetralto_check", url=analytics.url, SPOOL=str(tmp_path / "spool"))
    assert "HTTP 200 after " in output
    assert '"status": "recorded"' in output
    assert "0 visits wait in " in output
    assert "a-token" not in output
    (visit,) = analytics.stored()
    assert visit["ip"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("status", "words"), [(401, "is invalid"), (403, "visits:write"), (503, "not recorded")]
)
def test_the_check_says_what_to_do(analytics: Analytics, status: int, words: str) -> None:
    analytics.script += [(status, {})]
    with pytest.raises(CommandError, match=words):
        run("tetralto_check", url=analytics.url)


def test_the_check_without_a_service() -> None:
    with pytest.raises(CommandError, match="No response: ConnectionRefusedError"):
        run("tetralto_check", url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(CommandError, match="VISITOR_ANALYTICS_SERVICE_URL is not set"):
        run("tetralto_check", url="")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "access.log"
    file.write_text(LOG)
    return file


def test_a_log_is_replayed_once(analytics: Analytics, log: Path) -> None:
    analytics.script += [(503, {})]
    site = ("--site", "https://example.com/")
    packed = log.with_suffix(".log.gz")
    packed.write_bytes(gzip.compress(LOG.encode()))
    output = run("tetralto_replay", str(log), *site, url=analytics.url)
    assert "6 no page views" in output
    assert "2 unreadable" in output
    assert "4 recorded" in output
    assert "4 duplicate" in run("tetralto_replay", str(packed), *site, url=analytics.url)

    first, second, third, fourth = analytics.stored()[:4]
    assert first["id"] != second["id"]
    assert first | {"id": None} == second | {"id": None}
    assert first["url"] == "https://example.com/a?x=1"
    assert first["timestamp"] == "2026-11-20T11:00:00Z"
    assert (first["user_agent"], first["referrer"]) == (
        'Mozilla/5.0 "x"',
        "https://www.google.com/",
    )
    assert (third["ip"], third["status_code"]) == ("2001:db8::7", 304)
    assert (third["user_agent"], third["referrer"]) == ("", None)
    assert fourth["http_version"] == "1.0"


def test_bytes_that_are_not_utf_8_make_one_line_unreadable(
    analytics: Analytics, tmp_path: Path
) -> None:
    good = b'203.0.113.7 - - [20/Nov/2026:12:00:00 +0100] "GET /\xc3\xa9 HTTP/1.1" 200 5 "-" "a\rb"'
    log = tmp_path / "access.log"
    log.write_bytes(b"\n".join([b"\xef\xbb\xbf" + good, good.replace(b"\xc3\xa9", b"\xe9"), good]))
    arguments = (str(log), "--site", "https://example.com", "--dry-run")
    output = run("tetralto_replay", *arguments, url=analytics.url)
    assert "2 page views" in output
    assert "1 unreadable" in output


def test_a_dry_run_sends_nothing(analytics: Analytics, log: Path) -> None:
    arguments = (str(log), "--site", "https://example.com", "--dry-run")
    output = run("tetralto_replay", *arguments, url=analytics.url)
    assert "4 page views" in output
    assert analytics.posts == []


def test_what_cannot_be_replayed_is_named(analytics: Analytics, log: Path) -> None:
    with pytest.raises(CommandError, match=r"Cannot read .*gone\.log"):
        run("tetralto_replay", "gone.log", "--site", "https://example.com", url=analytics.url)
    with pytest.raises(CommandError, match="--site must be"):
        run("tetralto_replay", str(log), "--site", "example.com", url=analytics.url)


def test_a_line_that_is_refused_costs_no_other(analytics: Analytics, log: Path) -> None:
    def refuse(visits: list[dict[str, Any]]) -> tuple[int, dict[str, Any]] | None:
        is_guilty = any(visit["url"].endswith("/common") for visit in visits)
        return (422, problem("BODY_INVALID")) if is_guilty else None

    analytics.refuse = refuse
    arguments = (str(log), "--site", "https://example.com")
    output = run("tetralto_replay", *arguments, url=analytics.url)
    assert "3 recorded" in output
    assert "1 refused (HTTP 422 BODY_INVALID)" in output


def test_a_replay_stops_where_the_service_takes_nothing(
    analytics: Analytics, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tetralto_visits.backoff._MAX_PAUSE", 0.01)
    analytics.refuse = lambda _: (403, problem("SCOPE_MISSING"))
    with pytest.raises(CommandError, match="HTTP 403"):
        run("tetralto_replay", str(log), "--site", "https://example.com", url=analytics.url)


def test_equal_lines_far_apart_and_many_lines_stay_bounded() -> None:
    lines = [
        f'203.0.113.7 - - [20/Nov/2026:12:00:00 +0100] "GET /{n} HTTP/1.1" 200 5 "-" "x"'
        for n in range(30_000)
    ]
    ids = {line.id for line in read(lines) if line}
    assert len(ids) == 30_000
    assert {line.id for line in read(lines) if line} == ids
