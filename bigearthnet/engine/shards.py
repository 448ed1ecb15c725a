"""Plans and writes shards: buckets of the spool → sorted shards.

A shard is written in all formats in one pass over its records. No two shards share a
record, so that they can be written in any order and in parallel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.keys import shard_bounds
from bigearthnet.engine.records import decode_record
from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.writers import make_writers
from bigearthnet.formats import FORMATS
from bigearthnet.release.bands import PATCH_NBYTES
from bigearthnet.release.patch_index import PatchFacts
from bigearthnet.release.splits import SPLITS
from bigearthnet.schema.configs import Config
from bigearthnet.schema.examples import get_make_example
from bigearthnet.schema.features import Feature
from bigearthnet.source.patch import Patch
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import DurableFile, FileInfo


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write.

    Attributes:
        split: Index into SPLITS.
        number: Number of the shard in its split, from 0.
        count: Shards of the split.
        records: Where its records are in the spool, in the order of keys; shape
            (record,), see `SpoolIndex.locate`.
        with_statistics: Whether to sum up the shard's pixels.
    """

    split: int
    number: int
    count: int
    records: npt.NDArray[np.void]
    with_statistics: bool

    @property
    def name(self) -> str:
        """Name of the shard, whatever its format."""
        return f"{SPLITS[self.split]}-{self.number:05d}-of-{self.count:05d}"

    @property
    def buckets(self) -> list[int]:
        """The buckets that hold the records, ascending."""
        return [int(bucket) for bucket in np.unique(self.records["bucket"])]


@dataclass(frozen=True)
class ShardInfo:
    """One shard that was written.

    Attributes:
        split: Name of its split.
        num_patches: Examples in it.
        files: Name of each format → the file that was written.
        sums: Sums over its pixels; empty where they were not asked for.
    """

    split: str
    num_patches: int
    files: Mapping[str, FileInfo]
    sums: BandSums


def plan_shards(index: SpoolIndex, statistics_split: str = "train") -> list[ShardPlan]:
    """Cuts every split that has patches into shards.

    Args:
        index: The filled index of the spool.
        statistics_split: The split whose pixels are summed up.
    """
    plans = []
    for code, split in enumerate(SPLITS):
        rows = index.sorted_rows(code)
        if not len(rows):
            continue
        bounds = shard_bounds(len(rows))
        for number, (first, last) in enumerate(bounds):
            records = index.locate(rows[first:last])
            with_statistics = split == statistics_split
            plans.append(ShardPlan(code, number, len(bounds), records, with_statistics))
    return plans


def read_spool(plan: ShardPlan, spool: Path) -> Iterator[tuple[Patch, PatchFacts]]:
    """Yields every patch of a shard, in order.

    Raises:
        OSError: If a bucket cannot be read.
    """
    with ExitStack() as stack:
        files: dict[int, int] = {}
        for bucket in plan.buckets:
            files[bucket] = os.open(bucket_path(spool, plan.split, bucket), os.O_RDONLY)
            stack.callback(os.close, files[bucket])
        for bucket, nbytes, offset in plan.records.tolist():
            yield decode_record(os.pread(files[bucket], nbytes, offset))


def get_schema(config: Config, formats: Iterable[str]) -> tuple[Feature, ...]:
    """Returns the features that the examples of all asked formats need.

    Args:
        config: What to store.
        formats: Names of the formats.
    """
    has_columns = any(FORMATS[name].has_columns for name in formats)
    return config.columns if has_columns else config.schema


def write_shard(
    plan: ShardPlan,
    spool: Path,
    outputs: Mapping[str, Path],
    config: Config,
    on_patch: Callable[[int], None] = lambda nbytes: None,
) -> ShardInfo:
    """Writes one shard; each file appears whole and durable, or not at all.

    Args:
        plan: The shard.
        spool: Folder of the buckets.
        outputs: Name of each format → existing folder of its store.
        config: What to store.
        on_patch: Called after each patch with the bytes of its pixels.

    Raises:
        OSError: If a file cannot be read or written.
    """
    make_example = get_make_example(get_schema(config, outputs))
    sums, split = BandSums(), SPLITS[plan.split]
    with ExitStack() as stack:
        files = {
            form: stack.enter_context(
                DurableFile(
                    folder, FORMATS[form].shard_file(split, plan.number, plan.count)
                )
            )
            for form, folder in outputs.items()
        }
        writers = make_writers(files, config)
        for writer in writers:
            stack.callback(writer.abandon)
        for patch, facts in read_spool(plan, spool):
            example = make_example(patch, facts)
            for writer in writers:
                writer.add(example)
            if plan.with_statistics:
                sums.add_pixels(patch.flat())
            on_patch(PATCH_NBYTES)
        for writer in writers:
            writer.close()
        infos = {form: file.finish() for form, file in files.items()}
    return ShardInfo(split, len(plan.records), infos, sums)
