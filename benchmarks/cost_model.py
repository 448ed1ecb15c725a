"""Computes what a build on an engine costs: core-hours, bytes, requests, hot spots.

Rates are measured ones of one core (docs/scale.md says how); the rest follows from how
`bigearthnet.engine` cuts the work. Nothing here was run on 100 workers.

Example:
  python -m benchmarks.cost_model --workers=100
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from absl import flags

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
        spool_ms: Processor milliseconds of a patch in stage one, over all archives.
        shard_ms: Likewise in stage two.
    """

    name: str
    splits: tuple[int, ...]
    files: tuple[int, ...]
    source_nbytes: int
    stored_nbytes: int
    spool_ms: float
    shard_ms: float


# Bytes of the source: those of the bands' TIFFs, and about 1 kB of JSON, or of a map;
# of shards: benchmarks/results/sizes.json and paired.json.
# Milliseconds: v1.0 as in docs/scale.md; v2.0 has in all the 3.22 of paired.json (which
# has decompressing in it), shared between the stages like those of v1.0.
V1_LOAD: Final = Load(
    "v1.0, s2", (269_695, 123_723, 125_866), (13,), 165_400, 161_400, 0.59, 0.37
)
V2_LOAD: Final = Load(
    "v2.0, v2-s1s2",
    (237_871, 122_342, 119_825),
    (12, 2, 1),
    281_500,
    290_300,
    1.97,
    1.25,
)
HUNDREDFOLD: Final = Load(
    "59 million of v1.0",
    tuple(59_000_000 * share // 100 for share in (60, 20, 20)),
    (13,),
    165_400,
    161_400,
    0.59,
    0.37,
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
        opened: Buckets that one shard keeps open at once.
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
    rounds = math.ceil(parts / workers)
    spool_s = rounds * PATCHES_PER_PART * load.spool_ms / 1000
    shard_s = math.ceil(shards / workers) * largest * load.shard_ms / 1000
    carried = patches * (load.source_nbytes + 3 * load.stored_nbytes)
    return Cost(
        core_hours=patches * (load.spool_ms + load.shard_ms) / 3_600_000,
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
        ("GB of earlier indices read", lambda cost: f"{cost.index_nbytes / 1e9:,.0f}"),
        ("GB of memory of the driver", lambda cost: f"{cost.driver_nbytes / 1e9:.2f}"),
        (
            "GB/s of the shared storage",
            lambda cost: f"{cost.network_nbytes_per_s / 1e9:.1f}",
        ),
    ]
    lines = [f"| | {' | '.join(costs)} |", f"| --- |{' ---: |' * len(costs)}"]
    for title, show in rows:
        lines.append(f"| {title} | {' | '.join(map(show, costs.values()))} |")
    return "\n".join(lines)


def _define_flags() -> None:
    flags.DEFINE_integer("workers", 100, "Workers of one core.", lower_bound=1)


def _main() -> None:
    loads = (V1_LOAD, V2_LOAD, HUNDREDFOLD)
    print(format_costs({x.name: compute(x, flags.FLAGS.workers) for x in loads}))


if __name__ == "__main__":
    command.run(_main, _define_flags)
