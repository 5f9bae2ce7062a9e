"""Responses of the service: a visit is discarded only if the service rejects that visit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analytics import DIE, Analytics, problem
from polling import until
from test_survival import message
from tetralto_visits.background_sender import BackgroundSender
from tetralto_visits.config import Target
from tetralto_visits.message import VISITS, Message
from tetralto_visits.stats import Stats

StartSender = Callable[[], BackgroundSender]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tetralto_visits.backoff._MAX_PAUSE", 0.01)
    monkeypatch.setattr("tetralto_visits.background_sender._BATCH_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr("tetralto_visits.background_sender._SPOOL_POLL_SECONDS", 0.01)
    monkeypatch.setattr("tetralto_visits.durable_queue.SUSPECT_PAUSE_SECONDS", 0.1)


@pytest.fixture(params=["disk", "memory"])
def start_sender(
    request: pytest.FixtureRequest, analytics: Analytics, tmp_path: Path
) -> Iterator[StartSender]:
    """Start a sender with or without a spool."""
    started: list[BackgroundSender] = []

    def start() -> BackgroundSender:
        folders = (tmp_path / "spool",) if request.param == "disk" else ()
        target = Target(analytics.url, "a-token", spool_folders=folders)
        started.append(BackgroundSender(target))
        return started[-1]

    yield start
    for sender in started:
        sender.close(5)


def put(sender: BackgroundSender, *numbers: int) -> None:
    """Queue visits together, so that they are sent as one batch."""
    with sender._lock:
        for number in numbers:
            sender.put(message(number))


def arrived(analytics: Analytics) -> list[int]:
    return sorted(int(path) for path in analytics.paths())


def given_up(stats: Stats) -> int:
    return stats.rejected + stats.refused + stats.dropped + stats.lost + stats.failed


@pytest.mark.parametrize(
    "status",
    [
        *(301, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415),
        *(421, 422, 423, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 507, 520),
    ],
)
def test_a_status_that_blames_no_visit_costs_none(
    analytics: Analytics, start_sender: StartSender, status: int
) -> None:
    answers = iter([(status, {"detail": "written by a proxy"})] * 2)
    analytics.refuse = lambda _: next(answers, None)
    sender = start_sender()
    put(sender, 1, 2)
    until(lambda: sender.stats().recorded == 2, "both visits")
    assert arrived(analytics) == [1, 2]
    assert given_up(sender.stats()) == 0


@pytest.mark.parametrize("status", [401, 403, 404, 408, 409, 421, 425, 429, 500, 502, 503, 504])
def test_the_service_itself_says_so(
    analytics: Analytics, start_sender: StartSender, status: int
) -> None:
    answers = iter([(status, problem("PLAYED", "something"))] * 2)
    analytics.refuse = lambda _: next(answers, None)
    sender = start_sender()
    put(sender, 1, 2)
    until(lambda: sender.stats().recorded == 2, "both visits")
    assert given_up(sender.stats()) == 0


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, problem("BODY_NOT_JSON", "body")),
        (422, problem("BODY_INVALID", "body")),
        (409, problem("ID_TAKEN", "id")),
    ],
)
def test_a_batch_that_is_refused_costs_only_the_guilty(
    analytics: Analytics, start_sender: StartSender, status: int, content: dict[str, Any]
) -> None:
    def refuse(visits: list[dict[str, Any]]) -> tuple[int, dict[str, Any]] | None:
        is_guilty = any(visit["url"].endswith(("/7", "/31")) for visit in visits)
        return (status, content) if is_guilty else None

    analytics.refuse = refuse
    sender = start_sender()
    put(sender, *range(50))
    until(lambda: sender.stats().recorded == 48, "the others")
    until(lambda: sender.stats().refused == 2, "the guilty")
    assert arrived(analytics) == [number for number in range(50) if number not in (7, 31)]
    assert len(analytics.posts) < 25, "the batch is split in halves"
    assert sender.stats().retries == 0


def test_a_body_that_is_too_large_is_split(analytics: Analytics, start_sender: StartSender) -> None:
    analytics.refuse = lambda visits: (413, {}) if len(visits) > 3 else None
    sender = start_sender()
    put(sender, *range(20))
    until(lambda: sender.stats().recorded == 20, "all visits")
    assert given_up(sender.stats()) == 0


@pytest.mark.parametrize("status", [413, 500, 502, DIE])
def test_a_visit_that_breaks_the_service_holds_up_nobody_and_is_kept(
    analytics: Analytics,
    start_sender: StartSender,
    status: int | str,
) -> None:
    def refuse(visits: list[dict[str, Any]]) -> tuple[int, dict[str, Any]] | str | None:
        if all(not visit["url"].endswith("/7") for visit in visits):
            return None
        return status if isinstance(status, str) else (status, {})

    analytics.refuse = refuse
    sender = start_sender()
    put(sender, *range(20))
    until(lambda: sender.stats().recorded == 19, "the others")
    put(sender, 20)
    until(lambda: sender.stats().recorded == 20, "the next")
    assert given_up(sender.stats()) == 0
    analytics.refuse = lambda _: None  # the service works again
    until(lambda: sender.stats().recorded == 21, "the one that was set apart")
    assert arrived(analytics) == list(range(21))


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NOT_FOUND"), (403, "SITE_FORBIDDEN"), (422, "BODY_INVALID")]
)
def test_an_engagement_of_a_visit_that_is_not_ours_is_given_up(
    analytics: Analytics, start_sender: StartSender, status: int, code: str
) -> None:
    analytics.refuse = lambda posted: (
        (status, problem(code)) if "scroll_depth" in posted[0] else None
    )
    sender = start_sender()
    path = "/visits/01890a5d-ac96-774b-bcce-b302099a8057/engagement"
    sender.put(Message(path, b'{"engagement_seconds": 1, "scroll_depth": 2}'))
    put(sender, 1)
    until(lambda: sender.stats().recorded == 1, "the visit")
    until(lambda: sender.stats().refused == 1, "the engagement")
    assert sender.stats().retries == 0


@pytest.mark.parametrize(
    "results", [[], [{"status": "recorded"}], [{"status": "postponed"}] * 2, None]
)
def test_an_answer_that_says_nothing_about_a_visit_costs_none(
    analytics: Analytics, start_sender: StartSender, results: object
) -> None:
    answers = iter([(200, {"results": results})])
    analytics.refuse = lambda _: next(answers, None)
    sender = start_sender()
    put(sender, 1, 2)
    until(lambda: sender.stats().recorded + sender.stats().duplicate == 2, "both visits")
    assert sender.stats().retries == 1


def test_what_a_site_ignores_is_counted(analytics: Analytics, start_sender: StartSender) -> None:
    analytics.refuse = lambda posted: (200, {"results": [{"status": "ignored"} for _ in posted]})
    sender = start_sender()
    put(sender, 1, 2)
    until(lambda: sender.stats().ignored == 2, "the answer")
    assert sender.stats().retries == 0


def test_a_message_that_cannot_be_serialized_costs_no_other(start_sender: StartSender) -> None:
    class Broken(Message):
        @property
        def body(self) -> bytes:
            raise UnicodeError("broken")

        @property
        def weight(self) -> int:
            return 1

    sender = start_sender()
    with sender._lock:
        for number in (1, 2):
            sender.put(message(number))
        sender.put(Broken(VISITS, b""))
        sender.put(message(3))
    until(lambda: sender.stats().recorded == 3, "the others")
    assert sender.stats().refused == 1
