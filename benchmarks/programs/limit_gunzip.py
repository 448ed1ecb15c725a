"""The limit of encoding: decompress the archive with isal, and do nothing else."""

from __future__ import annotations

from clock import Clock, parse_arguments, report
from isal import igzip

# Bytes that are decompressed at once.
_BLOCK_NBYTES = 2**20


def main() -> None:
    """Decompresses the archive once."""
    arguments, clock = parse_arguments(), Clock()
    buffer = bytearray(_BLOCK_NBYTES)
    with clock.running(), igzip.open(arguments.source, "rb") as file:
        while file.readinto(buffer):
            pass
    report(arguments.patches, clock.seconds)


if __name__ == "__main__":
    main()
