"""The background senders of this process: one for each service, usually one."""

from __future__ import annotations

import atexit
import os

from tetralto_visits.background_sender import BackgroundSender
from tetralto_visits.config import Target
from tetralto_visits.stats import Stats

_FLUSH_SECONDS = 2.0

# The key contains the pid, so a forked child never uses the queue, lock, thread or connection of
# its parent. A fork hook is not enough, because uWSGI forks without Python's hooks.
_senders: dict[tuple[int, Target], BackgroundSender] = {}


def sender_for(target: Target) -> BackgroundSender:
    """Return the sender of this process; create it if needed."""
    key = (os.getpid(), target)
    sender = _senders.get(key)
    if sender is None:
        for other in list(_senders):
            if other[0] != key[0]:
                _senders.pop(other, None)
        # setdefault is atomic: concurrent threads get the same sender.
        sender = _senders.setdefault(key, BackgroundSender(target))
    return sender


def stats() -> Stats:
    """Return the counters of this process."""
    return sum((sender.stats() for sender in _own_senders()), Stats())


@atexit.register
def flush() -> None:
    """Deliver the queued visits within 2 seconds, because the process ends."""
    for sender in _own_senders():
        sender.close(_FLUSH_SECONDS)


def _own_senders() -> list[BackgroundSender]:
    return [sender for (pid, _), sender in list(_senders.items()) if pid == os.getpid()]
