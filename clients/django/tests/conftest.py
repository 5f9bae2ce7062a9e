"""Fixtures: a stub of visitor-analytics, and the demo site as a real server process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import django
import pytest

from analytics import Analytics
from site_process import SERVERS, Site

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo.settings")
django.setup()

StartSite = Callable[..., Site]


@pytest.fixture
def analytics() -> Iterator[Analytics]:
    with Analytics() as server:
        yield server


@pytest.fixture
def start_site(tmp_path: Path) -> Iterator[StartSite]:
    """Start the demo site: ``start_site(service_url, "gunicorn", TETRALTO_QUEUE_SIZE="3")``."""
    started: list[Site] = []

    def start(service_url: str, server: str = "gunicorn", **environ: str) -> Site:
        log = tmp_path / f"site-{len(started)}.log"
        environ = {
            "VISITOR_ANALYTICS_SERVICE_URL": service_url,
            "VISITOR_ANALYTICS_TOKEN": "a-token",
            "TETRALTO_SPOOL": str(tmp_path / "spool"),
            **environ,
        }
        started.append(Site(SERVERS[server], log, environ))
        return started[-1]

    yield start
    for site in started:
        site.stop()
