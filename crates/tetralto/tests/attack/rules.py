"""Rules and templates that try to crash or block notification."""

from __future__ import annotations

import threading
import time
from typing import Any

from client import ask
from limits import ANSWER_SECONDS, TOKEN_MEMORY_MB
from probe import Probe, usual_targets
from report import Report
from system import System

_MINUS_SIGNS = 9_000
_FILTERS = 1_500
_LONG_TEXT = "wort " * 11_600
"""58 kB."""
_AT = "+262142-12-31T23:59:59Z"
_WINDOWS: dict[str, Any] = {
    "throttle": {"limit": 1, "seconds": 3600},
    "dedupe": {"seconds": 3600},
    "digest": {"seconds": 3600},
    "quiet_hours": [{"from": "22:00", "to": "07:00", "time_zone": "Asia/Tokyo"}],
    "escalation": [{"after_seconds": 3600, "recipients": ["log"]}],
}


def run_tests(system: System, report: Report, *, is_long: bool) -> None:  # noqa: ARG001
    """Send malicious rules to `/rules/test`, which does not store them."""
    trials = {
        f"/rules/test: {_MINUS_SIGNS:,} minus signs in a template": _trial(
            text="{{ " + "-" * _MINUS_SIGNS + "1 }}"
        ),
        f"/rules/test: {_MINUS_SIGNS:,} minus signs in a condition": _trial(
            condition="-" * _MINUS_SIGNS + "1 < 2"
        ),
        "/rules/test: 900 minus signs in a condition": _trial(condition="-" * 900 + "1 < 2"),
        f"/rules/test: {_FILTERS:,} × |title over 58 kB, two at once": _trial(
            text="{{ data.x" + "|title" * _FILTERS + " }}", data={"x": _LONG_TEXT}
        ),
        "/rules/test: `at` in the year 262142": {**_trial(windows=_WINDOWS), "at": _AT},
    }
    for name, trial in trials.items():
        if not system.is_alive:
            system.restart()
        count = 2 if "two at once" in name else 1
        statuses: list[int] = []

        def post(trial: dict[str, Any] = trial, statuses: list[int] = statuses) -> None:
            port, token = system.ports["notification"], system.token()
            answer = ask(port, "POST", "/rules/test", token, trial, timeout=60)
            statuses.append(answer.status)

        with Probe(system, *usual_targets(system)) as probe:
            threads = [threading.Thread(target=post) for _ in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(1)
        wrong = [status for status in statuses if status == 0 or status >= 500]
        report.note(f"status {statuses}")
        examples = [] if system.is_alive else ["the process has exited: " + _last_words(system)]
        report.counted(name, len(wrong), count, "5xx or no response", examples)
        report.measured("  other clients", probe.measured, ANSWER_SECONDS, TOKEN_MEMORY_MB)


def run_stored(system: System, report: Report, *, is_long: bool) -> None:
    """Store a rule whose digest divides by zero. A crash would repeat after each start."""
    port, token = system.ports["notification"], system.token()
    rule = {
        "name": "attack",
        "event": "attack",
        "recipients": ["log"],
        "digest": {"seconds": 1},
        "templates": [{"text": "{% if digest %}{{ digest.count is divisibleby 0 }}{% endif %}x"}],
    }
    made = ask(port, "POST", "/rules", token, rule)
    with Probe(system, *usual_targets(system)) as probe:
        for number in range(3):
            ask(port, "POST", "/notify", token, {"event": "attack", "data": {"n": number}})
        time.sleep(20 if is_long else 5)
    if made.is_success:
        ask(port, "DELETE", f"/rules/{made.json()['id']}", token)
    examples = [f"creating the rule: status {made.status}"]
    if not system.is_alive:
        examples.append("the process has exited: " + _last_words(system))
    report.counted(
        "`divisibleby 0` in a digest", not system.is_alive, 1, "crashed processes", examples
    )
    report.measured("  other clients", probe.measured, ANSWER_SECONDS, TOKEN_MEMORY_MB)


def _trial(
    text: str = "x",
    condition: str | None = None,
    data: dict[str, Any] | None = None,
    windows: dict[str, Any] | None = None,
) -> dict[str, Any]:
    rule = {"name": "t", "event": "e", "recipients": ["log"], "templates": [{"text": text}]}
    rule |= windows or {}
    if condition is not None:
        rule["condition"] = condition
    return {"notification": {"event": "e", "data": data or {}}, "rule": rule}


def _last_words(system: System) -> str:
    lines = [line for line in system.log().splitlines() if line.strip()]
    return lines[-1][:160] if lines else "no output"
