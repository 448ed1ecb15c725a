"""A build that is to be killed: says when it begins, and builds."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from benchmarks.faults.builds import run_build, small_shards

# What is written to standard output when the build begins, imports being done.
BEGIN = "begin"


def main(source: str, data_dir: str, shard: int, workers: int) -> None:
    """Builds a source into a folder.

    Args:
        source: The archive.
        data_dir: Where the stores go.
        shard: The most patches of a shard.
        workers: Processes of stage two.
    """
    # Programs that a shell starts in the background ignore it, and so do theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(BEGIN, flush=True)
    with small_shards(shard):
        run_build(Path(source), Path(data_dir), workers=workers)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
