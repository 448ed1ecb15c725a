"""Makes the stores of a job of a finished store, in place of archives.

Shards of all formats are cut alike: each is made of one shard, without a spool, and is
what a build from the archives would have written. Where patches are dropped, the others
are cut anew: they are in order already, so that a shard reads a part of a few others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bigearthnet.engine import disk
from bigearthnet.engine.beside import read_aside, read_rows
from bigearthnet.engine.job import Job
from bigearthnet.engine.keys import hash_key, shard_bounds
from bigearthnet.engine.shards import ShardPlan, hash_ids
from bigearthnet.engine.spool_index import PLACE_DTYPE
from bigearthnet.engine.stage_two import write_shards
from bigearthnet.engine.workers import WorkerPool
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.schema.examples import get_make_example
from bigearthnet.store import PATCHES
from bigearthnet.store.quarantine import BadPatch
from bigearthnet.store.remote import AnyStore, describe_origin
from bigearthnet.store.result import BuildResult, ShardInfo, SourceInfo
from bigearthnet.store.statistics import STATISTICS_SPLIT, BandSums
from bigearthnet.util.wording import count_of

# Why a patch that was dropped is set aside.
DROPPED = "dropped: it is on the list of --drop."


def convert(job: Job, work: Workspace) -> BuildResult:
    """Writes all shards that an earlier run has not written.

    Args:
        job: The build, with a store.
        work: The workspace.

    Returns:
        What the build of that store read, and what was written.

    Raises:
        ShardError, StoreError: If the store is damaged, or not what it says it is.
        DownloadError: If it cannot be had.
        DiskSpaceError: If the result would not fit on the disk.
        OptionError: If a patch to drop is none of the release, none of them is in the
            store, or no other is.
    """
    store, config = job.store, job.config
    assert store is not None
    for part in job.parts:
        get_make_example(part.config, part.schema)  # fails now if it lacks a package
    patches = load_index(config.release, config.choice.scheme)
    with WorkerPool(job.options.workers, pass_fds=(work.lock,)) as pool:
        rows = read_rows(store, patches)
        dropped = _find_dropped(job, store, patches, rows.read)
        stored = rows.stored & ~dropped
        plans = plan_stored(store, rows.stored, ~dropped, patches)
        ids_sha256 = hash_ids(plans, patches)
        _check_beside(job, stored, patches)
        if not work.is_continued:
            disk.check_free(work.folder, job.patch_nbytes * int(stored.sum()))
        shards = write_shards(plans, pool, work, job, patches)
    return BuildResult(
        config=config,
        patches=patches,
        read=rows.read & ~dropped,
        stored=stored,
        labels=rows.labels,
        scenes=rows.scenes,
        num_synthetic=_count_synthetic(store, int(dropped.sum())),
        shards=shards,
        sums=_add_sums(shards, store, job),
        sources=(SourceInfo("store", str(store.place), None, None),),
        quarantine=(
            *read_aside(store),
            *(
                BadPatch(patches.patch_id(row), None, DROPPED, None)
                for row in np.flatnonzero(dropped).tolist()
            ),
        ),
        origin=describe_origin(store),
        ids_sha256=ids_sha256,
    )


def _check_beside(job: Job, stored: npt.NDArray[np.bool_], patches: PatchIndex) -> None:
    """Refuses to make a part of a pair whose other part has other patches."""
    if job.beside is None or job.store is None:
        return
    other = read_rows(job.beside, patches).stored
    if count := int((other != stored).sum()):
        row = int(np.flatnonzero(other != stored)[0])
        raise OptionError(
            f"{job.beside.folder} has other patches than would be made of "
            f"{job.store.place}: {count:,} are in one alone, {patches.patch_id(row)} "
            "among them. Stores of one data directory are read as pairs: name another "
            "one for what is made with --output."
        )


def _find_dropped(
    job: Job, store: AnyStore, patches: PatchIndex, read: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Returns which of the patches that were read are to be dropped, shape (patch,)."""
    dropped = np.zeros(len(patches), np.bool_)
    for patch_id in job.drop:
        row = patches.find(patch_id)
        if row is None:
            raise OptionError(
                f"drop: {patch_id!r} is no patch of the release "
                f"{patches.release.name}. Correct the list."
            )
        dropped[row] = True
    dropped &= read
    if job.drop and not dropped.any():
        raise OptionError(
            f"drop: none of the {len(job.drop):,} patches is in {store.place}."
        )
    return dropped


def _count_synthetic(store: AnyStore, num_dropped: int) -> int:
    """Returns how many of the patches that are left say that they are synthetic."""
    facts = store.manifest["patches"]
    count = int(facts.get("synthetic", 0))
    if not count or not num_dropped:
        return count
    if count != facts["rows"]:
        raise OptionError(
            f"drop: {store.place} mixes {count_of(count, 'synthetic patch')} with "
            "real ones, "
            "and its table does not say which. Build it again from one kind."
        )
    return count - num_dropped


def plan_stored(
    store: AnyStore,
    stored: npt.NDArray[np.bool_],
    kept: npt.NDArray[np.bool_],
    patches: PatchIndex,
) -> list[ShardPlan]:
    """Returns the shards to write, with the place of each patch in those of a store.

    Args:
        store: The store.
        stored: True for each patch that it has, shape (patch,).
        kept: True for each patch that is to be stored if it has it, shape (patch,).
        patches: The release's patches in its split scheme.

    Raises:
        StoreError: If its table of patches has not as many as its manifest says.
        OptionError: If no patch is left.
    """
    plans = []
    for code, split in enumerate(patches.release.splits):
        rows = np.flatnonzero(stored & (patches.splits == code))
        counts = store.rows(split)
        if len(rows) != sum(counts):
            raise StoreError(
                f"{store.place}: its {PATCHES} has "
                f"{count_of(len(rows), 'stored patch')} of "
                f"{split}, its manifest {sum(counts):,}. Build or publish it again."
            )
        ids = patches.patch_ids(rows).to_pylist()
        keys = [hash_key(split, patch_id) for patch_id in ids]
        rows = rows[sorted(range(len(rows)), key=keys.__getitem__)]
        places = _place(counts)
        chosen = kept[rows]
        if not chosen.any():
            continue
        bounds = list(itertools.pairwise(itertools.accumulate(counts, initial=0)))
        if not chosen.all():
            rows, places = rows[chosen], places[:, chosen]
            bounds = shard_bounds(len(rows))
        plans += [
            ShardPlan(split, number, len(bounds), rows[i:j], places[:, i:j])
            for number, (i, j) in enumerate(bounds)
        ]
    if not plans:
        raise OptionError(f"no patch to store: all of {store.place} are dropped.")
    return plans


def _place(counts: Sequence[int]) -> npt.NDArray[np.void]:
    """Returns shard and row of each patch of a split; see `ShardPlan.places`.

    Args:
        counts: Patches of each shard.
    """
    places = np.zeros((1, sum(counts)), PLACE_DTYPE)
    if counts:
        places["bucket"] = np.repeat(np.arange(len(counts)), counts)
        places["offset"] = np.concatenate([np.arange(count) for count in counts])
    return places


def _add_sums(shards: tuple[ShardInfo, ...], store: AnyStore, job: Job) -> BandSums:
    """Returns the sums over all shards, which must be those of the store.

    Where patches are dropped, the checksum of each shard of the store was compared.
    """
    sums = BandSums(job.config.groups)
    for shard in shards:
        sums.add(shard.sums)
    if not job.drop and sums.to_json(STATISTICS_SPLIT) != store.statistics:
        raise StoreError(
            f"{store.place}: the pixels of {STATISTICS_SPLIT} are not those of its "
            "statistics. Shards of several builds are mixed: build or publish it again."
        )
    return sums
