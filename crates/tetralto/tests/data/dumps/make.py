"""Make a dump of the current version: the test data for every later migration.

Run once per release, before its migrations change:

    target/release/tetralto postgres -- \
        python3 crates/tetralto/tests/data/dumps/make.py target/release VERSION

Writes VERSION.sql.gz (plain SQL of the three schemas), VERSION.jsonl (requests and the answers of
the version that wrote the dump) and VERSION.statements.jsonl.gz (all SQL statements of the version)
beside this file. The page views come from ../page_views.jsonl and
are moved to the last days, because the services refuse nothing that is old but fold and partition
by time.
"""

from __future__ import annotations

import atexit
import datetime as dt
import gzip
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECRET = "a-secret-of-the-dump-with-32-characters"
SITE = "www.semicomplete.com"
DEFAULT_RULE = "Visitor arrived"


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def token(programs: Path) -> str:
    command = [programs / "tetralto", "token", "--sub", "dump", "--scope", "admin", "--days", "1"]
    environ = {**os.environ, "JWT_SECRETS": SECRET}
    made = subprocess.run(command, env=environ, stdout=subprocess.PIPE, check=True)
    return made.stdout.decode().strip()


class Service:
    def __init__(self, program: Path, **settings: str) -> None:
        self.port = free_port()
        self.token = token(program.parent)
        environ = {**os.environ, "PORT": str(self.port), "JWT_SECRETS": SECRET, "RUST_LOG": "warn"}
        environ.update(settings)
        subprocess.run([program, "migrate"], env=environ, check=True)
        self.process = subprocess.Popen([program], env=environ)
        atexit.register(self.process.terminate)
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.call("GET", "/health")["status"] in ("ok", "degraded"):
                    return
            except (OSError, KeyError, SystemExit):
                pass
            if time.monotonic() > deadline:
                raise SystemExit(f"{program.name} does not start")
            time.sleep(0.2)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


def page_views(now: dt.datetime) -> list[dict[str, Any]]:
    lines = (HERE.parent / "page_views.jsonl").read_text().splitlines()
    visits = [json.loads(line) for line in lines]
    moments = [dt.datetime.fromisoformat(visit["timestamp"]) for visit in visits]
    shift = now - dt.timedelta(minutes=1) - max(moments)
    for n, (visit, moment) in enumerate(zip(visits, moments, strict=True)):
        visit["timestamp"] = (moment + shift).isoformat()
        visit["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"page view {n}"))
        if n % 5 == 0:
            visit["user_id"] = f"user-{n % 7}"
    return visits


def fill(geo: Service, analytics: Service, notification: Service, now: dt.datetime) -> None:
    geo.call("POST", "/service-areas", {
        "name": "London", "center": {"latitude": 51.5074, "longitude": -0.1278}, "radius_km": 25})
    geo.call("POST", "/service-areas", {
        "name": "Germany and Texas", "countries": ["DE"], "regions": ["US-TX"]})
    notification.call("POST", "/recipients", {
        "name": "ann", "addresses": ["+15550100002"], "language": "de", "time_zone": "Asia/Tokyo"})
    notification.call("POST", "/rules", {
        "name": "Orders", "event": "order.paid", "condition": "data.total > 100",
        "recipients": ["recipient:ann", "log"],
        "templates": [{"text": "{{ data.name }} ordered for {{ data.total }}"}]})
    notification.call("POST", "/suppressions", {"address": "+15550100067"})
    for total in (50, 120, 130):
        notification.call("POST", "/notify", {
            "event": "order.paid", "data": {"name": "Ann", "total": total}})
    analytics.call("POST", "/sites", {"domain": SITE})
    analytics.call("PATCH", f"/sites/{SITE}", {"properties": ["plan"]})
    visits = page_views(now)
    for start in range(0, len(visits), 100):
        analytics.call("POST", "/visits", visits[start:start + 100])
    known = [visit for visit in visits if visit["user_agent"]]
    for n, visit in enumerate(known[::20]):
        analytics.call("POST", "/analytics/events", {
            "event_type": ("signup", "download")[n % 2], "site": SITE, "ip": visit["ip"],
            "user_agent": visit["user_agent"], "timestamp": visit["timestamp"],
            "metadata": {"n": n}})
    analytics.call("POST", "/goals", {"site": SITE, "name": "Articles", "page": "/blog/*", "value": 2.5})
    analytics.call("POST", "/goals", {"site": SITE, "name": "Signup", "event_type": "signup"})
    analytics.call("POST", "/segments", {
        "name": "French desktops", "filters": {"country": ["FR"], "device_type": ["desktop"]}})


def requests(now: dt.datetime) -> list[tuple[str, str]]:
    begin, end = (now - dt.timedelta(days=6)).date(), (now + dt.timedelta(days=1)).date()
    period = f"site={SITE}&from={begin}&to={end}"
    asked = [("visitor-analytics", f"/analytics/summary?{period}")]
    asked += [("visitor-analytics", f"/analytics/summary?{period}&include_bots=true")]
    asked += [("visitor-analytics", f"/analytics/summary?{period}&time_zone=Asia/Tokyo&country=US")]
    for interval in ("hour", "day"):
        asked += [("visitor-analytics", f"/analytics/timeseries?{period}&interval={interval}")]
    for dimension in ("page", "country", "browser", "os", "device_type", "source", "channel"):
        asked += [("visitor-analytics", f"/analytics/breakdown?{period}&by={dimension}&limit=20")]
    asked += [
        ("visitor-analytics", f"/analytics/{report}?{period}")
        for report in ("journeys", "bots", "retention")
    ]
    asked += [
        ("visitor-analytics", f"/analytics/{read}?site={SITE}")
        for read in ("events", "events/by-type")
    ]
    asked += [("visitor-analytics", f"/visits?site={SITE}&include_bots=true&limit=20")]
    asked += [("visitor-analytics", f"/sessions?site={SITE}&limit=20")]
    asked += [("visitor-analytics", path) for path in ("/sites", "/goals", "/segments")]
    asked += [("notification", path) for path in ("/rules", "/recipients", "/suppressions")]
    asked += [("notification", "/notifications")]
    asked += [("geo", "/service-areas"), ("geo", "/service-areas/check?latitude=51.6&longitude=-0.1")]
    return asked


def until_folded(analytics: Service) -> None:
    deadline = time.monotonic() + 180
    while count("visitor_analytics.unfolded_day") > 2:
        if time.monotonic() > deadline:
            raise SystemExit("the days are not folded")
        time.sleep(1)


def count(table: str) -> int:
    command = ["psql", "-XAtq", os.environ["DATABASE_URL"], "-c", f"select count(*) from {table}"]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def write_statements(version: str) -> None:
    """Collect the SQL that sqlx has checked."""
    files = HERE.parents[4].glob("services/*/.sqlx/*.json")
    statements = sorted({json.loads(file.read_text())["query"] for file in files})
    lines = "".join(json.dumps(statement) + "\n" for statement in statements)
    packed = gzip.compress(lines.encode(), mtime=0)
    (HERE / f"{version}.statements.jsonl.gz").write_bytes(packed)


def main() -> None:
    programs, version = Path(sys.argv[1]).resolve(), sys.argv[2]
    now = dt.datetime.now(dt.timezone.utc).replace(microsecond=0)
    geo = Service(programs / "geo", GEOIP_UPDATE="off")
    notification = Service(programs / "notification", NOTIFY_MAX_AGE="2d")
    # Nobody listens there, so that the outbox has rows that wait.
    analytics = Service(
        programs / "visitor-analytics",
        GEO_SERVICE_URL=geo.url,
        NOTIFICATION_SERVICE_URL="http://127.0.0.1:1",
        NOTIFY_MAX_AGE="30d",
    )
    services = {"geo": geo, "visitor-analytics": analytics, "notification": notification}
    fill(geo, analytics, notification, now)
    until_folded(analytics)
    answers = [
        {"service": service, "path": path, "answer": services[service].call("GET", path)}
        for service, path in requests(now)
    ]
    for service in services.values():
        service.stop()
    outbox = count("visitor_analytics.outbox")
    dump = subprocess.run(
        ["pg_dump", "--no-owner", "--no-privileges", os.environ["DATABASE_URL"]],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    (HERE / f"{version}.sql.gz").write_bytes(gzip.compress(dump, mtime=0))
    lines = [{"made_at": now.isoformat(), "outbox": outbox}, *answers]
    written = "".join(json.dumps(line) + "\n" for line in lines)
    (HERE / f"{version}.jsonl").write_text(written)
    write_statements(version)
    print(f"{len(answers)} answers, {outbox} rows in the outbox, {len(dump)} bytes of SQL")


if __name__ == "__main__":
    main()
