"""Delivery from a real site: no visit is lost or duplicated, and no page waits."""

import subprocess
import sys
from pathlib import Path

import pytest

from analytics import HANG, HANG_UP, Analytics
from conftest import StartSite
from polling import free_port, until
from site_process import HERE


def test_the_same_ids_go_again_after_503(analytics: Analytics, start_site: StartSite) -> None:
    analytics.script += [(503, {"Retry-After": "2"}), (500, {}), (429, {})]
    site = start_site(analytics.url)
    site.get("/")
    site.get("/products/lamp/")
    analytics.wait_for(2)
    site.stop()
    first, second, third, fourth = analytics.posts[:4]
    assert [first.answered, second.answered, third.answered] == [503, 500, 429]
    posted = (first, second, third, fourth)
    assert all(later.ids[: len(first.ids)] == first.ids for later in posted)
    assert second.at - first.at >= 2, "Retry-After is honoured"
    assert analytics.paths() == {"": 1, "products/lamp/": 1}


def test_batches_share_one_connection(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url)
    for count in (1, 2, 3):
        site.get("/")
        analytics.wait_for(count)
    assert len(analytics.posts) == 3
    assert len({post.client for post in analytics.posts}) == 1


def test_a_connection_that_was_closed_meanwhile_is_no_failure(
    analytics: Analytics, start_site: StartSite
) -> None:
    analytics.script += [(200, {HANG_UP: "1"})] * 2
    site = start_site(analytics.url)
    for count in (1, 2, 3):
        site.get(f"/?{count}")
        analytics.wait_for(count)
    until(lambda: site.stats()["recorded"] >= 3, "the answers")
    assert site.stats()["retries"] == 0
    assert analytics.paths() == {"?1": 1, "?2": 1, "?3": 1}


@pytest.mark.parametrize("server", ["gunicorn", "gunicorn-gevent", "uvicorn"])
def test_pages_answer_while_the_service_is_down(start_site: StartSite, server: str) -> None:
    port = free_port()
    site = start_site(f"http://127.0.0.1:{port}", server)
    assert [site.get(f"/?{n}").status for n in range(5)] == [200] * 5
    until(lambda: site.stats()["retries"] >= 1, "a refused connection")
    with Analytics(port) as analytics:
        analytics.wait_for(5)
        until(lambda: site.stats()["recorded"] == 5, "the answer")
        assert analytics.paths() == {f"?{n}": 1 for n in range(5)}
    assert site.log.read_text().count("Visits cannot be delivered") == 1


@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_pages_answer_while_the_service_hangs(
    analytics: Analytics, start_site: StartSite, server: str
) -> None:
    analytics.script += [HANG, HANG]
    site = start_site(analytics.url, server, TETRALTO_TIMEOUT_SECONDS="0.5")
    site.get("/?first")
    until(lambda: analytics.posts, "the post that hangs")
    assert [site.get(f"/?{n}").status for n in range(5)] == [200] * 5
    analytics.wait_for(6)
    assert analytics.paths() == {"?first": 1} | {f"?{n}": 1 for n in range(5)}
    first = analytics.posts[0].ids[0]
    assert sum(first in post.ids for post in analytics.posts) >= 2, "the same id again"


def test_a_full_queue_drops_and_counts(start_site: StartSite) -> None:
    site = start_site(
        f"http://127.0.0.1:{free_port()}", TETRALTO_QUEUE_SIZE="3", TETRALTO_SPOOL="off"
    )
    assert [site.get("/").status for _ in range(10)] == [200] * 10
    stats = site.stats()
    assert (stats["queued"], stats["waiting"], stats["dropped"]) == (3, 3, 7)
    assert site.log.read_text().count("The queue is full") == 1


def test_a_wrong_token_costs_no_visit(analytics: Analytics, start_site: StartSite) -> None:
    analytics.script += [(401, {}), (404, {})]
    site = start_site(analytics.url)
    site.get("/?kept")
    until(lambda: site.stats()["recorded"] == 1, "the visit")
    assert "Visits cannot be delivered (HTTP 401)" in site.log.read_text()
    assert analytics.paths() == {"?kept": 1}


def test_what_the_service_refuses_costs_nothing_else(
    analytics: Analytics, start_site: StartSite
) -> None:
    analytics.script += [(422, {})]
    site = start_site(analytics.url)
    site.get("/?refused")
    until(lambda: site.stats()["refused"] == 1, "the refusal")
    site.get("/?unwanted")
    site.get("/?fine")
    until(lambda: site.stats()["recorded"] == 1, "the next batch")
    assert site.stats()["rejected"] == 1
    log = site.log.read_text()
    assert "Visits were refused and dropped: HTTP 422 PLAYED." in log
    assert "Visits were rejected: URL_INVALID." in log
    assert "127.0.0.1" not in "".join(line for line in log.splitlines() if "Visits" in line)


@pytest.mark.parametrize(
    "server",
    [
        "gunicorn",
        "gunicorn-threads",
        "gunicorn-gevent",
        pytest.param("eventlet", marks=pytest.mark.eventlet),
        "uvicorn",
        "runserver",
    ],
)
def test_what_waits_is_delivered_when_the_server_stops(
    analytics: Analytics, start_site: StartSite, server: str
) -> None:
    site = start_site(analytics.url, server)
    for n in range(120):
        site.get(f"/?{n}")
    site.stop()
    assert analytics.paths() == {f"?{n}": 1 for n in range(120)}
    assert max(len(post.visits) for post in analytics.posts) <= 100


@pytest.mark.parametrize("spool", ["off", ""])
def test_the_server_stops_although_the_service_hangs(
    analytics: Analytics, start_site: StartSite, spool: str
) -> None:
    analytics.script += [HANG] * 10
    environ = {"TETRALTO_SPOOL": spool} if spool else {}
    site = start_site(analytics.url, TETRALTO_TIMEOUT_SECONDS="600", **environ)
    site.get("/")
    until(lambda: analytics.posts, "the post that hangs")
    site.stop()
    is_lost = "Undelivered visits at process exit: 1." in site.log.read_text()
    assert is_lost == (spool == "off")
    if not is_lost:
        analytics.script.clear()
        start_site(analytics.url).get("/?next")
        analytics.wait_for(2)
        assert analytics.paths() == {"": 1, "?next": 1}


def test_forked_workers_deliver_each_for_itself(
    analytics: Analytics, start_site: StartSite
) -> None:
    site = start_site(analytics.url, "gunicorn-preload")
    for n in range(30):
        site.get(f"/?{n}")
    site.stop()
    assert analytics.paths() == {f"?{n}": 1 for n in range(30)}


@pytest.mark.uwsgi
def test_uwsgi_forks_without_telling_python(analytics: Analytics, start_site: StartSite) -> None:
    site = start_site(analytics.url, "uwsgi")
    for n in range(30):
        site.get(f"/?{n}")
    # Not at exit: uWSGI runs no exit handlers in a worker that it considers busy.
    analytics.wait_for(30)
    assert analytics.paths() == {f"?{n}": 1 for n in range(30)}
    site.stop()


FORKING = """
import os, sys
from pathlib import Path
from tetralto_visits.config import Target
from tetralto_visits.message import Message
from tetralto_visits.registry import sender_for, stats

target = Target(sys.argv[1], "a-token", 10, 5.0, (Path(sys.argv[2]),))

def put(id, path):
    visit = '{"id": "%s", "url": "http://www.example.com/%s"}' % (id, path)
    sender_for(target).put(Message("/visits", visit.encode()))

put("1", "parent")
if os.fork() == 0:
    assert stats().queued == 0
    put("2", "child")
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
"""


def test_a_fork_with_a_full_queue_and_a_running_thread(
    analytics: Analytics, tmp_path: Path
) -> None:
    script = tmp_path / "forking.py"
    script.write_text(FORKING)
    subprocess.run(
        [sys.executable, "-W", "ignore", script, analytics.url, tmp_path / "spool"],
        check=True,
        cwd=HERE,
        timeout=60,
    )
    assert analytics.paths() == {"parent": 1, "child": 1}
