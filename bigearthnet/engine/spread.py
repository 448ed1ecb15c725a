"""Builds by the workers of an engine: this process plans, and counts.

The sources are read one after another, as by one machine, since the first says which
patches there are; the parts of each at once.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.engine.engines import Engine, run_tasks
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.leftovers import ATTEMPTS, remove_attempts
from bigearthnet.engine.shards import ShardPlan, ShardTask
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.spooled import (
    SpooledSource,
    index_path,
    read_index,
    read_summary,
    record,
)
from bigearthnet.engine.stage_one import choose_rows, lacking
from bigearthnet.engine.tries import PartTask, ShardTry, spool_part, try_shard
from bigearthnet.engine.workers import OnProgress
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import ArchiveError, OptionError
from bigearthnet.release.patch_index import Names, PatchIndex
from bigearthnet.source.cut import find_cut
from bigearthnet.source.listing import is_folder, list_folder
from bigearthnet.source.litter import SYNTHETIC_FILE
from bigearthnet.source.parts import Part, list_parts
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store.quarantine import BadPatch, Quarantine
from bigearthnet.store.result import ShardInfo
from bigearthnet.util.files import make_folder
from bigearthnet.util.progress import Progress
from bigearthnet.util.remote import Place
from bigearthnet.util.wording import count_of


def check_job(job: Job) -> None:
    """Refuses what several machines cannot do.

    Raises:
        OptionError: If the job asks for it.
    """
    for is_asked, problem in (
        (job.options.limit is not None, "--limit counts patches in the source's order"),
        (job.options.decompressors > 1, "--decompressors reads a source as a whole"),
        (job.beside is not None, "a store beside says which patches there are"),
        (job.store is not None, "a finished store is converted by one machine"),
    ):
        if is_asked:
            raise OptionError(
                f"{problem}, which tasks of an engine, or at a URL, cannot do: leave "
                "it out, or build on this machine's disk with --engine=local."
            )


def spread_spool(
    job: Job,
    number: int,
    work: Workspace,
    index: SpoolIndex,
    patches: PatchIndex,
    earlier: Sequence[tuple[SpoolIndex, SpooledSource]],
    pool: EnginePool,
) -> SpooledSource:
    """Reads a source in parts; errors as in `pipeline.encode`.

    Args:
        job: The build.
        number: Which of its sources.
        work: The workspace.
        index: The empty index to fill.
        patches: The release's patches in the wanted split scheme.
        earlier: Of each source before, its index, and what was read.
        pool: Has the engine that runs the tasks.
    """
    source, lane = job.sources[number], job.sources[number].archive.name
    make_folder(work.spool(lane))
    spool = work.spool_place(lane)
    stored = [found.stored for found, _ in earlier]
    wanted = np.logical_and.reduce([choose_rows(patches, job.options), *stored])
    parts = _split(source, patches)
    indices = {
        index_path(work.spool_place(found.lane)): found.index_sha256
        for _, found in earlier
    }
    tasks = {
        part.name: PartTask(job, part, indices, spool, pool.attempts, work.quarantine)
        for part in parts
    }
    pixels = source.archive.pixel_nbytes
    with Progress("spool", total_nbytes=None, quiet=job.options.quiet) as progress:
        for _, count in run_tasks(pool.engine, spool_part, tasks):
            progress.add(count, count * pixels)
            if not work.is_continued and not work.journal.entries:
                work.record({"kind": "spread"})  # from now on it is kept
    names = patches.names(source.archive.ids)
    seen = np.zeros(len(patches), np.bool_)
    found = [_merge(part, spool, index, seen, names) for part in parts]
    bad = [patch for _, other in earlier for patch in other.quarantine]
    aside = Quarantine(job.options.max_bad or 0, work.quarantine, bad)
    for summary in found:
        for patch in summary.quarantine:
            aside.set_aside(patch)
    if earlier:
        known = {patch.patch_id for patch in aside.patches}
        for row in np.flatnonzero(wanted & ~index.stored).tolist():
            if names.name(row) not in known:
                error = lacking(source.path, source.archive, patches, row)
                if job.options.max_bad is None:
                    raise error
                aside.add(error, None)
    summary = _sum_up(source, found, parts, index, tuple(aside.patches))
    return record(work, index, summary)


def _split(source: JobSource, patches: PatchIndex) -> tuple[Part, ...]:
    """Splits a source; of a folder, its first part reads what is no patch, too."""
    rows, others = None, tuple[str, ...]()
    path = source.path
    is_cut = isinstance(path, Path) and find_cut(path, source.archive)
    if is_folder(path) and not is_cut:
        rows, others = list_folder(source.path, source.archive, patches)
    parts = list_parts([source.path], source.archive, patches, rows)
    if not parts:
        raise ArchiveError(f"{source.path} holds no patch of {patches.release.name}.")
    return (replace(parts[0], others=others), *parts[1:])


def _merge(
    part: Part,
    spool: Place,
    index: SpoolIndex,
    seen: npt.NDArray[np.bool_],
    names: Names,
) -> SpooledSource:
    """Adds what a part holds to the index of its source; returns what was read.

    Args:
        part: The part.
        spool: Folder of the spool.
        index: The index of the source.
        seen: True for each patch, good or bad, of the parts before, shape (patch,);
            those of this one are added.
        names: What the archive calls the patches.

    Raises:
        ArchiveError: If another part has one of its patches.
        JournalError: If its summary or index is damaged or missing.
    """
    summary = read_summary(spool / f"{part.name}.json")
    content = read_index(spool / f"{part.name}.index", summary.index_sha256)
    other = SpoolIndex(len(index.read))
    other.load(content)
    here = other.read
    bad = (names.find(patch.patch_id) for patch in summary.quarantine)
    here[[row for row in bad if row is not None]] = True
    twice = np.flatnonzero(seen & here)
    if len(twice):
        raise ArchiveError(
            f"{part.place} holds {count_of(len(twice), 'patch')} that another part of "
            f"the source holds, too: {names.name(int(twice[0]))}, for example. Build "
            "it with --engine=local, which names them all."
        )
    seen |= here
    index.load(content)
    return summary


def _sum_up(
    source: JobSource,
    found: Sequence[SpooledSource],
    parts: Sequence[Part],
    index: SpoolIndex,
    bad: tuple[BadPatch, ...],
) -> SpooledSource:
    """Returns what was read of a source, of what was read of its parts."""
    litter: Counter[str] = Counter()
    places = PlaceCounts()
    for summary in found:
        litter.update(summary.litter)
        places.shifted += summary.places.shifted
        places.unplaced += summary.places.unplaced
        places.max_shift_m = max(places.max_shift_m, summary.places.max_shift_m)
    place, nbytes = parts[0].place, None
    is_marked = isinstance(place, Path) and (place / SYNTHETIC_FILE).exists()
    if SYNTHETIC_FILE in litter or is_marked:
        index.mark_synthetic()
    if not is_folder(place):
        files = {part.place for part in parts}
        nbytes = sum(map(_find_nbytes, files))
    return SpooledSource(
        source.archive.name,
        nbytes,
        found[0].sha256 if place == source.path and len(found) == 1 else None,
        bad,
        "",
        dict(litter),  # of a Counter, `asdict` makes something else
        places,
    )


def _find_nbytes(file: Place) -> int:
    return file.stat().st_size if isinstance(file, Path) else file.find_nbytes()


@dataclass(frozen=True)
class EnginePool:
    """Writes shards by the workers of an engine; see `workers.WorkerPool`.

    Attributes:
        engine: The engine.
        attempts: Where its tries write; see `storage.open_scratch`.
    """

    engine: Engine
    attempts: Place

    def write_shards(
        self,
        plans: Sequence[ShardPlan],
        make_task: Callable[[ShardPlan], ShardTask],
        on_progress: OnProgress,
    ) -> Iterator[tuple[ShardPlan, ShardInfo]]:
        """Writes shards and yields each as it is finished.

        Raises:
            EngineError: If the engine gives up.
        """
        named = {plan.name: plan for plan in plans}
        tasks = {
            name: ShardTry(make_task(plan), self.attempts)
            for name, plan in named.items()
        }
        for name, shard in run_tasks(self.engine, try_shard, tasks):
            count = shard.num_patches
            on_progress(count, sum(file.data_nbytes for file in shard.files.values()))
            yield named[name], shard


@contextmanager
def open_engine_pool(engine: Engine, work: Workspace) -> Iterator[EnginePool]:
    """Gives tries a folder that only this run has; a context manager.

    A try that is still running afterwards, or of an earlier run whose process was
    killed, finds its folder gone, and can rename nothing into spools or stores.

    Raises:
        OSError: If it cannot be made or deleted.
    """
    if work.remote is not None:  # whose tries write on their own machines
        yield EnginePool(engine, work.remote.begun)
        return
    remove_attempts(work.folder)
    folder = work.folder / f"{ATTEMPTS}{secrets.token_hex(8)}"
    make_folder(folder)
    try:
        yield EnginePool(engine, folder)
    finally:
        remove_attempts(work.folder)
