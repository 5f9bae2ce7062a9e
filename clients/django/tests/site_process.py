"""The demo site as a real server process, and a client for it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polling import free_port, until

HERE = Path(__file__).parent

BROWSER = {
    "Host": "www.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7",
    "Accept-Encoding": "gzip, deflate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
}


@dataclass(frozen=True)
class Server:
    """The command that starts a server on a port, and the signal that stops it gracefully."""

    arguments: tuple[str, ...]
    stop_signal: signal.Signals = signal.SIGTERM

    def command(self, port: int) -> list[str]:
        return [argument.format(port=port) for argument in self.arguments]


_PYTHON = (sys.executable, "-m")
_GUNICORN = (*_PYTHON, "gunicorn", "--bind=127.0.0.1:{port}", "--no-control-socket", "demo.wsgi")
SERVERS = {
    "gunicorn": Server(_GUNICORN),
    "gunicorn-threads": Server((*_GUNICORN, "--threads=4")),
    "gunicorn-preload": Server((*_GUNICORN, "--preload", "--workers=3")),
    "gunicorn-workers": Server((*_GUNICORN, "--workers=3")),
    "gunicorn-gevent": Server((*_GUNICORN, "--worker-class=gevent")),
    "eventlet": Server((*_PYTHON, "demo.eventlet_server", "{port}")),
    "uwsgi": Server(
        (
            str(Path(sys.executable).with_name("uwsgi")),
            f"--virtualenv={sys.prefix}",
            "--http-socket=127.0.0.1:{port}",
            "--module=demo.wsgi",
            "--master",
            "--processes=3",
            "--enable-threads",
            "--die-on-term",
            "--need-app",
        )
    ),
    "uvicorn": Server(
        (
            *_PYTHON,
            "uvicorn",
            "--host=127.0.0.1",
            "--port={port}",
            "--no-proxy-headers",
            "demo.asgi:application",
        )
    ),
    "example": Server(
        (
            *_PYTHON,
            "uvicorn",
            "--app-dir=../example",
            "--host=127.0.0.1",
            "--port={port}",
            "shop.asgi:application",
        )
    ),
    "runserver": Server(
        (*_PYTHON, "django", "runserver", "--noreload", "127.0.0.1:{port}"), signal.SIGINT
    ),
}


@dataclass(frozen=True)
class Answer:
    """A response of the site."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:  # noqa: ANN401
        return json.loads(self.body)


def _hear_ctrl_c() -> None:
    """Restore SIGINT. Shells ignore it for background processes, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Site:
    """A running site. ``log`` is the file with its output."""

    def __init__(self, server: Server, log: Path, environ: Mapping[str, str]) -> None:
        self.log = log
        self._port = free_port()
        self._stop_signal = server.stop_signal
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                server.command(self._port),
                cwd=HERE,
                env={
                    **os.environ,
                    "PYTHONPATH": str(HERE),
                    "DJANGO_SETTINGS_MODULE": "demo.settings",
                    **environ,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_hear_ctrl_c,
            )
        until(self._is_listening, "the demo site")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, body, headers={**BROWSER, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, headers)

    def stats(self) -> dict[str, int]:
        counted: dict[str, int] = self.get("/stats/").json()
        return counted

    def reload(self) -> None:
        """Make the server replace its workers."""
        self._process.send_signal(signal.SIGHUP)

    def kill_worker(self, spool: Path | None = None) -> None:
        """Kill -9 the worker that answers the next request.

        With a spool: not before it counts its messages there, in the first moments of its life.
        """
        pid: int = self.get("/pid/").json()["pid"]
        assert pid != self._process.pid, "the server has no separate worker"
        if spool:
            until(lambda: list(spool.glob(f"{pid}-*.memory")), "the counter of the worker")
        os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """Stop the server gracefully and wait for its exit."""
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
        try:
            # Longer than gunicorn's timeout for its workers.
            self._process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The site did not stop:\n{self.log.read_text()}") from None
        finally:
            self._process.kill()
            self._process.wait()

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.get("/data.json").status in (200, 404)  # the example has no such page
        except OSError:
            return False
