"""Lines of access logs, with the results that visitor-analytics and this package must have."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tetralto_visits.access_log import read

CASES = Path(__file__).parents[3] / "services/visitor-analytics/tests/api/access_log_cases.jsonl"


def cases() -> list[dict[str, Any]]:
    rows = [json.loads(row) for row in CASES.read_text(encoding="utf-8").splitlines()]
    # The format of a line is recognized, so a line cannot be in a wrong one.
    return [row for row in rows if not row.get("wrong_format")]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["about"])
def test_a_line_has_the_result_of_an_import(case: dict[str, Any]) -> None:
    if case.get("skipped") in ("header", "message"):
        assert all(line is None for line in read(case["lines"]))
        return
    *_, line = read(case["lines"])
    if "rejected" in case:
        assert line is None
        return
    assert line is not None
    assert line.skip_reason == case.get("skipped")
    if "page" in case:
        sent = json.loads(line.visit("https://shop.example", with_user=True))
        sent["timestamp"] = sent["timestamp"].replace(".250000Z", ".250Z")
        sent["user_agent"] = sent["user_agent"] or None
        assert {name: sent.get(name) for name in case["page"]} == case["page"]
        assert sent.get("site", "shop.example") == "shop.example"


def test_a_user_is_only_sent_on_request() -> None:
    case = next(case for case in cases() if case.get("page", {}).get("user_id"))
    (line,) = read(case["lines"])
    assert line is not None
    assert "user_id" not in json.loads(line.visit("https://shop.example"))


def test_damaged_lines_never_fail() -> None:
    chance = random.Random(7)
    lines = [line for case in cases() for line in case["lines"]]
    alphabet = ' "\\[]:,-\tx\ufffd\u00e90%|{}#'
    for _ in range(20_000):
        line = list(chance.choice(lines))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(line) + 1)
            line[place : place + chance.randint(0, 3)] = chance.choice(alphabet)
        for parsed in read(["".join(line)]):
            if parsed and parsed.skip_reason is None:
                parsed.visit("https://shop.example")


def test_a_long_line_takes_linear_time() -> None:
    for piece in ("[", '"', "\\", "1,", "a ", "[]", '" ', "1.1.1.1 "):
        assert list(read([piece * (60_000 // len(piece))])) == [None]
