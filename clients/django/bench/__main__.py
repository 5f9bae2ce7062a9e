"""Runs all benchmarks and prints the results. Compare the differences, since machines are noisy."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from statistics import median, quantiles
from typing import Any, TypedDict
from uuid import UUID

from tetralto_visits.background_sender import BackgroundSender
from tetralto_visits.config import Target
from tetralto_visits.ids import rfc3339, uuid7
from tetralto_visits.message import VISITS, Message

HERE = Path(__file__).parent.parent
_ROUNDS = 8
_DAY = 86_400
_DAY_BEGAN_NS = 1_795_132_800_000_000_000


def say(text: str = "") -> None:
    """Print a line and flush."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Run all benchmarks."""
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="tetralto-bench-"))
    try:
        with sink() as up, hanging() as hangs:
            services = {"without": up, "up": up, "refusing": refusing(), "hanging": hangs}
            pages(services, folder, "one request after the other", 0.0, 1500)
            pages(services, folder, "one request every 5 ms", 0.005, 400)
            memory(hangs)
        day(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pages(services: dict[str, str], folder: Path, what: str, pause: float, count: int) -> None:
    """Compare the time per request. The variants take turns, so disturbances affect all of them."""
    found: dict[str, list[Round]] = {mode: [] for mode in services}
    for number in range(_ROUNDS):
        for mode, url in services.items():
            spool = folder / f"{mode}-{number}-{pause}"
            found[mode].append(
                json.loads(run("bench.pages", mode, url, str(spool), str(pause), str(count)))
            )
    say(f"\nRequest, {what} ({_ROUNDS} rounds of {count}), µs and the difference:")
    say(f"{'analytics':<10}" + "".join(f"{name:>18}" for name in _COLUMNS))
    base = figures(found["without"])
    for mode, rounds in found.items():
        columns = zip(figures(rounds), base, strict=True)
        say(f"{mode:<10}" + "".join(f"{f:>10.0f}{f - b:>+8.0f}" for f, b in columns))


_COLUMNS = ("median", "p99", "p99 undisturbed", "median running", "p99 running", "CPU of process")


class Round(TypedDict):
    """The results of one process in microseconds."""

    took: list[float]
    undisturbed: list[float]
    busy: list[float]
    cpu: float


def figures(rounds: list[Round]) -> list[float]:
    """Return the values of the columns."""
    took = quantiles((micros for one in rounds for micros in one["took"]), n=100)
    undisturbed = quantiles((micros for one in rounds for micros in one["undisturbed"]), n=100)
    busy = quantiles((micros for one in rounds for micros in one["busy"]), n=100)
    cpu = median(one["cpu"] for one in rounds)
    return [took[49], took[98], undisturbed[98], busy[49], busy[98], cpu]


def memory(url: str) -> None:
    """Compare resident memory with a full queue."""
    sizes = {
        m: median(int(run("bench.memory", m, url)) for _ in range(3)) for m in ("without", "full")
    }
    say(f"\nMemory with a full queue: {(sizes['full'] - sizes['without']) / 1e6:.1f} MB more")


def day(folder: Path) -> None:
    """Spool a day with one visit per second, and let the next process send it."""
    spool = folder / "day"
    lines = (HERE / "tests" / "visits.jsonl").read_text().splitlines()
    away = BackgroundSender(Target(refusing(), "a-token", spool_folders=(spool,)))
    started = time.process_time()
    for second in range(_DAY):
        away.put(Message(VISITS, visit_of(lines[second % len(lines)], second)))
        if second % 500 == 0:
            while away.stats().waiting > 1000:
                time.sleep(0.01)
    while away.stats().waiting:
        time.sleep(0.05)
    cpu = (time.process_time() - started) / _DAY * 1e6
    counted = away.stats()
    size = sum(file.stat().st_size for file in spool.iterdir())
    away.close(0)
    say(f"\nA day with one visit per second, service unavailable: {size / 1e6:.1f} MB on disk")
    say(f"{counted.spooled} stored, {counted.dropped} dropped, {cpu:.0f} µs of CPU per visit")

    with sink() as url:
        began = time.monotonic()
        following = BackgroundSender(Target(url, "a-token", spool_folders=(spool,)))
        following.put(Message(VISITS, visit_of(lines[0], _DAY)))
        while (found := counts(url))["distinct"] <= _DAY and time.monotonic() - began < 300:
            time.sleep(0.1)
        took = time.monotonic() - began
        following.close(2)
        size = sum(file.stat().st_size for file in spool.iterdir())
    say(f"sent by the next process in {took:.0f} s: {found['received']} received,")
    say(f"{found['distinct']} distinct of {_DAY + 1}; {size / 1e6:.2f} MB left on disk")


def visit_of(line: str, second: int) -> bytes:
    """Set id and time of a recorded visit to the given second of the day."""
    visit = json.loads(line)
    at_ns = _DAY_BEGAN_NS + second * 1_000_000_000
    entropy = UUID(visit["id"]).bytes[8:] if second == 0 else hash_of(second)
    visit["id"] = uuid7(at_ns, entropy)
    visit["timestamp"] = rfc3339(at_ns)
    visit["ip"] = ".".join(str(byte % 224 + 1) for byte in entropy[:4])
    return json.dumps(visit, separators=(",", ":")).encode()


def hash_of(number: int) -> bytes:
    """Create bytes that cannot be compressed."""
    return sha256(str(number).encode()).digest()


def run(module: str, *arguments: str) -> str:
    """Run a module of this package in a separate process."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=HERE, check=True, capture_output=True, text=True).stdout


@contextmanager
def sink() -> Iterator[str]:
    """Run a service that accepts all visits."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "bench.sink", str(port)], cwd=HERE)
    url = f"http://127.0.0.1:{port}"
    try:
        while not counts(url):
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def counts(url: str) -> dict[str, Any]:
    """Return the counts of the sink; empty if it has not started yet."""
    try:
        with urllib.request.urlopen(f"{url}/") as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except OSError:
        return {}


@contextmanager
def hanging() -> Iterator[str]:
    """Accept connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def refusing() -> str:
    """Return a URL without a server."""
    return f"http://127.0.0.1:{free_port()}"


def free_port() -> int:
    """Find a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
