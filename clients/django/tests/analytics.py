"""A stub of visitor-analytics: records the posted visits and can return errors."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from polling import until

_ENGAGEMENT = re.compile(r"/visits/([0-9a-f-]{36})/engagement")

HANG = "hang"
HANG_UP = "X-Hang-Up"
"""A response with this header is followed by a silent close of the connection."""
DIE = "die"
"""The connection is closed without a response, as after a crash."""


def problem(code: str, field: str | None = None) -> dict[str, Any]:
    """Build problem details like the service."""
    return {"type": "about:blank", "title": "", "code": code, "detail": "no", "field": field}


@dataclass(frozen=True)
class Post:
    """One request. A single object is stored as a list of one."""

    path: str
    headers: dict[str, str]
    visits: list[dict[str, Any]]
    client: tuple[str, int]
    at: float
    """Monotonic seconds."""
    answered: int | str

    @property
    def ids(self) -> list[str]:
        return [visit["id"] for visit in self.visits]


class Analytics:
    """Responds like the service. ``script`` holds other responses that are sent first.

    ``knows_events`` is false for a version with only ``POST /visits``. ``refuse`` is called with
    each post before the script and may return a response: a status and the content.
    """

    def __init__(self, port: int = 0, *, knows_events: bool = True) -> None:
        self.knows_events = knows_events
        self.posts: list[Post] = []
        self.script: deque[tuple[int, dict[str, str]] | str] = deque()
        self.refuse: Callable[[list[dict[str, Any]]], tuple[int, dict[str, Any]] | str | None]
        self.refuse = lambda _: None
        self._stored: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.analytics = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Analytics:  # noqa: PYI034 - Self is not in Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def stored(self, path: str = "/visits") -> list[dict[str, Any]]:
        """Return the accepted objects of a path in the order of arrival."""
        with self._lock:
            return [
                visit
                for post in self.posts
                if post.answered == 200 and post.path == path
                for visit in post.visits
            ]

    def engagements(self) -> dict[str, dict[str, Any]]:
        """Return the last engagement of each visit by the id of the visit."""
        with self._lock:
            return {
                match[1]: post.visits[0]
                for post in self.posts
                if post.answered == 200 and (match := _ENGAGEMENT.fullmatch(post.path))
            }

    def paths(self) -> Counter[str]:
        return Counter(visit["url"].split("/", 3)[3] for visit in self.stored())

    def wait_for(self, count: int, path: str = "/visits") -> list[dict[str, Any]]:
        return until(
            lambda: v if len(v := self.stored(path)) >= count else [], f"{count} of {path}"
        )

    def note(self, handler: _Handler, body: bytes) -> int | str:
        """Record the request and choose the response."""
        with self._lock:
            if self._closing.is_set():  # an old keep-alive connection
                return HANG
            content = parsed if isinstance(parsed := json.loads(body), list) else [parsed]
            refused = self.refuse(content)
            planned: tuple[int, dict[str, str]] | str
            is_unknown = False
            if refused is not None:
                planned = refused if isinstance(refused, str) else (refused[0], {})
            elif self.script:
                planned = self.script.popleft()
            else:
                is_unknown = not (handler.path == "/visits" or self.knows_events)
                planned = (404 if is_unknown else 200), {}
            status = planned if isinstance(planned, str) else planned[0]
            post = Post(
                handler.path,
                {name.lower(): value for name, value in handler.headers.items()},
                content,
                handler.client_address,
                time.monotonic(),
                status,
            )
            self.posts.append(post)
            if isinstance(planned, str):
                return planned
            if refused is not None and not isinstance(refused, str):
                answer = refused[1]
            elif planned[0] == 200:
                answer = {"results": [self._judge(visit) for visit in post.visits]}
            else:
                answer = problem("NOT_FOUND" if is_unknown else "PLAYED")
        handler.answer(*planned, answer)
        return status

    def hang(self) -> None:
        self._closing.wait()

    def _judge(self, visit: dict[str, Any]) -> dict[str, Any]:
        if "unwanted" in visit.get("url", ""):
            error = {"code": "URL_INVALID", "detail": "no"}
            return {"status": "rejected", "error": error}
        is_known = visit.get("id") in self._stored
        self._stored.add(visit.get("id", ""))
        return {"status": "duplicate" if is_known else "recorded", "error": None}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    analytics: Analytics


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        status = self.server.analytics.note(self, body)
        if status == HANG:
            self.server.analytics.hang()
        if isinstance(status, str):
            self.close_connection = True

    def answer(self, status: int, headers: dict[str, str], content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = HANG_UP in headers

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Suppress the log."""
