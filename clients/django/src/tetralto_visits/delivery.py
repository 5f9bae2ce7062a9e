"""The background senders of this process: one for each service, usually one."""

from __future__ import annotations

import atexit
import os

from tetralto_visits.config import Target
from tetralto_visits.courier import Courier
from tetralto_visits.stats import Stats

_FLUSH_SECONDS = 2.0

# The key contains the pid, so a forked child never uses the queue, lock, thread or connection of
# its parent. A fork hook is not enough, because uWSGI forks without Python's hooks.
_couriers: dict[tuple[int, Target], Courier] = {}


def courier_for(target: Target) -> Courier:
    """Return the sender of this process; create it if needed."""
    key = (os.getpid(), target)
    courier = _couriers.get(key)
    if courier is None:
        for other in list(_couriers):
            if other[0] != key[0]:
                _couriers.pop(other, None)
        # setdefault is atomic: concurrent threads get the same sender.
        courier = _couriers.setdefault(key, Courier(target))
    return courier


def stats() -> Stats:
    """Return the counters of this process."""
    return sum((courier.stats() for courier in _mine()), Stats())


@atexit.register
def flush() -> None:
    """Deliver the queued visits within 2 seconds, because the process ends."""
    for courier in _mine():
        courier.close(_FLUSH_SECONDS)


def _mine() -> list[Courier]:
    return [courier for (pid, _), courier in list(_couriers.items()) if pid == os.getpid()]
