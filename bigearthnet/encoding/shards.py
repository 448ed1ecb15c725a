"""Stage two: spool buckets → sorted shards; each shard is one atomic step.

A shard reads only the records it holds, so that shards can be written in any order and
side by side. Buckets are deleted as soon as all shards that need them are durable.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.encoding import tfrecord
from bigearthnet.encoding.files import sync_folder, write_all
from bigearthnet.encoding.keys import shard_bounds, shard_name
from bigearthnet.encoding.spool import SpoolIndex, bucket_path, decode_record
from bigearthnet.encoding.statistics import BandSums
from bigearthnet.examples import get_make_example
from bigearthnet.features import Feature
from bigearthnet.patch import Patch
from bigearthnet.patch_index import PatchFacts
from bigearthnet.splits import SPLITS


@dataclass(frozen=True)
class ShardPlan:
    """One shard that is to be written.

    Attributes:
        name: File name of the shard.
        split: Index into SPLITS.
        records: Where its records stand in the spool, in the order of keys; shape
            (record,), see `SpoolIndex.locate`.
        with_statistics: Whether to sum up the shard's pixels.
    """

    name: str
    split: int
    records: npt.NDArray[np.void]
    with_statistics: bool

    @property
    def buckets(self) -> list[int]:
        """The buckets that hold the records, ascending."""
        return [int(bucket) for bucket in np.unique(self.records["bucket"])]


@dataclass(frozen=True)
class ShardInfo:
    """One shard that was written.

    Attributes:
        name: File name of the shard.
        split: Name of its split.
        num_patches: Examples in it.
        nbytes: Size of the file in bytes.
        data_nbytes: Bytes of the serialized examples alone.
        sha256: Checksum of the file.
        sums: Sums over its pixels; empty where they were not asked for.
    """

    name: str
    split: str
    num_patches: int
    nbytes: int
    data_nbytes: int
    sha256: str
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
            name = shard_name(split, number, len(bounds))
            records = index.locate(rows[first:last])
            plans.append(ShardPlan(name, code, records, split == statistics_split))
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


def write_shard(
    plan: ShardPlan,
    spool: Path,
    output: Path,
    schema: tuple[Feature, ...],
    on_patch: Callable[[int], None] = lambda nbytes: None,
) -> ShardInfo:
    """Writes one TFRecord shard; it appears whole and durable, or not at all.

    Args:
        plan: The shard.
        spool: Folder of the buckets.
        output: Existing folder to write to.
        schema: The features to store.
        on_patch: Called after each patch with its bytes.

    Raises:
        OSError: If a file cannot be read or written.
    """
    encode, make_example = tfrecord.make_encoder(schema), get_make_example(schema)
    sha256, sums, data_nbytes = hashlib.sha256(), BandSums(), 0
    unfinished = output / f"{plan.name}.unfinished"
    with unfinished.open("wb", buffering=0) as file:
        for patch, facts in read_spool(plan, spool):
            data = encode(make_example(patch, facts))
            parts = tfrecord.frame(data)
            for part in parts:
                sha256.update(part)
            nbytes = len(data) + tfrecord.RECORD_OVERHEAD
            write_all(file.fileno(), parts, nbytes, unfinished)
            if plan.with_statistics:
                sums.add_pixels(patch.flat())
            data_nbytes += len(data)
            on_patch(len(data))
        os.fsync(file.fileno())
    unfinished.rename(output / plan.name)
    sync_folder(output)
    count = len(plan.records)
    return ShardInfo(
        name=plan.name,
        split=SPLITS[plan.split],
        num_patches=count,
        nbytes=data_nbytes + count * tfrecord.RECORD_OVERHEAD,
        data_nbytes=data_nbytes,
        sha256=sha256.hexdigest(),
        sums=sums,
    )


class Buckets:
    """Deletes each bucket of a spool once no shard needs it any more."""

    def __init__(self, plans: Iterable[ShardPlan], spool: Path) -> None:
        """Counts the shards that need each bucket."""
        self._spool = spool
        self._needed = Counter(
            (plan.split, bucket) for plan in plans for bucket in plan.buckets
        )

    def release(self, plan: ShardPlan) -> None:
        """Takes note that a shard is written."""
        for bucket in plan.buckets:
            self._needed[plan.split, bucket] -= 1
            if not self._needed[plan.split, bucket]:
                bucket_path(self._spool, plan.split, bucket).unlink()
