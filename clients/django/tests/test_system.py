"""The demo site against the real system: what is browsed can be read back, exactly once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from conftest import StartSite
from polling import free_port, until

# A visitor with a public address, behind a proxy that the site trusts.
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
        """All visits whose path starts with the prefix, bots included."""
        query = urlencode({"include_bots": "true", "limit": 100})
        request = urllib.request.Request(
            f"{self.url}/visits?{query}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)["data"]
        return [visit for visit in found if visit["path"].startswith(prefix)]


@pytest.fixture
def system() -> Iterator[System]:
    """Start the system on a data folder of its own.

    The folder is not pytest's: PostgreSQL may run as another user, who must be able to pass
    every parent folder.
    """
    binary = os.environ.get("TETRALTO_BIN", "")
    assert binary, (
        "TETRALTO_BIN is not set. Build the system with `cargo build` at the project's root and "
        "set TETRALTO_BIN to target/debug/tetralto, or run `./dev test`, which does both."
    )
    assert os.access(binary, os.X_OK), f"TETRALTO_BIN: {binary} cannot be run"
    folder = Path(tempfile.mkdtemp(prefix="tv-"))
    folder.chmod(0o755)
    log = folder / "log"
    port = free_port()
    environ = {
        **os.environ,
        "TETRALTO_DATA_DIR": str(folder / "data"),
        "GEOIP_UPDATE": "off",
        "GEO_PORT": str(free_port()),
        "VISITOR_ANALYTICS_PORT": str(port),
        "NOTIFICATION_PORT": str(free_port()),
    }
    environ.pop("DATABASE_URL", None)  # the system keeps its own database
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(binary).resolve()],
            cwd=folder,
            env=environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = System(process, f"http://127.0.0.1:{port}", folder / "data" / "token", log)
    try:
        until(running.is_healthy, "the system", seconds=120)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        finally:
            process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def test_page_views_arrive_exactly_once(system: System, start_site: StartSite) -> None:
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
