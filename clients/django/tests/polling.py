"""Polling until a condition is true."""

import socket
import sys
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(find: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Call a function repeatedly until the result is true, and return the result."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"timeout while waiting for {what}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """Find a port that nothing listens on.

    On Linux a socket that does not listen reserves it until this process ends: the system gives it
    to nobody else, a process that names it can listen on it (as servers do, with SO_REUSEADDR), and
    until then connections are refused.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", 0))  # a server on all addresses would conflict with a socket bound to one
        port: int = probe.getsockname()[1]
        if sys.platform == "linux":
            probe.detach()
        return port
