"""Computes what a build on an engine costs: core-hours, bytes, requests, hot spots.

Rates are older ones of one core, or, with --engine, those of an engine with what a
task costs it, from the engines.json of `benchmarks.engines`; the rest follows from how
`bigearthnet.engine` cuts the work. Nothing here was run on 100 workers; --check
compares with what was run on one and two. Below: what several threads on one .tar.gz
would give (--decompressors of the commands).

Example:
  python -m benchmarks.cost_model --workers=100
  python -m benchmarks.cost_model --workers=100 --engine=dask
  python -m benchmarks.cost_model --check
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from absl import flags

from benchmarks.cost_rates import Rate, check, fit_rate, format_decompression
from benchmarks.engine_report import SHARDS, SPOOL, format_table, read_runs
from bigearthnet.engine.keys import num_shards
from bigearthnet.source.parts import PATCHES_PER_PART
from bigearthnet.util import command

# An index of a spool, a patch: its row (4 bytes) and `SpoolIndex`'s entry (64).
_INDEX_NBYTES: Final = 68


@dataclass(frozen=True)
class Load:
    """What is built, as TFRecord, from folders of patches.

    Attributes:
        name: How people call it.
        splits: Patches of each split.
        files: Files of a patch, of each archive.
        source_nbytes: Bytes of these files, over all archives.
        stored_nbytes: Bytes of a patch in its shard.
        spool: Rate of stage one; of a patch over all archives.
        shard: Rate of stage two.
    """

    name: str
    splits: tuple[int, ...]
    files: tuple[int, ...]
    source_nbytes: int
    stored_nbytes: int
    spool: Rate
    shard: Rate

    def run_by(self, rates: Mapping[str, Rate]) -> Load:
        """Returns the load with the rates of an engine, measured on v1.0.

        Args:
            rates: Step → its rate.
        """
        spool_ms = self.spool.patch_ms * rates[SPOOL].patch_ms / V1_LOAD.spool.patch_ms
        shard_ms = self.shard.patch_ms * rates[SHARDS].patch_ms / V1_LOAD.shard.patch_ms
        return replace(
            self,
            spool=replace(rates[SPOOL], patch_ms=spool_ms),
            shard=replace(rates[SHARDS], patch_ms=shard_ms),
        )


# Bytes of the source: those of the bands' TIFFs, and about 1 kB of JSON, or of a map;
# of shards: benchmarks/results/sizes.json and paired.json.
# Milliseconds: v1.0 as tasks in one process, 1,500 synthetic patches in memory, on a
# loaded machine; v2.0 has in all the 3.22 of paired.json (which has decompressing in
# it), shared between the stages like those of v1.0.
V1_LOAD: Final = Load(
    "v1.0, s2",
    (269_695, 123_723, 125_866),
    (13,),
    165_400,
    161_400,
    Rate(0.59),
    Rate(0.37),
)
V2_LOAD: Final = Load(
    "v2.0, v2-s1s2",
    (237_871, 122_342, 119_825),
    (12, 2, 1),
    281_500,
    290_300,
    Rate(1.97),
    Rate(1.25),
)
HUNDREDFOLD: Final = replace(
    V1_LOAD,
    name="59 million of v1.0",
    splits=tuple(59_000_000 * share // 100 for share in (60, 20, 20)),
)


@dataclass(frozen=True)
class Cost:
    """What a build costs; times are those of processors that wait for nothing.

    Attributes:
        core_hours: Of both stages.
        hours: With the workers, each stage in whole rounds of tasks.
        spool_tasks: Parts of all archives.
        shards: Shards, which are the tasks of stage two.
        read_nbytes: Read from the source.
        spool_nbytes: Written to the spool, and read from it again.
        stored_nbytes: Written to shards.
        requests: Files of the source, each a request where it is a URL.
        ranges: Records that are read from the spool, one by one.
        opened: Buckets that one shard reads: of a file system, open at once; of an
            object store, a range of each.
        index_nbytes: Indices of earlier archives that parts read, over all parts.
        driver_nbytes: Indices in the memory of the driver.
        network_nbytes_per_s: What shared storage carries in a second, both directions.
    """

    core_hours: float
    hours: float
    spool_tasks: int
    shards: int
    read_nbytes: int
    spool_nbytes: int
    stored_nbytes: int
    requests: int
    ranges: int
    opened: int
    index_nbytes: int
    driver_nbytes: int
    network_nbytes_per_s: float


def compute(load: Load, workers: int) -> Cost:
    """Returns what a build costs with as many workers of one core."""
    patches, lanes = sum(load.splits), len(load.files)
    parts = math.ceil(patches / PATCHES_PER_PART)
    shards = sum(num_shards(split) for split in load.splits)
    largest = max(math.ceil(split / num_shards(split)) for split in load.splits)
    # Archives are read one after another; each part has its share of a patch's time.
    spool = replace(load.spool, patch_ms=load.spool.patch_ms / lanes)
    spool_s = lanes * spool.find_wall_s(parts, PATCHES_PER_PART, workers)
    shard_s = load.shard.find_wall_s(shards, largest, workers)
    carried = patches * (load.source_nbytes + 3 * load.stored_nbytes)
    return Cost(
        core_hours=(
            load.spool.find_cpu_s(patches, lanes * parts)
            + load.shard.find_cpu_s(patches, shards)
        )
        / 3600,
        hours=(spool_s + shard_s) / 3600,
        spool_tasks=lanes * parts,
        shards=shards,
        read_nbytes=patches * load.source_nbytes,
        spool_nbytes=patches * load.stored_nbytes,
        stored_nbytes=patches * load.stored_nbytes,
        requests=patches * sum(load.files),
        ranges=patches * lanes,
        # Its patches lie in parts drawn at random: how many of them have one or more.
        opened=round(lanes * parts * (1 - (1 - 1 / parts) ** largest)),
        # The second archive has one index before it, the third has two.
        index_nbytes=parts * patches * _INDEX_NBYTES * (lanes * (lanes - 1) // 2),
        driver_nbytes=lanes * patches * _INDEX_NBYTES,
        network_nbytes_per_s=carried / (spool_s + shard_s),
    )


def format_costs(costs: dict[str, Cost]) -> str:
    """Returns costs as a table in Markdown, a column each."""
    rows = [
        ("core-hours", lambda cost: f"{cost.core_hours:.2f}"),
        ("minutes of the processors", lambda cost: f"{60 * cost.hours:.1f}"),
        ("tasks of stage one", lambda cost: f"{cost.spool_tasks:,}"),
        ("shards, the tasks of stage two", lambda cost: f"{cost.shards:,}"),
        ("MB of a shard", lambda cost: f"{cost.stored_nbytes / cost.shards / 1e6:.0f}"),
        ("GB read of the source", lambda cost: f"{cost.read_nbytes / 1e9:,.0f}"),
        (
            "GB of spool, written and read",
            lambda cost: f"{cost.spool_nbytes / 1e9:,.0f}",
        ),
        ("GB of shards", lambda cost: f"{cost.stored_nbytes / 1e9:,.0f}"),
        ("million files of the source", lambda cost: f"{cost.requests / 1e6:.1f}"),
        ("million ranges of the spool", lambda cost: f"{cost.ranges / 1e6:.1f}"),
        ("buckets that a shard has open", lambda cost: f"{cost.opened:,}"),
        ("ranges of an object store that it asks for", lambda cost: f"{cost.opened:,}"),
        ("GB of earlier indices read", lambda cost: f"{cost.index_nbytes / 1e9:,.0f}"),
        ("GB of memory of the driver", lambda cost: f"{cost.driver_nbytes / 1e9:.2f}"),
        (
            "GB/s of the shared storage",
            lambda cost: f"{cost.network_nbytes_per_s / 1e9:.1f}",
        ),
    ]
    return format_table(
        ("", *costs),
        [[title, *map(show, costs.values())] for title, show in rows],
        1,
    )


def _define_flags() -> None:
    flags.DEFINE_integer("workers", 100, "Workers of one core.", lower_bound=1)
    flags.DEFINE_string("engine", None, "Take the rates of this engine of --measured.")
    command.define_path(
        "measured",
        str(Path(__file__).parent / "results" / "engines.json"),
        "What benchmarks.engines wrote.",
    )
    flags.DEFINE_bool("check", False, "Compare with the runs of --measured.")


def _main() -> None:
    values = flags.FLAGS
    if values.check:
        print(check(read_runs(values.measured)))
        return
    loads = [V1_LOAD, V2_LOAD, HUNDREDFOLD]
    if values.engine is not None:
        runs = read_runs(values.measured)
        rates = {step: fit_rate(runs, values.engine, step) for step in (SPOOL, SHARDS)}
        loads = [load.run_by(rates) for load in loads]
    print(format_costs({load.name: compute(load, values.workers) for load in loads}))
    print(f"\n{format_decompression(loads[0].spool)}")


if __name__ == "__main__":
    command.run(_main, _define_flags)
