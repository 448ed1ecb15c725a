from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.shards import ShardPlan, ShardTask, plan_shards, write_shard
from bigearthnet.engine.spool import SpoolWriter
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.stage_one import spool_patches
from bigearthnet.engine.workers import Worker, WorkerError, WorkerPool
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.source import open_source

S2 = get_config("s2", RELEASES)

ARCHIVE = V1.archive("s2")


@pytest.fixture
def spooled(
    sample_folder: Path, patch_index: PatchIndex, tmp_path: Path
) -> tuple[list[ShardPlan], Path, Path]:
    """Plans of the sample's shards, the folder of their spool, and one for output."""
    spool, output = tmp_path / "spool", tmp_path / "output"
    spool.mkdir()
    output.mkdir()
    index = SpoolIndex(len(patch_index))
    with (
        open_source(sample_folder, ARCHIVE) as source,
        SpoolWriter(spool, index, patch_index) as writer,
    ):
        spool_patches(source, writer, patch_index.splits < 4, BuildOptions(quiet=True))
    return plan_shards([index], index.stored, patch_index), spool, output


@pytest.fixture
def job(sample_folder: Path) -> Job:
    """The build of the sample."""
    options = BuildOptions(workers=1)
    return Job(S2, (JobSource(ARCHIVE, sample_folder),), ("tfrecord",), options)


@pytest.fixture
def make_task(
    job: Job, spooled: tuple[list[ShardPlan], Path, Path], patch_index: PatchIndex
) -> Callable[[ShardPlan, Path], ShardTask]:
    """Makes the task of a shard that goes to a folder."""
    _, spool, _ = spooled

    def make(plan: ShardPlan, output: Path) -> ShardTask:
        facts = patch_index.describe(plan.rows)
        return ShardTask(job, plan, facts, [spool], {"tfrecord": output})

    return make


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_write_what_this_process_writes(
    workers: int,
    make_task: Callable[[ShardPlan, Path], ShardTask],
    spooled: tuple[list[ShardPlan], Path, Path],
    tmp_path: Path,
) -> None:
    """A pool yields each plan with the shard that `write_shard` makes of it."""
    plans, _, output = spooled
    folder = tmp_path / "expected"
    folder.mkdir()
    expected = {plan.name: write_shard(make_task(plan, folder)) for plan in plans}
    progress: list[tuple[int, int]] = []
    with WorkerPool(workers) as pool:
        written = {
            plan.name: shard
            for plan, shard in pool.write_shards(
                plans,
                lambda plan: make_task(plan, output),
                on_progress=lambda *done: progress.append(done),
            )
        }

    assert {name: s.files for name, s in expected.items()} == {
        name: s.files for name, s in written.items()
    }
    assert 6 == sum(patches for patches, _ in progress)
    for shard in expected.values():
        name = shard.files["tfrecord"].name
        assert (tmp_path / "expected" / name).read_bytes() == (
            output / name
        ).read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_process_is_raised_here(
    workers: int,
    make_task: Callable[[ShardPlan, Path], ShardTask],
    spooled: tuple[list[ShardPlan], Path, Path],
    tmp_path: Path,
) -> None:
    """What goes wrong in a worker is the caller's error, and ends the others."""
    plans, _, _ = spooled
    with WorkerPool(workers) as pool, pytest.raises(FileNotFoundError, match="nowhere"):
        list(
            pool.write_shards(
                plans,
                lambda plan: make_task(plan, tmp_path / "nowhere"),
                on_progress=lambda patches, nbytes: None,
            )
        )


def test_a_killed_process_is_an_error(
    make_task: Callable[[ShardPlan, Path], ShardTask],
    spooled: tuple[list[ShardPlan], Path, Path],
) -> None:
    """A worker that is killed ends the build with a reason, not with silence."""
    plans, _, output = spooled
    worker = Worker()
    os.kill(worker._process.pid, signal.SIGKILL)
    ignore: Callable[[int, int], None] = lambda patches, nbytes: None  # noqa: E731

    with pytest.raises(WorkerError, match=f"{plans[0].name} ended"):
        worker.write(make_task(plans[0], output), ignore)

    worker.close()
