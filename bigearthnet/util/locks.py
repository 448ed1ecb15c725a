"""Locks of files between processes, where the system has them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file systems answer that have no locks, some of clusters for example.
_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)


def try_lock(file: int, path: Path) -> bool:
    """Locks a file for as long as it is open, unless another process has it locked.

    Processes that inherit the descriptor share the lock. On Windows, and on file
    systems without locks, everybody gets it.

    Args:
        file: Descriptor of the open file.
        path: Its path.

    Returns:
        Whether the file is locked, and is still the one at its path.

    Raises:
        OSError: If the system cannot tell.

    Source: flock(2).
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return True
    try:  # another process may have renamed or removed the file meanwhile
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
