"""Locks on files that end with the process that holds them, however it ends."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":

    def try_lock(file: IO[bytes]) -> bool:  # noqa: ARG001
        """Windows knows no such lock: nobody else ever holds one."""
        return True

else:
    import fcntl

    def try_lock(file: IO[bytes]) -> bool:
        """Lock a file that is open for writing; false when another process holds the lock.

        The process loses the lock when it closes the file, under whichever handle.
        """
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
