"""Measures builds of v2.0: each sensor, both with the maps, and bytes of each column.

Beside them stand the limit (zstd alone over the same files) and a build of v1.0 of as
many patches. Patches are synthetic; start-up is no part of a rate.

Example:
  python -m benchmarks.paired --work=/dev/shm/paired --sizes=3000,12000,30000
"""

from __future__ import annotations

import collections
import json
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from benchmarks import measure
from benchmarks.environments import OURS
from benchmarks.report import RowResult, encode_sizes, find_ratio
from benchmarks.rows import Row
from benchmarks.run import run_all
from benchmarks.sources import Sources
from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store
from bigearthnet.util import command
from builder.build import build

_GROUP = "Encode v2.0"
# Together they hold what the third has; see `find_overhead`.
_SINGLE, _TOGETHER = ("v2-s2", "v2-s1"), "v2-s1s2"
# Patches that columns are weighed of: several row groups of the largest split.
_NUM_WEIGHED = 1_000


def _limit(name: str, archives: str) -> Row:
    title = f"limit: zstd alone ({archives})"
    arguments = (f"--archives={archives}",)
    return Row(name, title, _GROUP, OURS, "limit_zstd", "paired", arguments)


def _build(config: str, source: str, limit: str | None, formats: str) -> Row:
    return Row(
        f"{config} {formats}",
        f"**ours**: `{config}`, {formats}",
        _GROUP,
        OURS,
        "ours_build",
        source,
        (f"--formats={formats}", f"--config={config}"),
        limit=limit,
    )


ROWS: tuple[Row, ...] = (
    _limit("limit-zstd-s2", "s2,maps"),
    _limit("limit-zstd-s1", "s1"),
    _limit("limit-zstd-all", "s2,s1,maps"),
    _build("v2-s2", "paired", "limit-zstd-s2", "tfrecord"),
    _build("v2-s1", "paired", "limit-zstd-s1", "tfrecord"),
    _build("v2-s1s2", "paired", "limit-zstd-all", "tfrecord"),
    _build("v2-s2", "paired", "limit-zstd-s2", "parquet"),
    _build("v2-s1", "paired", "limit-zstd-s1", "parquet"),
    _build("s2", "archive", None, "tfrecord"),
)


def find_overhead(results: Mapping[str, RowResult]) -> float | None:
    """Returns the time of all archives in one build ÷ that of one build after another.

    Args:
        results: What was measured, by name of the row.

    Returns:
        Median over the rounds; None without a round.
    """
    runs = [results[f"{name} tfrecord"].runs for name in (*_SINGLE, _TOGETHER)]
    ratios = [
        both.seconds / (s2.seconds + s1.seconds)
        for s2, s1, both in zip(*runs, strict=False)
    ]
    return statistics.median(ratios) if ratios else None


def weigh_columns(source: Path, data_dir: Path) -> dict[str, float]:
    """Returns column of the Parquet stores → its bytes on disk, for each patch.

    Args:
        source: Folder of the archives.
        data_dir: Folder for the stores; emptied first.
    """
    import pyarrow.parquet as pq

    shutil.rmtree(data_dir, ignore_errors=True)
    nbytes: collections.Counter[str] = collections.Counter()
    for name in _SINGLE:
        config = get_config(name, RELEASES)
        options = BuildOptions(quiet=True, limit=_NUM_WEIGHED)
        build(source, data_dir, config, options, formats=["parquet"])
        store = open_store(data_dir, config, "parquet")
        files = [path for split in store.splits for path in store.shards(split)]
        count = sum(map(store.num_patches, store.splits))
        for footer in map(pq.read_metadata, files):
            for group in map(footer.row_group, range(footer.num_row_groups)):
                for column in map(group.column, range(group.num_columns)):
                    title = f"{name}: {column.path_in_schema.partition('.')[0]}"
                    nbytes[title] += column.total_compressed_size / count
    return {title: float(size) for title, size in nbytes.most_common()}


def make_table(found: Mapping[int, Sequence[RowResult]]) -> str:
    """Returns what was measured in Markdown."""
    lines = [
        "| patches | program | patches/s (min – max) | of its limit | CPU s / 1,000 "
        "| peak MB | kB a patch |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, results in found.items():
        by_name = {result.row.name: result for result in results}
        for result in results:
            rates = [run.rate for run in result.runs]
            if not rates:
                lines.append(f"| {size:,} | {result.row.title} | {result.error} |||||")
                continue
            ratio = find_ratio(result, by_name.get(result.row.limit or ""))
            cells = [
                f"{size:,}",
                result.row.title,
                f"{result.rate:,.0f} ({min(rates):,.0f} – {max(rates):,.0f})",
                f"{ratio:.2f}" if ratio else "",
                f"{result.cpu_per_1000:.2f}",
                f"{result.peak_pss / 1e6:,.0f}" if result.peak_pss else "",
                f"{result.patch_nbytes / 1e3:.1f}" if result.patch_nbytes else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    for size, results in found.items():
        overhead = find_overhead({result.row.name: result for result in results})
        if overhead is not None:
            lines += [
                "",
                f"{size:,} patches: all archives in one build take {overhead:.2f} of "
                "the time of both sensors one after the other.",
            ]
    return "\n".join(lines) + "\n"


def _define_flags() -> None:
    flags.DEFINE_list("sizes", ["12000"], "Patches of each set of archives.")
    flags.DEFINE_integer("rounds", 3, "Counted runs of each program.")
    command.define_path("work", "benchmarks-work", "Folder for archives and stores.")
    command.define_path("output", "benchmarks-results", "Folder for the results.")
    flags.DEFINE_integer("timeout", 1800, "Seconds after which a program is killed.")


def _main() -> None:
    values = flags.FLAGS
    output, work = values.output, values.work.resolve()
    output.mkdir(parents=True, exist_ok=True)
    found = {}
    for size in map(int, values.sizes):
        print(f"{size:,} patches", file=sys.stderr, flush=True)
        sources = Sources(work, work / "environments", size, size)
        found[size] = run_all(list(ROWS), sources, values.rounds, values.timeout)
    archives, _ = sources.get("paired")
    columns = weigh_columns(archives, work / "columns")
    content = {
        "machine": measure.describe_machine(),
        "sizes": encode_sizes(found),
        "column_nbytes": columns,
    }
    (output / "paired.json").write_text(json.dumps(content, indent=1) + "\n")
    table = make_table(found)
    table += "\nBytes of a patch in Parquet: " + ", ".join(
        f"{title} {size:,.0f}" for title, size in columns.items() if size >= 1
    )
    (output / "paired.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    command.run(_main, _define_flags)
