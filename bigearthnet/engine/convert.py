"""Makes the stores of a job of a finished Parquet store, in place of archives.

Shards of all formats are cut alike: each is made of one shard, without a spool, and is
what a build from the archives would have written.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bigearthnet.engine import disk
from bigearthnet.engine.job import Job
from bigearthnet.engine.keys import hash_key
from bigearthnet.engine.shards import ShardPlan
from bigearthnet.engine.spool_index import PLACE_DTYPE
from bigearthnet.engine.stage_two import write_shards
from bigearthnet.engine.workers import WorkerPool
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import ShardError, StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.formats.parquet import open_file
from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.schema.examples import get_make_example
from bigearthnet.store import PATCHES, QUARANTINE, read_patches
from bigearthnet.store.quarantine import read_quarantine
from bigearthnet.store.remote import AnyStore, describe_origin
from bigearthnet.store.result import BuildResult, ShardInfo, SourceInfo
from bigearthnet.store.scenes import SCENE_DTYPE, encode_scene, read_scenes
from bigearthnet.store.statistics import STATISTICS_SPLIT, BandSums


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
    """
    store, config = job.store, job.config
    assert store is not None
    get_make_example(config, job.schema)  # fails now if it lacks a package
    patches = load_index(config.release, config.choice.scheme)
    with WorkerPool(job.options.workers, pass_fds=(work.lock,)) as pool:
        read, stored, labels, scenes = _read_table(store, patches)
        plans = plan_stored(store, stored, patches)
        if scenes is None:
            scenes = _read_scenes(store, plans, patches)
        each = sum(FORMATS[name].patch_nbytes(config) for name in job.formats)
        if not work.is_continued:
            disk.check_free(work.folder, each * int(stored.sum()))
        shards = write_shards(plans, pool, work, job, patches)
    facts = store.manifest["patches"]
    has_bad = bool(facts["quarantined"])
    return BuildResult(
        config=config,
        patches=patches,
        read=read,
        stored=stored,
        labels=labels,
        scenes=scenes,
        num_synthetic=int(facts.get("synthetic", 0)),
        shards=shards,
        sums=_add_sums(shards, store, job),
        sources=(SourceInfo("store", str(store.place), None, None),),
        quarantine=read_quarantine(store.place / QUARANTINE) if has_bad else (),
        origin=describe_origin(store),
    )


def _read_table(
    store: AnyStore, patches: PatchIndex
) -> tuple[
    npt.NDArray[np.bool_],
    npt.NDArray[np.bool_],
    npt.NDArray[np.uint64],
    npt.NDArray[np.void] | None,
]:
    """Returns what a store's table of patches says of each row of the release's.

    Returns:
        Whether it was read, whether it is stored, its labels as a bit mask, and when
        and where it was taken, which older tables do not say; shape (patch,).
    """
    table = read_patches(store)
    found = [patches.find(patch_id) for patch_id in table["patch_id"].to_pylist()]
    rows = [row for row in found if row is not None]
    if len(rows) < len(found):
        raise ShardError(
            f"{store.place / PATCHES} has a patch that is not part of the release. "
            "Build or publish it again."
        )
    read, stored = np.zeros((2, len(patches)), np.bool_)
    labels = np.zeros(len(patches), np.uint64)
    read[rows] = True
    stored[rows] = table["stored"].to_numpy()
    labels[rows] = [encode_mask(ids) for ids in table["labels"].to_pylist()]
    scenes, known = None, read_scenes(table)
    if known is not None:
        scenes = np.zeros(len(patches), SCENE_DTYPE)
        scenes[rows] = known
    return read, stored, labels, scenes


def _read_scenes(
    store: AnyStore, plans: Sequence[ShardPlan], patches: PatchIndex
) -> npt.NDArray[np.void]:
    """Reads from the shards when and where each patch was taken, if they have that."""
    scenes = np.zeros(len(patches), SCENE_DTYPE)
    names = {"acquisition_date", "epsg", "coordinates"}
    if names <= set(patches.release.fields):
        for plan in plans:
            with open_file(store.shards(plan.split)[plan.number]) as file:
                table = file.read(sorted(names)).flatten()
            table = table.rename_columns(
                [n.replace(".", "/") for n in table.column_names]
            )
            scenes[plan.rows] = [encode_scene(fields) for fields in table.to_pylist()]
    return scenes


def plan_stored(
    store: AnyStore, stored: npt.NDArray[np.bool_], patches: PatchIndex
) -> list[ShardPlan]:
    """Returns the shards of a store, with the patches that each must have.

    Args:
        store: The store.
        stored: True for each patch that it has, shape (patch,).
        patches: The release's patches in its split scheme.

    Raises:
        StoreError: If its table of patches has not as many as its manifest says.
    """
    plans = []
    for code, split in enumerate(patches.release.splits):
        rows = np.flatnonzero(stored & (patches.splits == code))
        counts = store.rows(split)
        if len(rows) != sum(counts):
            raise StoreError(
                f"{store.place}: its {PATCHES} has {len(rows):,} stored patches of "
                f"{split}, its manifest {sum(counts):,}. Build or publish it again."
            )
        ids = patches.patch_ids(rows).to_pylist()
        keys = [hash_key(split, patch_id) for patch_id in ids]
        rows = rows[sorted(range(len(rows)), key=keys.__getitem__)]
        bounds = itertools.pairwise(itertools.accumulate(counts, initial=0))
        for number, (first, last) in enumerate(bounds):
            chosen = rows[first:last]
            places = np.empty((0, len(chosen)), PLACE_DTYPE)
            plans.append(ShardPlan(split, number, len(counts), chosen, places))
    return plans


def _add_sums(shards: tuple[ShardInfo, ...], store: AnyStore, job: Job) -> BandSums:
    """Returns the sums over all shards, which must be those of the store."""
    sums = BandSums(job.config.groups)
    for shard in shards:
        sums.add(shard.sums)
    if sums.to_json(STATISTICS_SPLIT) != store.statistics:
        raise StoreError(
            f"{store.place}: the pixels of {STATISTICS_SPLIT} are not those of its "
            "statistics. Shards of several builds are mixed: publish it again."
        )
    return sums
