"""Measures builds of archives of several sizes: rate, memory, processor time, bytes.

Where `benchmarks.run` compares ours with the peers at one size, this shows what
becomes of ours as the archive grows, beside two limits: gunzip alone, and what a build
on a disk cannot do without (decompressing beside writing the spool; reading it; writing
the shards durably). Start-up is no part of a rate.

Example:
  python -m benchmarks.sizes --work=/dev/shm/sizes --sizes=3000,30000
  python -m benchmarks.sizes --work=/var/tmp/sizes --sizes=12000 --output=on-disk
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from benchmarks import measure
from benchmarks.report import RowResult, encode_sizes, find_ratio
from benchmarks.rows import ROWS
from benchmarks.run import run_all
from benchmarks.sources import Sources
from bigearthnet.util import command

# The rows that are measured at each size.
_NAMES = ("limit-gunzip", "limit-disk", "encode-ours", "encode-ours-two")

# What is drawn: property of RowResult, label, what it is divided by.
_FIGURES = (
    ("rate", "patches/s", 1.0),
    ("peak_pss", "peak memory, MB", 1e6),
    ("cpu_per_1000", "processor s for 1,000 patches", 1.0),
    ("patch_nbytes", "kB of a patch", 1e3),
)


def measure_sizes(
    sizes: Sequence[int], work: Path, rounds: int, timeout_s: float
) -> dict[int, list[RowResult]]:
    """Measures every row at every size.

    Args:
        sizes: Patches of each archive.
        work: Folder for archives and stores.
        rounds: Counted runs of each.
        timeout_s: Seconds after which a program is killed.
    """
    rows = [row for row in ROWS if row.name in _NAMES]
    found = {}
    for size in sizes:
        print(f"{size:,} patches", file=sys.stderr, flush=True)
        found[size] = run_all(
            rows, Sources(work, work / "environments", size, size), rounds, timeout_s
        )
    return found


def make_table(found: dict[int, list[RowResult]]) -> str:
    """Returns what was measured in Markdown."""
    lines = [
        "| patches | program | patches/s (min – max) | of gunzip | of the disk's limit "
        "| CPU s / 1,000 | peak MB | kB a patch |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size, results in found.items():
        by_name = {result.row.name: result for result in results}
        for result in results:
            rates = [run.rate for run in result.runs]
            ratios = [
                find_ratio(result, by_name[name]) if result.row.is_ours else None
                for name in ("limit-gunzip", "limit-disk")
            ]
            cells = [
                f"{size:,}",
                result.row.title,
                f"{result.rate:,.0f} ({min(rates):,.0f} – {max(rates):,.0f})",
                *(f"{ratio:.2f}" if ratio else "" for ratio in ratios),
                f"{result.cpu_per_1000:.2f}",
                f"{result.peak_pss / 1e6:,.0f}" if result.peak_pss else "",
                f"{result.patch_nbytes / 1e3:.1f}" if result.patch_nbytes else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(found: dict[int, list[RowResult]], path: Path) -> None:
    """Draws every figure against the size of the archive."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.5), layout="constrained")
    axes = figure.subplots(2, 2).flat
    titles = {
        r.row.name: r.row.title.replace("*", "").replace(
            " beside writing the spool, then reading it and durable shards",
            " and the disk",
        )
        for results in found.values()
        for r in results
    }
    for axis, (value, label, unit) in zip(axes, _FIGURES, strict=True):
        for color, (name, title) in enumerate(titles.items()):
            points = [
                (size, getattr(result, value) / unit)
                for size, results in found.items()
                for result in results
                if result.row.name == name and getattr(result, value) is not None
            ]
            if points:
                places = zip(*points, strict=True)
                axis.plot(*places, "o-", color=f"C{color}", label=title)
        axis.set_xlabel("patches of the archive")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    lines = figure.axes[0].get_lines()
    figure.legend(handles=lines, loc="outside upper center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=120)


def _define_flags() -> None:
    flags.DEFINE_list("sizes", ["3000", "30000"], "Patches of each archive.")
    flags.DEFINE_integer("rounds", 3, "Counted runs of each program.")
    command.define_path("work", "benchmarks-work", "Folder for archives and stores.")
    command.define_path("output", "benchmarks-results", "Folder for the results.")
    flags.DEFINE_string("name", "sizes", "Name of the files there.")
    flags.DEFINE_integer("timeout", 1800, "Seconds after which a program is killed.")


def _main() -> None:
    values = flags.FLAGS
    output = flags.FLAGS.output
    output.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in values.sizes]
    work = flags.FLAGS.work.resolve()
    found = measure_sizes(sizes, work, values.rounds, values.timeout)
    content = {
        "machine": measure.describe_machine(),
        "sizes": encode_sizes(found),
    }
    (output / f"{values.name}.json").write_text(json.dumps(content, indent=1) + "\n")
    table = make_table(found)
    (output / f"{values.name}.md").write_text(table)
    draw(found, output / f"{values.name}.png")
    print(table)


if __name__ == "__main__":
    command.run(_main, _define_flags)
