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
from tetralto_visits.ledger import Ledger, take_lost
from tetralto_visits.locks import try_lock
from tetralto_visits.parcel import LARGEST_BATCH, Sendable
from tetralto_visits.spool import SUSPECT_PAUSE_SECONDS, Spool, Stored
from tetralto_visits.throttle import Throttle

_ERRORS = (OSError, sqlite3.Error)


class Depot:
    """Stores messages on disk. If that is impossible, it logs a warning and stores nothing."""

    def __init__(self, target: Target, throttle: Throttle) -> None:
        self._throttle = throttle
        self._folder = find_folder(target.spool_folders)
        self._spool = Spool(self._folder, target.spool_bytes) if self._folder else None
        self._ledger: Ledger | None = None
        self._emptying: IO[bytes] | None = None
        if self._folder:
            try:
                self._ledger = Ledger(self._folder)
            except _ERRORS as error:
                self._warn(error)
        elif target.spool_folders:
            throttle.warn("spool", "No usable folder for the spool; set TETRALTO_SPOOL.")

    @property
    def is_usable(self) -> bool:
        """Whether there is a spool."""
        return self._spool is not None

    def note(self, parcels: int) -> None:
        """Store the number of messages that are only in memory."""
        if self._ledger is not None:
            self._ledger.note(parcels)

    def take_lost(self) -> int:
        """Count the messages in the memory of killed processes. Each is counted once."""
        if self._folder is None:
            return 0
        try:
            return take_lost(self._folder)
        except _ERRORS as error:
            self._warn(error)
            return 0

    def put(self, parcels: Sequence[Sendable], *, is_suspect: bool = False) -> bool:
        """Store messages, as suspects or not. Returns false if that is impossible."""
        if self._spool is None:
            return False
        try:
            self._spool.put(parcels, self._retry_at() if is_suspect else 0.0)
        except _ERRORS as error:
            self._warn(error)
            return False
        return True

    def oldest(self, most: int = LARGEST_BATCH) -> list[Stored]:
        """Read the oldest messages that can be posted together.

        Empty if there are none, or if another process is sending.
        """
        try:
            if self._spool is None or self._spool.is_empty() or not self._may_empty():
                return []
            return self._spool.oldest(most, time.time())
        except _ERRORS as error:
            self._warn(error)
            return []

    def remove(self, stored: Iterable[Stored]) -> None:
        """Delete delivered messages. If deleting fails, they are sent again."""
        if self._spool is not None:
            try:
                self._spool.remove([one.number for one in stored])
            except _ERRORS as error:
                self._warn(error)

    def set_apart(self, stored: Stored) -> None:
        """Postpone a message that fails alone, so that it does not block others."""
        if self._spool is not None:
            try:
                self._spool.postpone(stored.number, self._retry_at())
            except _ERRORS as error:
                self._warn(error)

    def leave(self) -> None:
        """Release the lock, so that another process can send."""
        if self._emptying is not None:
            self._emptying.close()
            self._emptying = None

    def close(self) -> None:
        """End in order: what is not here is accounted for elsewhere."""
        self.leave()
        if self._ledger is not None:
            self._ledger.close()

    @staticmethod
    def _retry_at() -> float:
        return time.time() + SUSPECT_PAUSE_SECONDS

    def _may_empty(self) -> bool:
        if self._emptying is None and self._folder is not None:
            file = (self._folder / "sending.lock").open("ab")
            if not try_lock(file):
                file.close()
                return False
            self._emptying = file
        return True

    def _warn(self, error: Exception) -> None:
        # Log only the type: the message may contain a path.
        kind = type(error).__name__
        self._throttle.warn("spool", f"Visits cannot be kept on disk ({kind}).")


def find_folder(candidates: Iterable[Path]) -> Path | None:
    """Find the first folder that is private to this user; create it if missing."""
    return next((folder for folder in candidates if _is_ours(folder)), None)


def _is_ours(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    # In a world-writable directory another user could have created the folder.
    is_owner = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    is_closed = not found.st_mode & stat.S_IWOTH
    return stat.S_ISDIR(found.st_mode) and is_owner and is_closed and os.access(folder, os.W_OK)
