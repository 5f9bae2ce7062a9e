"""A token for one site, used on another site with all spellings of ids and paths."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote
from uuid import UUID

from client import Answer, ask
from report import Report
from system import System

OWN, OTHER = "a.example", "b.example"
_SECRET = "geheimnis"
_SCOPES = ("visits:read", "visits:write", "admin")
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


class Sites:
    """Two sites. The data of the other site must neither be readable nor changeable."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.port = system.ports["visitor-analytics"]
        self.admin = system.token()
        self.limited = system.token(_SCOPES, OWN)
        self.visit_id = "019a0000-0000-7000-8000-0000000000b1"
        self.import_id = "019a0000-0000-4000-8000-0000000000b2"
        self.at = datetime.now(timezone.utc) - timedelta(minutes=5)
        recorded = self.post("/visits", self.admin, self.visit(OTHER)).json()
        self.session_id = str(recorded["session_id"])
        self.visitor_id = str(recorded["visitor_id"])
        self.post("/visits", self.admin, {**self.visit(OWN), "id": None})
        event = {"event_type": _SECRET, "site": OTHER, "user_id": f"{_SECRET}-user"}
        self.post("/analytics/events", self.admin, event)
        goal = self.post("/goals", self.admin, {"site": OTHER, "name": _SECRET, "path": "/g"})
        self.goal_id = str(goal.json().get("id", "")) if goal.is_success else ""
        lines = [json.dumps({**self.visit(OTHER), "id": None}), f'{{"{_SECRET}": 1}}']
        target = f"/import?format=ndjson&site={OTHER}&id={self.import_id}"
        self.post(target, self.admin, "\n".join(lines).encode(), kind="application/x-ndjson")
        self.before = self.state()

    def visit(self, site: str) -> dict[str, Any]:
        return {
            "id": self.visit_id,
            "timestamp": self.at.isoformat(),
            "site": site,
            "url": f"https://{site}/{_SECRET if site == OTHER else 'open'}",
            "ip": "81.2.69.142" if site == OTHER else "81.2.69.160",
            "user_agent": _AGENT,
            "user_id": f"{_SECRET}-user" if site == OTHER else None,
        }

    def post(self, target: str, token: str, body: object, **more: Any) -> Answer:
        return ask(self.port, "POST", target, token, body, **more)

    def state(self) -> list[str]:
        """All data of the other site that could be changed, read with a token of its owner."""
        lists = ["/visits?include_bots=true", "/sessions?include_bots=true"]
        lists += ["/analytics/events?include_bots=true", "/goals?", "/imports?"]
        found = []
        for path in lists:
            answer = ask(self.port, "GET", f"{path}&site={OTHER}", self.admin).json()
            rows = answer["data"] if isinstance(answer, dict) else answer
            found += [f"{path} {json.dumps(row, sort_keys=True)}" for row in rows]
        sites = ask(self.port, "GET", "/sites?limit=100", self.admin).json()["data"]
        found += [f"/sites {json.dumps(row, sort_keys=True)}" for row in sites if OTHER in str(row)]
        return found

    def leaks(self, answer: Answer) -> bool:
        """Whether a response contains data of the other site."""
        secrets = (_SECRET, self.session_id, self.visitor_id)
        return answer.is_success and any(secret in answer.body for secret in secrets)

    def others_ids(self) -> dict[str, str]:
        """Ids of the other site that may be used in a path."""
        ids = {
            "visit": self.visit_id,
            "session": self.session_id,
            "import": self.import_id,
            "visitor": self.visitor_id,
            "user": f"{_SECRET}-user",
            "goal": self.goal_id,
            "site": OTHER,
        }
        return {name: one for name, one in ids.items() if one}


def spellings(one: str) -> Iterator[str]:
    """Generate spellings of an id that a decoder may treat as equal."""
    yield one
    yield f"%{ord(one[0]):02x}{one[1:]}"
    yield f"{one[:-1]}%{ord(one[-1]):02X}"
    yield "".join(f"%{byte:02x}" for byte in one.encode())
    yield one.upper()
    yield f"%25{ord(one[0]):02x}{one[1:]}"
    yield f"{one}/"
    yield f"./{one}"
    yield f"x/../{one}"
    yield f"/{one}"
    yield f"{one};site={OWN}"
    yield f"{one}%20"
    yield f"{one}%00"
    yield f"{one}?site={OWN}"
    yield f"{one}?site={OTHER}"
    try:
        parsed = UUID(one)
    except ValueError:
        return
    yield parsed.hex
    yield f"%7B{one}%7D"
    yield quote(f"urn:uuid:{one}", safe="")


_QUERIES = (
    "",
    f"site={OTHER}",
    f"site={OTHER.upper()}",
    f"%73ite={OTHER}",
    "site=%62.example",
    f"site={OWN}&site={OTHER}",
    f"site={OTHER}&site={OWN}",
    f"site={OWN},{OTHER}",
    f"site={OTHER}.",
    f"Site={OTHER}",
    f"site[]={OTHER}",
    f"site=!{OWN}",
    "site=*",
)


def run(system: System, report: Report, *, is_long: bool) -> None:  # noqa: ARG001
    """Call all routes of visitor-analytics with the token of one site."""
    sites = Sites(system)
    tried = 0
    leaks: list[str] = []
    failed: list[str] = []
    for method, path, operation in system.routes("visitor-analytics"):
        if path in ("/visits/live", "/import"):
            continue
        for target in _targets(sites, path):
            body = _body(operation)
            answer = ask(sites.port, method, target, sites.limited, body, timeout=10)
            tried += 1
            if sites.leaks(answer):
                leaks.append(f"{method} {target}: {answer.status} {answer.body[:80]}")
            elif answer.status >= 500 or (answer.status == 0 and system.is_alive is False):
                failed.append(f"{method} {target}: {answer.status}")
    report.counted("reads of another site by spellings", len(leaks), tried, "leaks", leaks)
    report.counted("  5xx responses", len(failed), tried, "failures", failed)
    changed = sorted(set(sites.state()) ^ set(sites.before))
    report.counted("changes of another site by spellings", len(changed), tried, "changes", changed)
    _cross(sites, report)


def _targets(sites: Sites, path: str) -> Iterator[str]:
    if "{" not in path:
        yield from (f"{path}?{query}" for query in _QUERIES)
        return
    for one in sites.others_ids().values():
        for spelled in spellings(one):
            yield re.sub(r"\{[^}]*\}", lambda _: spelled, path)  # noqa: B023


def _body(operation: dict[str, Any]) -> object:
    content = (operation.get("requestBody") or {}).get("content", {})
    if not content:
        return None
    everything = {"engagement_seconds": 77, "scroll_depth": 77, "site": OTHER, "domain": OTHER}
    return everything | {"name": "x", "path": "/x", "steps": [{"path": "/a"}, {"path": "/b"}]}


def _cross(sites: Sites, report: Report) -> None:
    """Use ids of the other site where a client can choose ids."""
    before = sites.state()
    wrong: list[str] = []
    own = sites.visit(OWN)
    answer = sites.post("/visits", sites.limited, own)
    if sites.leaks(answer):
        wrong.append(f"POST /visits with an id of the other site: {answer.body[:120]}")
    answer = sites.post("/visits", sites.limited, [own])
    if sites.leaks(answer):
        wrong.append(f"POST /visits, a list with an id of the other site: {answer.body[:120]}")
    later = own | {"timestamp": (sites.at + timedelta(milliseconds=1)).isoformat()}
    sites.post("/visits", sites.limited, later)
    target = f"/visits/{sites.visit_id}/engagement"
    answer = sites.post(target, sites.admin, {"engagement_seconds": 0, "scroll_depth": 0})
    if answer.status >= 500:
        wrong.append(f"the same id on both sites: POST {target}: {answer.status}")
    # The owner sent this report, so its change is allowed.
    before = sites.state()
    exported = own | {"received_at": own["timestamp"], "engagement_seconds": 999}
    for line in (exported, exported | {"site": OTHER}):
        target = f"/import?format=ndjson&site={OWN}"
        body = json.dumps(line).encode()
        sites.post(target, sites.limited, body, kind="application/x-ndjson")
    target = f"/import?format=ndjson&site={OWN}&id={sites.import_id}"
    answer = sites.post(target, sites.limited, b"{}\n{}\n", kind="application/x-ndjson")
    if answer.is_success or _SECRET in answer.body or OTHER in answer.body:
        wrong.append(
            f"POST /import with an id of the other site: {answer.status} {answer.body[:120]}"
        )
    wrong += [f"changed: {row[:120]}" for row in sorted(set(sites.state()) ^ set(before))]
    wrong += _cursors(sites)
    report.counted("ids and cursors of another site", len(wrong), 8, "leaks or changes", wrong)


def _cursors(sites: Sites) -> list[str]:
    """Decode the cursors, which must not contain other sites."""
    for number in range(3):
        sites.post("/sites", sites.admin, {"domain": f"{_SECRET}-{number}.example"})
    found = []
    for path in ("/sites", "/imports", "/visits", "/sessions", "/analytics/events"):
        answer = ask(sites.port, "GET", f"{path}?limit=1", sites.limited)
        cursor = str(answer.json().get("next_cursor") or "") if answer.is_success else ""
        try:
            decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            continue
        if _SECRET.encode() in decoded or OTHER.encode() in decoded:
            found.append(f"cursor of {path}: {decoded!r}")
    return found
