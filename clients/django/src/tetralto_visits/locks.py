"""File locks that the operating system releases when the process ends."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":

    def try_lock(file: IO[bytes]) -> bool:  # noqa: ARG001
        """Windows has no such lock, so this always succeeds."""
        return True

else:
    import fcntl

    def try_lock(file: IO[bytes]) -> bool:
        """Lock a file that is open for writing. Returns false if another process holds the lock.

        The lock is released when the process closes any handle of the file.
        """
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
