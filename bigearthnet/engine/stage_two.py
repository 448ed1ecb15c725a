"""Stage two: writes the shards that are missing, and deletes buckets after use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bigearthnet.engine.job import Job
from bigearthnet.engine.shards import ShardPlan, ShardTask
from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.storage import list_sizes, remove_file
from bigearthnet.engine.workers import ShardPool
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import JournalError
from bigearthnet.release.bands import BandGroup
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.store.result import ShardInfo
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import FileInfo
from bigearthnet.util.progress import Progress
from bigearthnet.util.remote import Place


def write_shards(
    plans: Sequence[ShardPlan],
    pool: ShardPool,
    work: Workspace,
    job: Job,
    patches: PatchIndex,
) -> tuple[ShardInfo, ...]:
    """Writes all shards that an earlier run has not written.

    Args:
        plans: All shards of the build.
        pool: Writes them.
        work: The workspace, with the spools of all sources.
        job: The build.
        patches: The release's patches in the wanted split scheme.

    Returns:
        What was written, in the order of `plans`.

    Raises:
        OSError: If a file cannot be read or written.
        JournalError: If a bucket is missing or too short.
        WorkerError: If a process ended.
    """
    # Once the stores are published, their folders may have been renamed.
    stores = [] if work.is_published else job.stores
    outputs = {name: work.output_place(name) for name in stores}
    sizes = {name: list_sizes(place) for name, place in outputs.items()}
    written = find_written(work, job.config.groups, sizes)
    todo = [plan for plan in plans if plan.name not in written]
    _remove_others(outputs, sizes, written.values())
    spools = [work.spool_place(source.archive.name) for source in job.sources]
    buckets = Buckets(todo, spools)
    buckets.check()
    total = sum(len(plan.rows) for plan in todo)

    def make_task(plan: ShardPlan) -> ShardTask:
        return ShardTask(job, plan, patches.describe(plan.rows), spools, outputs)

    with Progress("shards", total_patches=total, quiet=job.options.quiet) as progress:
        for plan, shard in pool.write_shards(todo, make_task, progress.add):
            work.record(encode_entry(plan, shard))
            buckets.release(plan)
            written[plan.name] = shard
    return tuple(written[plan.name] for plan in plans)


def _remove_others(
    outputs: Mapping[str, Place],
    sizes: Mapping[str, Mapping[str, int]],
    written: Iterable[ShardInfo],
) -> None:
    """Removes all files from unfinished stores but the shards that are written.

    An interrupted build leaves files that it was writing, temporary files of TFDS among
    them, which would be published with the store.
    """
    kept = {(name, f.name) for shard in written for name, f in shard.files.items()}
    for store, output in outputs.items():
        for name in sizes[store]:
            if (store, name) not in kept:
                remove_file(output, name)


def find_written(
    work: Workspace,
    groups: Sequence[BandGroup],
    sizes: Mapping[str, Mapping[str, int]],
) -> dict[str, ShardInfo]:
    """Returns name → the shard of all that were written by an earlier run.

    A shard of which a file is missing or has another size has to be written again.

    Args:
        work: The workspace.
        groups: The bands whose pixels are summed up.
        sizes: Name of each store → path of each file in it → its size in bytes.
    """
    return {
        entry["name"]: shard
        for entry in work.journal.find("shard")
        for shard in [decode_entry(entry, groups)]
        if work.is_published
        or all(sizes[s].get(f.name) == f.nbytes for s, f in shard.files.items())
    }


def encode_entry(plan: ShardPlan, shard: ShardInfo) -> dict[str, Any]:
    """Returns the journal's entry of a shard that was written."""
    return {
        "kind": "shard",
        "name": plan.name,
        "split": shard.split,
        "num_patches": shard.num_patches,
        "files": {store: asdict(file) for store, file in shard.files.items()},
        "sums": shard.sums.encode(),
    }


def decode_entry(entry: Mapping[str, Any], groups: Sequence[BandGroup]) -> ShardInfo:
    """Returns the shard of an entry; see `encode_entry`."""
    files = {store: FileInfo(**file) for store, file in entry["files"].items()}
    sums = BandSums.decode(entry["sums"], groups)
    return ShardInfo(entry["split"], entry["num_patches"], files, sums)


class Buckets:
    """Deletes each bucket of the spools once all shards that need it are written."""

    def __init__(self, plans: Iterable[ShardPlan], spools: Sequence[Place]) -> None:
        """Counts the shards that need each bucket.

        Args:
            plans: The shards that are to be written.
            spools: Folder of the spool of each source.
        """
        self._plans, self._spools = list(plans), spools
        self._needed = Counter(
            path for plan in self._plans for path, _ in self._find_ends(plan)
        )

    def _find_ends(self, plan: ShardPlan) -> Iterator[tuple[Place, int]]:
        """Yields each bucket that a shard needs, and how long it must be."""
        for source, spool in enumerate(self._spools):
            places = plan.places[source]
            ends = places["offset"] + places["nbytes"]
            for bucket in plan.buckets(source):
                end = int(ends[places["bucket"] == bucket].max())
                yield bucket_path(spool, plan.split, bucket), end

    def check(self) -> None:
        """Checks that every bucket has all the records that the shards need.

        Raises:
            JournalError: If one is missing or too short.
            OSError: If a spool cannot be listed.
        """
        sizes = {spool: list_sizes(spool) for spool in self._spools if self._plans}
        for plan in self._plans:
            for path, end in self._find_ends(plan):
                if sizes[path.parent].get(path.name, -1) < end:
                    raise JournalError(
                        f"{path} is missing, or shorter than {end} bytes, and "
                        f"{plan.name} is not written yet. Build again with --restart, "
                        "which discards what is done."
                    )

    def release(self, plan: ShardPlan) -> None:
        """Deletes the buckets that only this shard still needed.

        Args:
            plan: A shard whose entry in the journal is durable.
        """
        for path, _ in self._find_ends(plan):
            self._needed[path] -= 1
            if not self._needed[path]:
                remove_file(path.parent, path.name)
