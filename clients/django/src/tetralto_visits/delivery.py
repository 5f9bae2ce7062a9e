"""The couriers of this process: one for each service that visits go to, usually one."""

from __future__ import annotations

import atexit
import os

from tetralto_visits.config import Target
from tetralto_visits.courier import Courier
from tetralto_visits.stats import Stats

_FLUSH_SECONDS = 2.0

# Keyed by process: a forked child finds none of its own, so it never touches the parent's queue,
# lock, thread or connection. (uWSGI forks without telling Python, so a fork hook is not enough.)
_couriers: dict[tuple[int, Target], Courier] = {}


def courier_for(target: Target) -> Courier:
    """Find this process's courier, or make it."""
    key = (os.getpid(), target)
    courier = _couriers.get(key)
    if courier is None:
        for other in list(_couriers):
            if other[0] != key[0]:
                _couriers.pop(other, None)
        # Atomic: threads that come here together get the same one.
        courier = _couriers.setdefault(key, Courier(target))
    return courier


def stats() -> Stats:
    """Count what became of this process's visits."""
    return sum((courier.stats() for courier in _mine()), Stats())


@atexit.register
def flush() -> None:
    """Deliver what waits, within 2 seconds, because the process is about to end."""
    for courier in _mine():
        courier.close(_FLUSH_SECONDS)


def _mine() -> list[Courier]:
    return [courier for (pid, _), courier in list(_couriers.items()) if pid == os.getpid()]
