"""The limit of storing: write as many bytes as the pixels of the patches, durably."""

from __future__ import annotations

import os

from clock import Clock, parse_arguments, report

# Bytes of a patch's pixels.
_PATCH_NBYTES = 160_000
# Patches that are written at once.
_PATCHES = 100


def main() -> None:
    """Writes one file and makes it durable."""
    arguments, clock = parse_arguments(), Clock()
    block = os.urandom(_PATCHES * _PATCH_NBYTES)
    path = arguments.work / "file"
    with clock.running(), path.open("wb", buffering=0) as file:
        for first in range(0, arguments.patches, _PATCHES):
            count = min(_PATCHES, arguments.patches - first)
            file.write(memoryview(block)[: count * _PATCH_NBYTES])
        os.fsync(file.fileno())
    report(arguments.patches, clock.seconds, path.stat().st_size)


if __name__ == "__main__":
    main()
