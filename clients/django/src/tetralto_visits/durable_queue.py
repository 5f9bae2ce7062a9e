"""The durable queue: the spool, the in-flight counter, and the lock of the sending process."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from tetralto_visits.config import Target
from tetralto_visits.inflight_counter import InFlightCounter, take_lost
from tetralto_visits.locks import try_lock
from tetralto_visits.log_throttle import LogThrottle
from tetralto_visits.message import MAX_BATCH_SIZE, Sendable
from tetralto_visits.spool import SUSPECT_PAUSE_SECONDS, Spool, StoredMessage

_ERRORS = (OSError, sqlite3.Error)


class DurableQueue:
    """Stores messages on disk. If that is impossible, it logs a warning and stores nothing."""

    def __init__(self, target: Target, throttle: LogThrottle) -> None:
        self._throttle = throttle
        self._folder = find_folder(target.spool_folders)
        self._spool = Spool(self._folder, target.spool_bytes) if self._folder else None
        self._in_flight: InFlightCounter | None = None
        self._sending_lock: IO[bytes] | None = None
        if self._folder:
            try:
                self._in_flight = InFlightCounter(self._folder)
            except _ERRORS as error:
                self._warn(error)
        elif target.spool_folders:
            throttle.warn("spool", "No usable folder for the spool; set TETRALTO_SPOOL.")

    @property
    def is_usable(self) -> bool:
        """Whether there is a spool."""
        return self._spool is not None

    def set_in_flight(self, messages: int) -> None:
        """Store the number of messages that are only in memory."""
        if self._in_flight is not None:
            self._in_flight.set(messages)

    def publish_in_flight(self) -> None:
        """Let other processes find the number of messages after the end of this process."""
        if self._in_flight is not None:
            try:
                self._in_flight.publish()
            except _ERRORS as error:
                self._warn(error)

    def take_lost(self) -> int:
        """Count the messages in the memory of killed processes. Each is counted once."""
        if self._folder is None:
            return 0
        try:
            return take_lost(self._folder)
        except _ERRORS as error:
            self._warn(error)
            return 0

    def put(self, messages: Sequence[Sendable], *, is_suspect: bool = False) -> bool:
        """Store messages, as suspects or not. Returns false if that is impossible."""
        if self._spool is None:
            return False
        try:
            self._spool.put(messages, self._retry_at() if is_suspect else 0.0)
        except _ERRORS as error:
            self._warn(error)
            return False
        return True

    def oldest(self, most: int = MAX_BATCH_SIZE) -> list[StoredMessage]:
        """Read the oldest messages that can be posted together.

        Empty if there are none, or if another process is sending.
        """
        try:
            if self._spool is None or self._spool.is_empty() or not self._acquire():
                return []
            return self._spool.oldest(most, time.time())
        except _ERRORS as error:
            self._warn(error)
            return []

    def remove(self, stored: Iterable[StoredMessage]) -> None:
        """Delete delivered messages. If deleting fails, they are sent again."""
        if self._spool is not None:
            try:
                self._spool.remove([one.number for one in stored])
            except _ERRORS as error:
                self._warn(error)

    def postpone(self, stored: StoredMessage) -> None:
        """Postpone a message that fails alone, so that it does not block others."""
        if self._spool is not None:
            try:
                self._spool.postpone(stored.number, self._retry_at())
            except _ERRORS as error:
                self._warn(error)

    def release(self) -> None:
        """Release the lock, so that another process can send."""
        if self._sending_lock is not None:
            self._sending_lock.close()
            self._sending_lock = None

    def close(self) -> None:
        """End in order: what is not here is accounted for elsewhere."""
        self.release()
        if self._in_flight is not None:
            self._in_flight.close()

    @staticmethod
    def _retry_at() -> float:
        return time.time() + SUSPECT_PAUSE_SECONDS

    def _acquire(self) -> bool:
        if self._sending_lock is None and self._folder is not None:
            file = (self._folder / "sending.lock").open("ab")
            if not try_lock(file):
                file.close()
                return False
            self._sending_lock = file
        return True

    def _warn(self, error: Exception) -> None:
        # Log only the type: the message may contain a path.
        kind = type(error).__name__
        self._throttle.warn("spool", f"Visits cannot be kept on disk ({kind}).")


def find_folder(candidates: Iterable[Path]) -> Path | None:
    """Find the first folder that is private to this user; create it if missing."""
    return next((folder for folder in candidates if _is_private(folder)), None)


def _is_private(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    # In a world-writable directory another user could have created the folder.
    is_owner = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    is_closed = not found.st_mode & stat.S_IWOTH
    return stat.S_ISDIR(found.st_mode) and is_owner and is_closed and os.access(folder, os.W_OK)
