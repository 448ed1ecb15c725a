"""Stage two: spool buckets → sorted shards; each shard is one atomic step.

A shard reads only the records it holds, so that shards can be written in any order and
side by side. Buckets are deleted as soon as all shards that need them are durable.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.encoding import tfrecord
from bigearthnet.encoding.keys import shard_bounds, shard_name
from bigearthnet.encoding.spool import SpoolIndex, bucket_path, decode_record
from bigearthnet.encoding.statistics import BandSums
from bigearthnet.examples import get_make_example
from bigearthnet.features import Feature
from bigearthnet.patch import Patch
from bigearthnet.splits import SPLITS, PatchIndex


@dataclass(frozen=True)
class ShardPlan:
    """One shard that is to be written.

    Attributes:
        name: File name of the shard.
        split: Index into SPLITS.
        rows: Rows of its patches in the release's table, in the order of keys.
        with_statistics: Whether to sum up the shard's pixels.
    """

    name: str
    split: int
    rows: npt.NDArray[np.intp]
    with_statistics: bool


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
            plans.append(
                ShardPlan(name, code, rows[first:last], split == statistics_split)
            )
    return plans


def write_shards(
    plans: Sequence[ShardPlan],
    *,
    index: SpoolIndex,
    patches: PatchIndex,
    spool: Path,
    output: Path,
    schema: tuple[Feature, ...],
    workers: int,
    on_patch: Callable[[int], None] = lambda nbytes: None,
) -> list[ShardInfo]:
    """Writes shards side by side and deletes the buckets they no longer need.

    Args:
        plans: The shards, of one spool.
        index: The filled index of the spool.
        patches: The patches of the release.
        spool: Folder of the buckets; empty at the end.
        output: Existing folder to write to.
        schema: The features to store.
        workers: Threads; reading, hashing and writing run side by side in them.
        on_patch: Called after each patch with its bytes, from any thread.

    Returns:
        What was written, in the order of `plans`.

    Raises:
        OSError: If a file cannot be read or written; the shard is then not there.
    """
    needed = Counter(
        (plan.split, bucket) for plan in plans for bucket in index.buckets(plan.rows)
    )

    def write(plan: ShardPlan) -> ShardInfo:
        records = _read_patches(plan, index, patches, spool)
        return write_shard(plan, records, patches, output, schema, on_patch)

    written: dict[str, ShardInfo] = {}
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(write, plan): plan for plan in plans}
        try:
            for future in as_completed(futures):
                info, plan = future.result(), futures[future]
                written[info.name] = info
                for bucket in index.buckets(plan.rows):
                    place = plan.split, bucket
                    needed[place] -= 1
                    if not needed[place]:
                        bucket_path(spool, *place).unlink()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [written[plan.name] for plan in plans]


def _read_patches(
    plan: ShardPlan, index: SpoolIndex, patches: PatchIndex, spool: Path
) -> Iterator[tuple[int, Patch]]:
    """Yields row and patch of every record of a shard, in order."""
    with ExitStack() as stack:
        files: dict[int, int] = {}
        for bucket in index.buckets(plan.rows):
            path = bucket_path(spool, plan.split, bucket)
            files[bucket] = os.open(path, os.O_RDONLY)
            stack.callback(os.close, files[bucket])
        for row in map(int, plan.rows):
            bucket, offset, nbytes = index.locate(row)
            record = os.pread(files[bucket], nbytes, offset)
            yield row, decode_record(record, patches.patch_id)


def write_shard(
    plan: ShardPlan,
    records: Iterator[tuple[int, Patch]],
    patches: PatchIndex,
    output: Path,
    schema: tuple[Feature, ...],
    on_patch: Callable[[int], None] = lambda nbytes: None,
) -> ShardInfo:
    """Writes one TFRecord shard; it appears whole and durable, or not at all.

    Args:
        plan: The shard.
        records: Row and patch of its records, in order.
        patches: The patches of the release.
        output: Existing folder to write to.
        schema: The features to store.
        on_patch: Called after each patch with its bytes.

    Raises:
        OSError: If the file cannot be written.
    """
    encode, make_example = tfrecord.make_encoder(schema), get_make_example(schema)
    sha256, sums, data_nbytes = hashlib.sha256(), BandSums(), 0
    unfinished = output / f"{plan.name}.unfinished"
    with unfinished.open("wb", buffering=0) as file:
        for row, patch in records:
            data = encode(make_example(patch, patches.facts(row)))
            parts = tfrecord.frame(data)
            for part in parts:
                sha256.update(part)
            _write_parts(file.fileno(), parts)
            if plan.with_statistics:
                sums.add_pixels(patch.groups())
            data_nbytes += len(data)
            on_patch(len(data))
        os.fsync(file.fileno())
    unfinished.rename(output / plan.name)
    return ShardInfo(
        name=plan.name,
        split=SPLITS[plan.split],
        num_patches=len(plan.rows),
        nbytes=data_nbytes + len(plan.rows) * tfrecord.RECORD_OVERHEAD,
        data_nbytes=data_nbytes,
        sha256=sha256.hexdigest(),
        sums=sums,
    )


def _write_parts(file: int, parts: tuple[bytes, ...]) -> None:
    written = os.writev(file, parts)
    if written < sum(map(len, parts)):  # the disk may take less at a time
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(file, rest) :]
