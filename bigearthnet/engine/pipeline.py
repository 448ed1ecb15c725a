"""Runs a build job in a workspace: sources → finished stores, not yet published."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.beside import (
    StoredRows,
    check_options,
    read_aside,
    read_rows,
    refuse_rows,
)
from bigearthnet.engine.convert import convert
from bigearthnet.engine.engines import Engine
from bigearthnet.engine.job import Job
from bigearthnet.engine.shards import ShardPlan, hash_ids, plan_shards
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import SpooledSource, load_spooled
from bigearthnet.engine.spread import EnginePool, open_engine_pool, spread_spool
from bigearthnet.engine.stage_one import check_kinds, choose_rows, fill_spool
from bigearthnet.engine.stage_two import write_shards
from bigearthnet.engine.storage import remove_file
from bigearthnet.engine.workers import ShardPool, WorkerPool
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import BigEarthNetError, OptionError
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.schema.examples import get_make_example
from bigearthnet.store.manifest import write_descriptions
from bigearthnet.store.quarantine import BadPatch, leave_quarantine
from bigearthnet.store.result import BuildResult, ShardInfo, SourceInfo
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.wording import count_of


def run(job: Job, work: Workspace, engine: Engine | None = None) -> BuildResult:
    """Builds the stores of a job, whole but for what their readers want beside.

    What an earlier run has finished is not done again: each source that was spooled to
    its end, and each shard that was written.

    Args:
        job: What to build.
        work: The workspace. Each of `job.stores` is in `work.output(store)` afterwards:
            shards, manifest, statistics, provenance, table of patches.
        engine: Runs both stages, on machines that all see the workspace under the same
            path; None for this machine alone.

    Returns:
        What was read and written.

    Raises:
        ArchiveError: If a source cannot be read to its end, or holds another number
            of patches than expected.
        ChecksumError: If a source is not the expected file; no shard is written then.
        PatchError: If a patch is damaged, lacks in one of the sources, or is not part
            of the release, and `options.max_bad` is None.
        QuarantineError: If there are more such patches than `options.max_bad`, or it is
            None and an earlier run has set some aside; or if no other is left to store.
            Their list is left in `work.quarantine`. Or if the store beside has patches
            that cannot be stored; their list is left in `work.drop_list`.
        EngineError: If the engine gives up, or loses or doubles a task.
        DiskSpaceError: If the result would not fit on the disk.
        JournalError: If the index or a bucket of the spool is damaged or missing.
        OptionError: If no patch is left to store, or the options ask for others than
            the store beside has.
        StoreError, ShardError, DownloadError: If the store that it is made of is not
            what its manifest says, is damaged, or cannot be had.
    """
    start = time.monotonic()
    result = encode(job, work, engine) if job.store is None else convert(job, work)
    for part in job.parts if not work.is_published else ():
        chosen = result.choose(part.config, part.stores)
        for store, form in part.stores.items():
            seconds = time.monotonic() - start
            write_descriptions(work.output(store), chosen, form, seconds)
    return result


def encode(job: Job, work: Workspace, engine: Engine | None = None) -> BuildResult:
    """Runs both stages; arguments and errors as in `run`."""
    for part in job.parts:
        get_make_example(part.config, part.schema)  # fails now if it lacks a package
    patches = load_index(job.config.release, job.config.choice.scheme)
    beside = None
    if job.beside is not None:
        beside = read_rows(job.beside, patches)
        check_options(job.options, beside, patches)
    with _open_pool(job, work, engine) as pool:
        indices, spooled = _fill_spools(job, work, patches, beside, pool)
        bad = tuple(patch for source in spooled for patch in source.quarantine)
        stored, read = _find_good(indices, beside)
        if beside is None:
            _check_quarantine(bad, job, work)
        elif bad:
            missing = beside.stored & ~stored
            raise refuse_rows(missing, bad, job, work, patches)
        plans = plan_shards(indices, stored, patches)
        if not plans:
            work.is_over = True
            raise _refuse_nothing(int(read.sum()), bad, job, work)
        shards = write_shards(plans, pool, work, job, patches)
    for path in (work.quarantine, work.drop_list):  # of an earlier build, which failed
        remove_file(path.parent, path.name)
    return _make_result(job, patches, indices, spooled, beside, plans, shards)


def _open_pool(
    job: Job, work: Workspace, engine: Engine | None
) -> AbstractContextManager[ShardPool]:
    if engine is None:
        return WorkerPool(job.options.workers, pass_fds=(work.lock,))
    return open_engine_pool(engine, work)


def _find_good(
    indices: Sequence[SpoolIndex], beside: StoredRows | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Returns which patches are stored, and which count as read, shape (patch,).

    A patch is stored only if all sources have it, and counts as read only then; beside
    a store, those are read that it says.
    """
    stored = np.logical_and.reduce([index.stored for index in indices])
    if beside is not None:
        return stored, beside.read
    return stored, indices[0].read & (stored | ~indices[0].stored)


def _make_result(
    job: Job,
    patches: PatchIndex,
    indices: Sequence[SpoolIndex],
    spooled: Sequence[SpooledSource],
    beside: StoredRows | None,
    plans: Sequence[ShardPlan],
    shards: tuple[ShardInfo, ...],
) -> BuildResult:
    """Returns what was read of all sources, and written."""
    stored, read = _find_good(indices, beside)
    labels, scenes = indices[0].labels, indices[0].scenes
    bad = tuple(patch for source in spooled for patch in source.quarantine)
    synthetic = np.logical_or.reduce([index.synthetic for index in indices])
    num_synthetic = int((synthetic & read).sum())
    if job.beside is not None and beside is not None:
        labels, scenes, bad = beside.labels, beside.scenes, read_aside(job.beside)
        count = int(job.beside.manifest["patches"].get("synthetic", 0))
        num_synthetic = max(num_synthetic, count)
    sums = BandSums(job.config.groups)
    for shard in shards:
        sums.add(shard.sums)
    return BuildResult(
        config=job.config,
        patches=patches,
        read=read,
        stored=stored,
        labels=labels if patches.labels is None else patches.labels,
        scenes=scenes,
        num_synthetic=num_synthetic,
        shards=shards,
        sums=sums,
        sources=tuple(
            SourceInfo(
                found.lane,
                source.path.name,
                found.nbytes,
                found.sha256,
                found.litter,
                found.places,
            )
            for source, found in zip(job.sources, spooled, strict=True)
        ),
        quarantine=bad,
        ids_sha256=hash_ids(plans, patches),
        is_beside=beside is not None,
    )


def _fill_spools(
    job: Job,
    work: Workspace,
    patches: PatchIndex,
    beside: StoredRows | None,
    pool: ShardPool,
) -> tuple[list[SpoolIndex], list[SpooledSource]]:
    """Runs stage one of every source that an earlier run has not spooled."""
    if len(job.sources) > 1 and not work.is_continued:
        check_kinds(job.sources)
    indices: list[SpoolIndex] = []
    spooled: list[SpooledSource] = []
    bad: list[BadPatch] = []
    wanted: npt.NDArray[np.bool_] = choose_rows(patches, job.options)
    first = None
    if beside is not None:
        wanted, first = beside.stored, SpoolIndex(len(patches))
        first.load_scenes(beside.read, beside.scenes)
    for number, source in enumerate(job.sources):
        index = SpoolIndex(len(patches))
        found = load_spooled(work, index, source.archive.name)
        if found is None and isinstance(pool, EnginePool):
            earlier = list(zip(indices, spooled, strict=True))
            found = spread_spool(job, number, work, index, patches, earlier, pool)
        elif found is None:
            found = fill_spool(job, number, work, index, patches, wanted, bad, first)
        first = first or index
        indices.append(index)
        spooled.append(found)
        bad += found.quarantine
        wanted = wanted & index.stored
    return indices, spooled


def _check_quarantine(bad: tuple[BadPatch, ...], job: Job, work: Workspace) -> None:
    """Ends a build of which an earlier run has set aside more than this one may."""
    if len(bad) > (job.options.max_bad or 0):
        raise leave_quarantine(
            bad,
            work.quarantine,
            f"an earlier run set {count_of(len(bad), 'bad patch')} aside",
            f"Resume the build with --on_error=quarantine --max_bad={len(bad)}; or "
            f"build again with --restart, or after deleting {work.folder}.",
        )


def _refuse_nothing(
    num_good: int, bad: tuple[BadPatch, ...], job: Job, work: Workspace
) -> BigEarthNetError:
    """Returns the error of a build of which no patch is left to store."""
    good = f"{job.sources[0].path} holds {count_of(num_good, 'good patch')}"
    if num_good:
        good += ", none of them in a split or country that was asked for"
    if not bad:
        return OptionError(f"no patch to store: {good}.")
    return leave_quarantine(
        bad,
        work.quarantine,
        f"no patch to store: {good}; set aside: {count_of(len(bad), 'bad patch')}",
        "Check that the source is whole and of the right release.",
    )
