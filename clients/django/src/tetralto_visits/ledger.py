"""How much each process has only in memory, written where it survives the process."""

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


class Ledger:
    """One number in a small file that the kernel keeps when the process is killed.

    The file is locked as long as the process lives, so others can tell that it does not.
    """

    def __init__(self, folder: Path) -> None:
        _remember_only_own()
        name = f"{os.getpid()}-{uuid4().hex[:8]}{_SUFFIX}"
        self._path = folder / name
        # Under its own name it appears only when it is locked.
        unlocked = folder / f"{name}.new"
        self._file: IO[bytes] = unlocked.open("w+b")
        try_lock(self._file)
        self._file.truncate(_NUMBER.size)
        self._number = memoryview(mmap.mmap(self._file.fileno(), _NUMBER.size)).cast("Q")
        _own.add(name)
        unlocked.rename(self._path)

    def note(self, parcels: int) -> None:
        """Write down how many parcels are only in memory."""
        self._number[0] = parcels

    def close(self) -> None:
        """Remove the file: the process ends in order."""
        self._path.unlink(missing_ok=True)
        self._file.close()


def take_lost(folder: Path) -> int:
    """Count what was only in memory when processes were killed, and remove their files."""
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
    """Forget the names that a forked process has from its parent: they are locked by that one."""
    prefix = f"{os.getpid()}-"
    _own.intersection_update({name for name in _own if name.startswith(prefix)})
