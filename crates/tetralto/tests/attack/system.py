"""Starts and stops the system under attack, in a temporary folder and on free ports."""

from __future__ import annotations

import glob
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from client import ask

SERVICES = ("geo", "visitor-analytics", "notification")
_START_SECONDS = 120.0
_PSQL_PLACES = ("/usr/lib/postgresql/*/bin/psql", "/opt/homebrew/opt/postgresql*/bin/psql")


class System:
    """The all-in-one process with its PostgreSQL, and further replicas of visitor-analytics."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        # PostgreSQL may run as another user, who must be able to enter the folder.
        self.folder = Path(tempfile.mkdtemp(prefix="tetralto-attack-"))
        self.folder.chmod(0o711)
        self.ports: dict[str, int] = {}
        self.tokens: dict[tuple[str, ...], str] = {}
        self._replicas: list[subprocess.Popen[bytes]] = []
        self._environ = {
            **os.environ,
            "TETRALTO_DATA_DIR": str(self.folder / "data"),
            "GEOIP_UPDATE": "off",
            "RUST_LOG": "warn",
            **{f"{name.upper().replace('-', '_')}_PORT": "0" for name in SERVICES},
        }
        self._environ.pop("DATABASE_URL", None)
        self._log = self.folder / "system.log"
        try:
            self.restart()
        except BaseException:
            self.stop()
            raise

    def restart(self) -> None:
        """Start the process, with the data of an earlier start."""
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.programs / "tetralto"], env=self._environ, stdout=log, stderr=log
            )
        self._wait_for_start()

    def renew(self) -> None:
        """Stop the process gracefully and start it again, with fresh memory and the same data."""
        self._end()
        self.restart()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(timeout=30)

    def _wait_for_start(self) -> None:
        banner = re.compile(
            r"^ +(geo|visitor-analytics|notification) +\S*localhost:(\d+)/", re.MULTILINE
        )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            self.ports = {name: int(port) for name, port in banner.findall(self.log())}
            if len(self.ports) == len(SERVICES) and all(
                ask(port, "GET", "/health").is_success for port in self.ports.values()
            ):
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The system did not start:\n{self.log()}")
            time.sleep(0.1)

    def log(self) -> str:
        """The log so far."""
        return self._log.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def memory_mb(self) -> float:
        """Resident memory of the process in MB; 0 if it has exited."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return 0.0
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) * 1024 / 1e6 if found else 0.0

    def token(self, scopes: Iterable[str] = ("admin",), site: str = "") -> str:
        """Create a token, restricted to ``site`` if given."""
        arguments = [item for scope in scopes for item in ("--scope", scope)]
        arguments += ["--site", site] if site else []
        key = tuple(arguments)
        if key not in self.tokens:
            command = [str(self.programs / "tetralto"), "token", "--sub", "attack", "--days", "1"]
            said = subprocess.run(
                [*command, *arguments], env=self._environ, stdout=subprocess.PIPE, check=True
            )
            self.tokens[key] = said.stdout.decode().strip()
        return self.tokens[key]

    def routes(self, service: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Read all routes and operations from the OpenAPI, so that new ones are included."""
        paths = ask(self.ports[service], "GET", "/openapi.json").json()["paths"]
        return [
            (method.upper(), path, operation)
            for path, operations in paths.items()
            for method, operation in operations.items()
            if method in ("get", "post", "put", "patch", "delete")
        ]

    @property
    def postgres_socket(self) -> str:
        """The folder of PostgreSQL's socket: line 5 of postmaster.pid (pidfile.h)."""
        lines = (self.folder / "data/postgres/postmaster.pid").read_text().splitlines()
        return lines[4]

    def sql(self, statement: str) -> list[str]:
        """Run a statement with psql; returns one line per row."""
        program = shutil.which("psql") or next(
            (found for place in _PSQL_PLACES for found in glob.glob(place)), ""
        )
        if not program:
            raise SystemExit("psql is not installed; it is part of PostgreSQL")
        command = [program, "-XAtq", "-h", self.postgres_socket, "-U", "tetralto", "tetralto"]
        said = subprocess.run(
            command, input=statement.encode(), stdout=subprocess.PIPE, check=True, timeout=60
        )
        return said.stdout.decode().splitlines()

    def start_replica(self, database: str = "") -> tuple[subprocess.Popen[bytes], int]:
        """Start another visitor-analytics; returns the process and its port."""
        port = free_port()
        socket_folder = self.postgres_socket
        url = database or f"postgres://tetralto@localhost/tetralto?host={socket_folder}"
        environ = {
            **self._environ,
            "DATABASE_URL": url,
            "PORT": str(port),
            "GEO_SERVICE_URL": f"http://127.0.0.1:{self.ports['geo']}",
            "NOTIFICATION_SERVICE_URL": f"http://127.0.0.1:{self.ports['notification']}",
            "JWT_SECRETS": (self.folder / "data/jwt-secret").read_text().strip(),
        }
        with (self.folder / f"replica-{port}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.programs / "visitor-analytics"], env=environ, stdout=log, stderr=log
            )
        self._replicas.append(process)
        deadline = time.monotonic() + _START_SECONDS
        while not ask(port, "GET", "/health").is_success:
            if process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / f"replica-{port}.log").read_text(errors="replace")
                raise SystemExit(f"A replica did not start:\n{log_text}")
            time.sleep(0.1)
        return process, port

    def stop_replicas(self) -> None:
        """Kill the replicas, including frozen ones."""
        for process in self._replicas:
            if process.poll() is None:
                process.kill()
                process.send_signal(signal.SIGCONT)
                process.wait(timeout=30)
        self._replicas.clear()

    def stop(self) -> None:
        """Stop all processes and remove the folder."""
        self.stop_replicas()
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)


_reserved: list[socket.socket] = []


def free_port() -> int:
    """Reserve a port. The socket does not listen, so a server can still listen on the port."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Bind to all addresses: a server on all of them would conflict with a socket bound to one.
    one.bind(("", 0))
    _reserved.append(one)
    return int(one.getsockname()[1])
