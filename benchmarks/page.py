"""Measures the page of `builder.report` beside `bigearthnet.load` of the same shards.

Turn by turn, in one process: the whole page, and then one pass of `load` over what it
was made of, at native size. The most memory is that of the first page, before
TensorFlow is there.

Example:
  python -m benchmarks.page --data_dir=data --turns=3
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from absl import flags

from bigearthnet.store import Store
from bigearthnet.util import command
from builder.figures.tables import choose_stores
from builder.report import choose_readable, write_report

_BATCH_SIZE = 256


class Cost(NamedTuple):
    """What a turn took, in seconds: by the clock, and of all processor cores."""

    wall: float
    processor: float


def measure(
    stores: Sequence[Store], data_dir: Path, page: Path, turns: int
) -> tuple[list[Cost], list[Cost], int]:
    """Measures both.

    Args:
        stores: The stores that the page is made of.
        data_dir: Where they lie.
        page: The file to write.
        turns: Turns of each.

    Returns:
        What each page cost, what each pass of `load` did, and the most memory in bytes.
    """
    pages, passes, peak = [], [], 0
    for _ in range(turns):
        pages.append(_time(lambda: write_report(data_dir, page, quiet=True)))
        # Linux counts in KiB.
        peak = peak or 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        passes.append(_time(lambda: _load(stores)))
    return pages, passes, peak


def _load(stores: Sequence[Store]) -> None:
    from bigearthnet import load

    for store in stores:
        dataset = load(
            "all",
            store.folder,
            config=store.config.name,
            image_size=None,
            batch_size=_BATCH_SIZE,
        )
        for _ in dataset:
            pass


def _time(work: Callable[[], object]) -> Cost:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - processor)


def _define_flags() -> None:
    command.define_path("data_dir", None, "Data directory to show.", required=True)
    flags.DEFINE_integer("turns", 3, "Turns of each.", lower_bound=1)


def _main() -> None:
    data_dir = flags.FLAGS.data_dir
    stores = choose_readable(choose_stores(data_dir))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        pages, passes, peak = measure(stores, data_dir, page, flags.FLAGS.turns)
        size = page.stat().st_size
    patches = sum(map(stores[0].num_patches, stores[0].splits))
    print("| of | patches/s | CPU ms a patch |\n| --- | ---: | ---: |")
    for name, costs in (("builder.report", pages), ("bigearthnet.load", passes)):
        wall, processor = map(statistics.median, zip(*costs, strict=True))
        print(f"| {name} | {patches / wall:,.0f} | {1000 * processor / patches:.2f} |")
    ratio = statistics.median(
        b.wall / a.wall for a, b in zip(pages, passes, strict=True)
    )
    print(
        f"\n{patches:,} patches: {ratio:.2f} of the rate of load, {size / 1e6:.1f} MB, "
        f"{peak / 1e6:,.0f} MB of memory"
    )


if __name__ == "__main__":
    command.run(_main, _define_flags)
