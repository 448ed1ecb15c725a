"""Writing to files, shared by both stages."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def write_all(
    file: int, pieces: Sequence[bytes | memoryview], nbytes: int, path: Path
) -> None:
    """Writes pieces one after another, without putting them together.

    Args:
        file: Descriptor of an open file.
        pieces: What to write; as many as one system call takes (IOV_MAX, 1024).
        nbytes: Bytes of all pieces.
        path: Path of the file, for error messages.

    Raises:
        OSError: If the file cannot be written, for want of space for example; the
            message names it.
    """
    try:
        written = os.writev(file, pieces)
        if written < nbytes:  # a system call may take less than it was given
            rest = memoryview(b"".join(pieces))[written:]
            while rest:
                rest = rest[os.write(file, rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def sync_folder(path: Path) -> None:
    """Makes the names of a folder's files durable.

    Raises:
        OSError: If the folder cannot be opened or synchronised.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
