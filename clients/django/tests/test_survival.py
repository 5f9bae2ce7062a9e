"""State that survives a process: the spool, the in-flight counter, and the sending lock."""

import itertools
import json
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from analytics import Analytics
from conftest import StartSite
from polling import free_port, until
from site_process import HERE, Site
from tetralto_visits.background_sender import BackgroundSender
from tetralto_visits.config import Target
from tetralto_visits.durable_queue import find_folder
from tetralto_visits.inflight_counter import InFlightCounter, take_lost
from tetralto_visits.message import EVENTS, VISITS, Message
from tetralto_visits.spool import SUSPECT_PAUSE_SECONDS, Spool

NOW = 1_795_176_000.0  # Unix time


def message(number: int, path: str = VISITS) -> Message:
    visit = {"id": f"{number:032x}", "url": f"http://www.example.com/{number}"}
    return Message(path, json.dumps(visit).encode())


def test_the_spool_gives_back_what_it_was_given_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    assert (spool.oldest(10, NOW), spool.count()) == ([], 0)
    spool.put(
        [message(1), message(2, EVENTS), message(3), message(4, f"/visits/{'0' * 36}/engagement")]
    )
    kept = spool.oldest(10, NOW)
    assert [one.message for one in kept] == [message(1), message(3)]
    spool.remove([one.number for one in kept])
    (event,) = spool.oldest(10, NOW)
    assert event.message == message(2, EVENTS)
    spool.remove([event.number])
    spool.put([message(5, f"/visits/{'1' * 36}/engagement")])
    assert len(spool.oldest(10, NOW)) == 1, "engagements are sent one by one"
    assert spool.count() == 2


def test_a_suspect_on_disk_waits_apart_and_goes_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    spool.put([message(1), message(2), message(3)])
    first = spool.oldest(10, NOW)[0]
    assert not first.is_suspect
    spool.postpone(first.number, NOW + SUSPECT_PAUSE_SECONDS)
    spool.put([message(4)], NOW + SUSPECT_PAUSE_SECONDS)
    assert [one.message for one in spool.oldest(10, NOW)] == [message(2), message(3)]
    (due,) = spool.oldest(10, NOW + SUSPECT_PAUSE_SECONDS)
    assert (due.message, due.is_suspect) == (message(1), True)
    (due,) = spool.oldest(10, NOW - 1)
    assert due.is_suspect, "a suspect is sent even if the clock was set back"
    assert spool.count() == 4


def test_the_spool_of_version_0_2_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 1_000_000)
    spool.put([message(1)])
    (file,) = tmp_path.iterdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("alter table parcel drop column retry_at")
    spool.put([message(2)])
    assert [one.message for one in spool.oldest(10, NOW)] == [message(1), message(2)]


def test_the_spool_is_private_bounded_and_shrinks(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 200_000)
    spool.put([message(0)])
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for start in itertools.count(1, 100):
            spool.put([message(number) for number in range(start, start + 100)])
    assert file.stat().st_size <= 200_000
    kept = spool.count()
    assert kept % 100 == 1, "a batch is stored completely or not at all"
    while stored := spool.oldest(100, NOW):
        spool.remove([one.number for one in stored])
    assert file.stat().st_size < 20_000
    assert b"example" not in file.read_bytes()


def test_a_visit_of_a_second_is_small_on_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 45_000_000)
    lines = (HERE / "visits.jsonl").read_text().splitlines()
    spool.put([Message(VISITS, line.encode()) for line in lines] * 100)
    size = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert size / (len(lines) * 100) < 500, "86,400 visits fit into 45 MB"


@pytest.mark.parametrize("content", [b"", b"this is no database" * 1000])
def test_a_spool_that_cannot_be_used_leaves_the_memory(
    analytics: Analytics, start_site: StartSite, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / "spool-1.sqlite3").write_bytes(content)
    analytics.script += [(503, {})] * 3
    site = start_site(analytics.url)
    site.get("/?kept")
    analytics.wait_for(1)
    assert analytics.paths() == {"?kept": 1}
    assert ("cannot be kept on disk" in site.log.read_text()) == bool(content)


def test_only_a_folder_of_our_own_will_do(tmp_path: Path) -> None:
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").touch()
    candidates = [everybodys, tmp_path / "link", tmp_path / "file" / "below"]
    assert find_folder(candidates) is None
    assert find_folder([*candidates, tmp_path / "new" / "own"]) == tmp_path / "new" / "own"
    assert stat.S_IMODE((tmp_path / "new" / "own").stat().st_mode) == 0o700


def test_a_full_spool_leaves_the_memory(analytics: Analytics, tmp_path: Path) -> None:
    analytics.script += [(503, {})]
    target = Target(analytics.url, "a-token", 1_000, 5.0, (tmp_path / "spool",), 1)
    sender = BackgroundSender(target)
    for number in range(1000):
        sender.put(message(number))
    analytics.wait_for(1000)
    assert len(analytics.paths()) == 1000
    sender.close(5)


DYING = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_survival import message
from tetralto_visits.config import Target
from tetralto_visits.background_sender import BackgroundSender
from polling import until

sender = BackgroundSender(Target(sys.argv[1], "a-token", 100, 600.0, (Path(sys.argv[2]),)))
sender.put(message(1))
{until}
for number in range(2, 12):
    sender.put(message(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(url: str, folder: Path, condition: str) -> None:
    code = DYING.replace("{until}", f'until(lambda: {condition}, "it")')
    arguments = [sys.executable, "-W", "ignore", "-c", code, url, str(folder), str(HERE)]
    assert subprocess.run(arguments, check=False, timeout=60).returncode == -9


def test_what_a_killed_process_kept_is_sent_by_the_next(
    analytics: Analytics, tmp_path: Path
) -> None:
    die(f"http://127.0.0.1:{free_port()}", tmp_path / "spool", "sender.stats().spooled == 1")
    sender = BackgroundSender(Target(analytics.url, "a-token", spool_folders=(tmp_path / "spool",)))
    sender.put(message(100))
    analytics.wait_for(2)
    until(lambda: sender.stats().lost == 10, "the count of what is lost")
    assert analytics.paths() == {"1": 1, "100": 1}
    sender.close(5)
    assert [file.suffix for file in (tmp_path / "spool").glob("*.memory*")] == []


def test_an_in_flight_counter_is_taken_once_and_only_from_the_dead(tmp_path: Path) -> None:
    counter = InFlightCounter(tmp_path)
    counter.set(7)
    counter.publish()
    assert take_lost(tmp_path) == 0
    code = (
        "import sys, pathlib;"
        "from tetralto_visits.inflight_counter import InFlightCounter, take_lost;"
        "folder = pathlib.Path(sys.argv[1]); assert take_lost(folder) == 0;"
        "counter = InFlightCounter(folder); counter.set(3); counter.publish()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=60)
    assert [take_lost(tmp_path) for _ in range(2)] == [3, 0]
    counter.close()
    assert list(tmp_path.iterdir()) == []


def browse(site: Site, seen: Counter[str], done: threading.Event, name: str) -> None:
    """Request pages with different URLs, and collect those that were answered."""
    for number in itertools.count():
        if done.is_set():
            return
        try:
            answer = site.get(f"/?{name}-{number}")
        except (OSError, HTTPException):  # the worker was killed, perhaps during the response
            continue
        assert answer.status == 200
        seen[f"?{name}-{number}"] += 1


def browse_while(site: Site, disturb: Callable[[Counter[str]], None]) -> Counter[str]:
    """Disturb the site under load; returns the pages that were answered."""
    seen: Counter[str] = Counter()
    done = threading.Event()
    browsers = [
        threading.Thread(target=browse, args=(site, seen, done, name)) for name in ("a", "b")
    ]
    for thread in browsers:
        thread.start()
    try:
        disturb(seen)
    finally:
        done.set()
        for thread in browsers:
            thread.join()
    return seen


def test_reloading_the_server_under_load_loses_and_doubles_nothing(
    analytics: Analytics, start_site: StartSite
) -> None:
    site = start_site(analytics.url, "gunicorn-workers")

    def reload(seen: Counter[str]) -> None:
        for round_ in range(1, 4):
            until(lambda: len(seen) > 10 * round_, "some visits")  # noqa: B023
            before = site.get("/pid/").json()["pid"]
            site.reload()
            until(lambda: site.get("/pid/").json()["pid"] > before, "new workers")  # noqa: B023

    seen = browse_while(site, reload)
    site.stop()
    found = analytics.paths()
    assert {path: found[path] for path in seen} == seen
    assert max(found.values()) == 1


def test_the_service_away_under_load_loses_and_doubles_nothing(start_site: StartSite) -> None:
    port = free_port()
    site = start_site(f"http://127.0.0.1:{port}", "gunicorn-workers")
    found: dict[str, str] = {}  # like the service, distinguishes visits by their ids

    def note(analytics: Analytics) -> bool:
        found.update({visit["id"]: visit["url"] for visit in analytics.stored()})
        return True

    def come_and_go(_seen: Counter[str]) -> None:
        for _ in range(3):
            with Analytics(port) as analytics:
                analytics.wait_for(1)
            note(analytics)

    seen = browse_while(site, come_and_go)
    with Analytics(port) as analytics:
        site.stop()
        start_site(analytics.url).get("/?last")
        until(lambda: note(analytics) and len(found) > len(seen), "every visit")
    paths = Counter(url.rpartition("/")[2] for url in found.values())
    assert {path: paths[path] for path in seen} == seen


def test_every_killed_process_is_reported(
    analytics: Analytics, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    target = Target(analytics.url, "a-token", 10_000, 5.0, (folder,), 1_000_000)
    sender = BackgroundSender(target, lambda: time.monotonic() * 1_000)
    numbers = itertools.count()

    def lost() -> int:
        sender.put(message(next(numbers)))
        return sender.stats().lost

    for round_, (messages, total) in enumerate(((3, 3), (4, 7))):
        # The unlocked counter of a process that no longer exists.
        (folder / f"1-{round_:08x}.memory").write_bytes(messages.to_bytes(8, sys.byteorder))
        until(lambda: lost() == total, "the report")  # noqa: B023
    lines = [record.getMessage() for record in caplog.records]
    assert [int(line.split()[0]) for line in lines if "of a killed process" in line] == [3, 4]
    sender.close(5)


@pytest.mark.parametrize("spool", ["", "off"])
def test_killing_workers_loses_only_what_is_counted(
    analytics: Analytics, start_site: StartSite, tmp_path: Path, spool: str
) -> None:
    environ = {"TETRALTO_SPOOL": spool} if spool else {}
    site = start_site(analytics.url, "gunicorn-workers", **environ)
    folder = None if spool else tmp_path / "spool"

    def kill(_seen: Counter[str]) -> None:
        for _ in range(5):
            met = len(analytics.posts)
            until(lambda: len(analytics.posts) > met, "some visits")  # noqa: B023
            site.kill_worker(folder)

    seen = browse_while(site, kill)
    site.stop()
    next_site = start_site(analytics.url, **environ)
    next_site.get("/?last")
    until(lambda: analytics.paths()["?last"], "the last visit")
    found = analytics.paths()
    assert max(found.values()) == 1
    missing = [path for path in seen if not found[path]]
    if not spool:
        lines = (site.log.read_text() + next_site.log.read_text()).splitlines()
        reports = [line for line in lines if "of a killed process" in line]
        counted = sum(int(line.split()[0]) for line in reports)
        assert len(missing) <= counted
