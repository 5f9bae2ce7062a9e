"""The demo site with the real system: each page view can be read back exactly once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from browser import Browser
from conftest import StartSite
from polling import free_port, until

pytestmark = pytest.mark.system

# A visitor with a public address behind a trusted proxy.
VISITOR = {"X-Forwarded-For": "81.2.69.142", "Referer": "https://www.google.com/"}


@dataclass(frozen=True)
class System:
    """The running all-in-one binary."""

    process: subprocess.Popen[bytes]
    url: str
    token_file: Path
    log: Path

    @property
    def token(self) -> str:
        return self.token_file.read_text().strip()

    def is_healthy(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def visits(self, prefix: str) -> list[dict[str, Any]]:
        """All visits whose path starts with the prefix, including bots."""
        visits = self.read("/visits", include_bots="true")
        return [visit for visit in visits if visit["path"].startswith(prefix)]

    def read(self, path: str, **asked: str) -> list[dict[str, Any]]:
        """All items of a list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            query = {**asked, "limit": "100"} | ({"cursor": cursor} if cursor else {})
            request = urllib.request.Request(
                f"{self.url}{path}?{urlencode(query)}",
                headers={"Authorization": f"Bearer {self.token}"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                page = json.load(answer)
            found += page["data"]
            cursor = page["next_cursor"]
        return found


class Start:
    """Starts and restarts the system on a temporary data folder."""

    def __init__(self, folder: Path) -> None:
        binary = os.environ.get("TETRALTO_BIN", "")
        assert binary, (
            "TETRALTO_BIN is not set. Build the system with `cargo build` at the project's root "
            "and set TETRALTO_BIN to target/debug/tetralto, or run `./dev test`, which does both."
        )
        assert os.access(binary, os.X_OK), f"TETRALTO_BIN: {binary} is not executable"
        self._binary = Path(binary).resolve()
        self._folder = folder
        self._port = free_port()
        self._environ = {
            **os.environ,
            "TETRALTO_DATA_DIR": str(folder / "data"),
            "GEOIP_UPDATE": "off",
            "GEO_PORT": str(free_port()),
            "VISITOR_ANALYTICS_PORT": str(self._port),
            "NOTIFICATION_PORT": str(free_port()),
        }
        self._environ.pop("DATABASE_URL", None)  # the system starts its own database
        self.running: list[System] = []

    def __call__(self) -> System:
        log = self._folder / f"log-{len(self.running)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self._binary],
                cwd=self._folder,
                env=self._environ,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        token_file = self._folder / "data" / "token"
        system = System(process, f"http://127.0.0.1:{self._port}", token_file, log)
        self.running.append(system)
        until(system.is_healthy, "the system", seconds=120)
        return system


@pytest.fixture
def start_system() -> Iterator[Start]:
    """Provide a launcher for the system.

    The folder is not in pytest's: PostgreSQL may run as another user, who must be able to enter
    all parent folders.
    """
    folder = Path(tempfile.mkdtemp(prefix="tv-"))
    folder.chmod(0o755)
    start = Start(folder)
    try:
        yield start
    finally:
        for system in start.running:
            system.process.terminate()
            try:
                system.process.wait(timeout=60)
            finally:
                system.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def test_page_views_arrive_exactly_once(start_system: Start, start_site: StartSite) -> None:
    system = start_system()
    site = start_site(
        system.url,
        VISITOR_ANALYTICS_TOKEN=system.token,
        TETRALTO_TRUSTED_PROXIES="127.0.0.0/8",
    )
    marker = f"/products/{uuid4().hex}"
    expected = {f"{marker}-chair/": 200, f"{marker}-table/": 200, f"{marker}/missing/": 404}
    for path, status in expected.items():
        assert site.get(path, VISITOR).status == status
    assert site.get("/data.json", VISITOR).status == 200

    until(
        lambda: len(system.visits(marker)) >= len(expected) and site.stats()["waiting"] == 0,
        "the visits",
        seconds=60,
    )
    visits = system.visits(marker)
    assert Counter((v["path"], v["status_code"]) for v in visits) == Counter(expected.items())
    assert {v["site"] for v in visits} == {"www.example.com"}
    assert {v["referrer"] for v in visits} == {VISITOR["Referer"]}
    assert len({v["session_id"] for v in visits}) == 1, "one visitor, one session"
    assert not any(v["is_bot"] for v in visits)

    stats = site.stats()
    assert (stats["recorded"], stats["duplicate"], stats["waiting"]) == (len(expected), 0, 0)
    assert [stats[n] for n in ("rejected", "refused", "dropped", "failed")] == [0, 0, 0, 0]

    system.process.terminate()
    assert system.process.wait(timeout=60) == 0, system.log.read_text(errors="replace")


def test_no_visit_is_lost_or_doubled_while_the_system_restarts(
    start_system: Start, start_site: StartSite
) -> None:
    system = start_system()
    site = start_site(
        system.url,
        "gunicorn-workers",
        VISITOR_ANALYTICS_TOKEN=system.token,
        TETRALTO_TRUSTED_PROXIES="127.0.0.0/8",
    )
    marker = f"/products/{uuid4().hex}"
    seen: list[str] = []
    done = threading.Event()

    def browse() -> None:
        while not done.is_set():
            seen.append(f"{marker}-{len(seen)}/")
            assert site.get(seen[-1], VISITOR).status == 200

    browser = threading.Thread(target=browse)
    browser.start()
    try:
        for stop in (signal.SIGTERM, signal.SIGKILL):
            until(lambda: len(system.visits(marker)) > 0, "visits before")  # noqa: B023
            system.process.send_signal(stop)
            system.process.wait(timeout=60)
            met = len(seen)
            until(lambda: len(seen) > met + 20, "visits meanwhile")  # noqa: B023
            system = start_system()
    finally:
        done.set()
        browser.join()
    site.stop()
    # The next process sends the visits that workers could not deliver at exit.
    environ = {"VISITOR_ANALYTICS_TOKEN": system.token, "TETRALTO_TRUSTED_PROXIES": "127.0.0.0/8"}
    start_site(system.url, **environ).get("/?next", VISITOR)
    until(lambda: len(system.visits(marker)) >= len(seen), "every visit", seconds=90)
    assert Counter(visit["path"] for visit in system.visits(marker)) == Counter(seen)


def test_the_check_against_the_real_service(start_system: Start) -> None:
    system = start_system()
    output = StringIO()
    settings = {"SERVICE_URL": system.url, "TOKEN": system.token, "SPOOL": "off"}
    with override_settings(TETRALTO=settings):
        call_command("tetralto_check", stdout=output)
    assert "HTTP 201 after " in output.getvalue()
    assert '"is_bot": true' in output.getvalue()
    with (
        override_settings(TETRALTO=settings | {"TOKEN": "nonsense"}),
        pytest.raises(CommandError, match="is invalid or has expired"),
    ):
        call_command("tetralto_check", stdout=output)


@pytest.mark.browser
def test_a_real_browser_walks_the_example(
    start_system: Start, start_site: StartSite, tmp_path: Path
) -> None:
    system = start_system()
    example = {"DJANGO_SETTINGS_MODULE": "shop.settings", "VISITOR_ANALYTICS_TOKEN": system.token}
    site = start_site(system.url, "example", **example)
    browser = Browser(tmp_path)

    def pages() -> list[dict[str, Any]]:
        visits = system.visits("/")
        return [
            visit for visit in visits if visit["path"] != "/data.json"
        ]  # requested by the readiness check

    def walk(click: str, title: str) -> None:
        browser.evaluate(f"document.querySelector({click!r}).click()")
        until(lambda: browser.evaluate("document.title") == title, title)

    try:
        browser.open(f"{site.url}/")
        until(lambda: browser.evaluate("document.title") == "Welcome", "the first page")
        walk("a[href^='/pricing']", "Pricing")
        until(lambda: browser.evaluate("performance.now() > 2000"), "a look at the page")
        walk("button", "Welcome")
        until(lambda: len(pages()) == 3, "the visits")
        until(lambda: engaged(system, "/pricing/"), "the engagement")
    finally:
        browser.close()
    visits = pages()
    assert [visit["path"] for visit in reversed(visits)] == ["/", "/pricing/", "/"]
    pricing = visits[1]
    assert (pricing["title"], pricing["scroll_depth"]) == ("Pricing", 100)
    assert pricing["properties"] == {"plan": "pro", "route": "pricing"}
    assert len({visit["session_id"] for visit in visits}) == 1
    # An automated browser is classified as a bot, and so are its events.
    (event,) = until(lambda: system.read("/analytics/events", include_bots="true"), "the event")
    assert (event["event_type"], event["metadata"]) == ("quote_requested", {"rooms": 3})


def engaged(system: System, path: str) -> bool:
    (visit,) = system.visits(path)
    return bool(visit["engagement_seconds"])
