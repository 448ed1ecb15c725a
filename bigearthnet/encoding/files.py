"""Writing to files, shared by both stages."""

from __future__ import annotations

import os
from collections.abc import Sequence


def write_all(file: int, pieces: Sequence[bytes | memoryview], nbytes: int) -> None:
    """Writes pieces one after another, without putting them together.

    Args:
        file: Descriptor of an open file.
        pieces: What to write; as many as one system call takes (IOV_MAX, 1024).
        nbytes: Bytes of all pieces.

    Raises:
        OSError: If the file cannot be written, for want of space for example.
    """
    written = os.writev(file, pieces)
    if written < nbytes:  # a system call may take less than it was given
        rest = memoryview(b"".join(pieces))[written:]
        while rest:
            rest = rest[os.write(file, rest) :]
