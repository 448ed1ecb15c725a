"""The limit of a build on a disk: both stages' reading and writing, and nothing else.

Decompresses the archive while as many bytes as the spool has are written, beside; then
reads those, and writes the bytes of the shards durably.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from clock import Clock, parse_arguments, report
from isal import igzip

# Bytes of a patch's pixels; spool and TFRecord have little more.
_PATCH_NBYTES = 160_000
# Patches that are written at once.
_PATCHES = 50
# Bytes that are decompressed at once.
_BLOCK_NBYTES = 2**20


def decompress(source: Path) -> None:
    """Decompresses a file."""
    buffer = bytearray(_BLOCK_NBYTES)
    with igzip.open(source, "rb") as file:
        while file.readinto(buffer):
            pass


def main() -> None:
    """Does what a build cannot do without."""
    arguments, clock = parse_arguments(), Clock()
    block = memoryview(os.urandom(_PATCHES * _PATCH_NBYTES))
    spool, shards = arguments.work / "spool", arguments.work / "shards"
    sizes = [
        min(_PATCHES, arguments.patches - first) * _PATCH_NBYTES
        for first in range(0, arguments.patches, _PATCHES)
    ]
    with clock.running():
        thread = threading.Thread(target=decompress, args=(arguments.source,))
        thread.start()
        with spool.open("wb", buffering=0) as file:
            for size in sizes:
                file.write(block[:size])
        thread.join()
        with spool.open("rb", buffering=0) as read, shards.open("wb", 0) as write:
            for size in sizes:
                write.write(read.read(size))
            spool.unlink()
            os.fsync(write.fileno())
    report(arguments.patches, clock.seconds, shards.stat().st_size)


if __name__ == "__main__":
    main()
