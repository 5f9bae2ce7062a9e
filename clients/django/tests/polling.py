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
    """Find a free port.

    On Linux a bound socket that does not listen reserves the port until this process exits: the
    kernel assigns it to no other socket, connections are refused, and a server with SO_REUSEADDR
    can still listen on it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("", 0))  # a server on all addresses would conflict with a socket bound to one
        port: int = probe.getsockname()[1]
        if sys.platform == "linux":
            probe.detach()
        return port
