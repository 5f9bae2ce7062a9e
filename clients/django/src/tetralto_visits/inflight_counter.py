"""A counter of the messages in memory that survives the end of the process."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import IO
from uuid import uuid4

from tetralto_visits.locks import try_lock

_NUMBER = struct.Struct("=Q")
_SUFFIX = ".memory"

_own: set[str] = set()


class InFlightCounter:
    """A number in a small memory-mapped file, which survives if the process is killed.

    The file is locked while the process lives, so other processes can detect its end.
    """

    def __init__(self, folder: Path) -> None:
        _remember_only_own()
        name = f"{os.getpid()}-{uuid4().hex[:8]}{_SUFFIX}"
        self._path = folder / name
        self._unpublished = folder / f"{name}.new"
        self._file: IO[bytes] = self._unpublished.open("w+b")
        try_lock(self._file)
        self._file.truncate(_NUMBER.size)
        self._number = memoryview(mmap.mmap(self._file.fileno(), _NUMBER.size)).cast("Q")
        _own.add(name)

    def publish(self) -> None:
        """Give the file its final name, by which other processes find it."""
        self._unpublished.rename(self._path)

    def set(self, messages: int) -> None:
        """Store the number of messages that are only in memory."""
        self._number[0] = messages

    def close(self) -> None:
        """Remove the file at a regular end of the process."""
        for path in (self._path, self._unpublished):
            path.unlink(missing_ok=True)
        self._file.close()


def take_lost(folder: Path) -> int:
    """Sum the counters of killed processes and remove their files."""
    _remember_only_own()
    return sum(_take(path) for path in folder.glob(f"*{_SUFFIX}") if path.name not in _own)


def _take(path: Path) -> int:
    try:
        with path.open("r+b") as file:
            if not try_lock(file):
                return 0
            content = file.read(_NUMBER.size)
            path.unlink()
    except FileNotFoundError:  # another process was first
        return 0
    return int(_NUMBER.unpack(content)[0]) if len(content) == _NUMBER.size else 0


def _remember_only_own() -> None:
    """After a fork, forget the files of the parent process, which holds their locks."""
    prefix = f"{os.getpid()}-"
    _own.intersection_update({name for name in _own if name.startswith(prefix)})
