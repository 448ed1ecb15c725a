"""Plans and writes shards: buckets of the spool → sorted shards.

A shard is written in all formats in one pass over its records. No two shards share a
record, so that they can be written in any order and in parallel.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.job import Job, Part
from bigearthnet.engine.keys import shard_bounds
from bigearthnet.engine.records import decode_record
from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.spool_index import PLACE_DTYPE, SpoolIndex
from bigearthnet.engine.stored import read_stored
from bigearthnet.engine.writers import TableWriter, TFRecordWriter, make_writers
from bigearthnet.formats import FORMATS
from bigearthnet.release.patch_index import PatchDescriptions, PatchIndex
from bigearthnet.schema.examples import PatchContent, assemble, get_make_example
from bigearthnet.source.patch import Patch
from bigearthnet.store.compatibility import hash_lines
from bigearthnet.store.result import ShardInfo
from bigearthnet.store.statistics import STATISTICS_SPLIT, BandSums
from bigearthnet.util.files import DurableFile
from bigearthnet.util.remote import Place


@dataclass(frozen=True)
class ShardPlan:
    """One shard to write.

    Attributes:
        split: Name of the split.
        number: Number of the shard in its split, from 0.
        count: Shards of the split.
        rows: Rows of its patches in the release's table, in the order of keys; shape
            (record,).
        places: Where their records are in the spool of each source: structured array
            of PLACE_DTYPE, shape (source, record). In a store: `bucket` is the number
            of the shard, `offset` the row in it, and there is one source.
    """

    split: str
    number: int
    count: int
    rows: npt.NDArray[np.intp]
    places: npt.NDArray[np.void]

    @property
    def name(self) -> str:
        """Name of the shard, whatever its format."""
        return f"{self.split}-{self.number:05d}-of-{self.count:05d}"

    def buckets(self, source: int) -> list[int]:
        """Returns the buckets of a source that hold the records, ascending."""
        return [int(bucket) for bucket in np.unique(self.places[source]["bucket"])]


def plan_shards(
    indices: Sequence[SpoolIndex],
    stored: npt.NDArray[np.bool_],
    patches: PatchIndex,
) -> list[ShardPlan]:
    """Cuts every split that has patches into shards.

    Args:
        indices: The filled index of each source.
        stored: True for each patch to store, shape (patch,); all sources have it.
        patches: The release's patches in the wanted split scheme.
    """
    plans = []
    for code, split in enumerate(patches.release.splits):
        rows = indices[0].sort(np.flatnonzero(stored & (patches.splits == code)))
        if not len(rows):
            continue
        bounds = shard_bounds(len(rows))
        for number, (first, last) in enumerate(bounds):
            chosen = rows[first:last]
            places = np.empty((len(indices), len(chosen)), PLACE_DTYPE)
            for source, index in enumerate(indices):
                places[source] = index.locate(chosen)
            plans.append(ShardPlan(split, number, len(bounds), chosen, places))
    return plans


@dataclass(frozen=True)
class ShardTask:
    """All that it takes to write a shard, as a value for another process.

    Attributes:
        job: The build.
        plan: The shard.
        facts: What the release's table says of each of its patches.
        spools: Folder of the spool of each source.
        outputs: Name of each store → its existing folder. To be written, spools and
            outputs must be on this machine; see `storage`.
    """

    job: Job
    plan: ShardPlan
    facts: PatchDescriptions
    spools: Sequence[Place]
    outputs: Mapping[str, Place]


def read_spools(task: ShardTask) -> Iterator[list[Patch]]:
    """Yields the parts of every patch of a shard, in order.

    Raises:
        OSError: If a bucket cannot be read.
    """
    plan, archives = task.plan, task.job.config.archives
    with ExitStack() as stack:
        files: list[dict[int, int]] = []
        for source, spool in enumerate(task.spools):
            files.append({})
            for bucket in plan.buckets(source):
                path = bucket_path(spool, plan.split, bucket)
                assert isinstance(path, Path)
                files[source][bucket] = os.open(path, os.O_RDONLY)
                stack.callback(os.close, files[source][bucket])
        for places in zip(*plan.places.tolist(), strict=True):
            yield [
                decode_record(os.pread(opened[bucket], nbytes, offset), archive)
                for (bucket, nbytes, offset), opened, archive in zip(
                    places, files, archives, strict=True
                )
            ]


def _read_patches(task: ShardTask) -> Iterator[list[PatchContent]]:
    """Yields every patch of a shard, in order: what each part of the job has of it."""
    plan, job = task.plan, task.job
    if job.store is not None:
        for patch in read_stored(
            job.store,
            plan.split,
            plan.places[0],
            task.facts.patch_ids,
            is_checked=bool(job.drop),
        ):
            yield [patch] * len(job.parts)
        return
    archives = job.config.archives
    names = [archive.name for archive in archives]
    wanted = [
        [names.index(name) for name in part.config.choice.archives]
        for part in job.parts
    ]
    for facts, found in zip(task.facts, read_spools(task), strict=True):
        yield [
            assemble(facts, [(archives[number], found[number]) for number in numbers])
            for numbers in wanted
        ]


def write_shard(
    task: ShardTask, on_patch: Callable[[int], None] = lambda nbytes: None
) -> ShardInfo:
    """Writes one shard; each file appears whole and durable, or not at all.

    Args:
        task: The shard.
        on_patch: Called after each patch with the bytes of its pixels.

    Raises:
        OSError: If a file cannot be read or written.
        ShardError: If the shard of a store that it is made of is damaged.
    """
    plan, config, parts = task.plan, task.job.config, task.job.parts
    sums = BandSums(config.groups)
    nbytes = sum(archive.pixel_nbytes for archive in config.archives)
    makers = [get_make_example(part.config, part.schema) for part in parts]
    with ExitStack() as stack:
        files: dict[str, DurableFile] = {}
        writers = [_open_writers(task, part, files, stack) for part in parts]
        for patches in _read_patches(task):
            for patch, make_example, of_part in zip(
                patches, makers, writers, strict=True
            ):
                example = make_example(patch)
                for writer in of_part:
                    writer.add(example)
            if plan.split == STATISTICS_SPLIT:
                groups = [patch.groups.items() for patch in patches]
                sums.add_pixels(dict(itertools.chain(*groups)))
            on_patch(nbytes)
        for writer in itertools.chain(*writers):
            writer.close()
        infos = {store: file.finish() for store, file in files.items()}
    return ShardInfo(plan.split, len(plan.rows), infos, sums)


def _open_writers(
    task: ShardTask, part: Part, files: dict[str, DurableFile], stack: ExitStack
) -> list[TFRecordWriter | TableWriter]:
    """Opens the files of a shard in the stores of a part of the job, and their writers.

    Args:
        task: The shard.
        part: The part.
        files: Gets name of each store → its file.
        stack: Closes the files; those that are not finished disappear.
    """
    plan = task.plan
    opened = {}
    for store, form in part.stores.items():
        name = FORMATS[form].shard_file(
            part.config, plan.split, plan.number, plan.count
        )
        output = task.outputs[store]
        assert isinstance(output, Path)
        file = stack.enter_context(DurableFile(output, name))
        files[store] = opened[form] = file
    writers = make_writers(opened, part.config)
    for writer in writers:
        stack.callback(writer.abandon)
    return writers


def hash_ids(plans: Sequence[ShardPlan], patches: PatchIndex) -> dict[str, str]:
    """Returns split → sha256 of the ids of its patches, in stored order.

    Args:
        plans: All shards, in order.
        patches: The release's patches.

    Returns:
        The checksum of the ids joined by line feeds; empty for a release whose
        manifests have none.
    """
    rows: dict[str, list[npt.NDArray[np.intp]]] = {}
    for plan in plans if patches.release.has_ids_digest else ():
        rows.setdefault(plan.split, []).append(plan.rows)
    return {
        split: hash_lines(patches.patch_ids(np.concatenate(chosen)).to_pylist())
        for split, chosen in rows.items()
    }
