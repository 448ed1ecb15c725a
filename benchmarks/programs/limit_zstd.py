"""The limit of encoding v2.0: decompress archives one by one, and do nothing else."""

from __future__ import annotations

from clock import Clock, parse_arguments, report

try:
    from compression import zstd  # of Python 3.14
except ImportError:
    from backports import zstd

# Bytes that are decompressed at once.
_BLOCK_NBYTES = 2**20


def main() -> None:
    """Decompresses the archives of `--archives` once."""
    arguments, clock = parse_arguments(archives=str), Clock()
    buffer = bytearray(_BLOCK_NBYTES)
    for name in arguments.archives.split(","):
        path = arguments.source / f"synthetic-{name}.tar.zst"
        with clock.running(), zstd.open(path, "rb") as file:
            while file.readinto(buffer):
                pass
    report(arguments.patches, clock.seconds)


if __name__ == "__main__":
    main()
