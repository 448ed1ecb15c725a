"""Measures what several threads bring that decompress one .tar.gz.

The same archive read to its end (hashed, parsed, every patch put together, nothing
decoded) by one thread of isal and by N of rapidgzip, turn by turn: wall time and
processor time of both processes.

Example:
  python -m benchmarks.decompressors --source=synthetic.tar.gz --counts=1,2,4
"""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from absl import flags

from bigearthnet.errors import OptionError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import load_index
from bigearthnet.source import open_source
from bigearthnet.util import command


class Turn(NamedTuple):
    """One pass over an archive.

    Attributes:
        patches: Patches read.
        content: Checksum of their names and files.
        wall_s: Seconds.
        cpu_s: Processor seconds of this process and the one that decompresses.
    """

    patches: int
    content: str
    wall_s: float
    cpu_s: float


def read(path: Path, decompressors: int) -> Turn:
    """Reads an archive once."""
    patches = load_index(V1, "official")
    content = hashlib.blake2b()
    start, cpu = time.monotonic(), _processor_s()
    with open_source(path, V1.archive("s2"), decompressors) as source:
        count = 0
        for raw in source.patches(patches):
            count += 1
            content.update(raw.name.encode())
            for name, file in raw.files.items():
                content.update(f"{name}{len(file)}".encode() + file[-64:])
    wall = time.monotonic() - start
    return Turn(count, content.hexdigest(), wall, _processor_s() - cpu)


def _processor_s() -> float:
    spent = os.times()
    return sum(spent[:4])


def measure(path: Path, counts: Sequence[int], turns: int) -> dict[int, list[Turn]]:
    """Reads an archive by each number of threads in turn, each in a fresh process.

    Raises:
        OptionError: If not all turns give the same patches.
    """
    found: dict[int, list[Turn]] = {count: [] for count in counts}
    for turn in range(turns + 1):  # the first fills the cache of files
        for count in counts:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                made = pool.submit(read, path, count).result()
            if turn:
                found[count].append(made)
    if len({turn.content for turns_ in found.values() for turn in turns_}) != 1:
        raise OptionError(f"{path} gives other patches by other numbers of threads.")
    return found


def _define_flags() -> None:
    command.define_path("source", None, "A .tar.gz of BigEarthNet-S2.", required=True)
    flags.DEFINE_list("counts", ["1", "2"], "Numbers of threads.")
    flags.DEFINE_integer("turns", 5, "Counted turns of each.", lower_bound=1)


def _main() -> None:
    values = flags.FLAGS
    path = values.source
    found = measure(path, [int(count) for count in values.counts], values.turns)
    first = next(iter(found.values()))
    megabytes = path.stat().st_size / 1e6
    print(
        f"{first[0].patches:,} patches, {megabytes:.0f} MB, {os.cpu_count()} cores, "
        f"{values.turns} turns; medians\n\n"
        "| threads | wall s | patches/s | MB/s of the file | CPU s |\n"
        "| ---: | ---: | ---: | ---: | ---: |"
    )
    for count, turns in found.items():
        wall = statistics.median(turn.wall_s for turn in turns)
        cpu = statistics.median(turn.cpu_s for turn in turns)
        rate = turns[0].patches / wall
        print(
            f"| {count} | {wall:.2f} | {rate:.0f} | {megabytes / wall:.0f} | "
            f"{cpu:.2f} |"
        )


if __name__ == "__main__":
    command.run(_main, _define_flags)
