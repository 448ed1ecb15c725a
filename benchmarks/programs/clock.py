"""What every measured program shares: its arguments, and the line it ends with.

Each program is a script that runs in the environment of what it measures, so nothing
here needs more than Python itself. It times its own work, without start-up and imports,
and prints what it did as one line of JSON, the last of its output.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Patches of a batch, in every program that makes batches.
BATCH_SIZE = 256


def parse_arguments(**more: type) -> argparse.Namespace:
    """Parses the arguments of a program.

    Args:
        **more: Name → type of arguments that only this program takes.

    Returns:
        `source` (archive or folder to read), `work` (empty folder to write to),
        `patches` (how many there are), and the others.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--patches", type=int, required=True)
    for name, kind in more.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    return parser.parse_args()


class Clock:
    """Adds up the time of what is measured."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Counts the time of a block."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start


def report(patches: int, seconds: float, nbytes: int | None = None) -> None:
    """Prints what a program did.

    Args:
        patches: Patches that were really written or read.
        seconds: Time of the work alone.
        nbytes: Bytes that the result takes on disk, where there is one.
    """
    print(json.dumps({"patches": patches, "seconds": seconds, "bytes": nbytes}))


def count_bytes(folder: Path) -> int:
    """Returns the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
