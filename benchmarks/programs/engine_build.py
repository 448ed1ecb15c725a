"""Ours: both stages of a build as tasks of an engine, of a number of workers.

Parts of the source are as small as its index says; shards, which hold 4,000 patches in
a real build, are made as small, so that a few thousand patches are many tasks.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.measure import find_cpu_s
from bigearthnet.engine import keys
from bigearthnet.engine.engines import Engine, LocalEngine, open_engine
from bigearthnet.engine.identity import identify_build
from bigearthnet.engine.job import Job
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import run
from bigearthnet.engine.workspace import open_workspace
from bigearthnet.release import RELEASES, V1
from bigearthnet.schema.configs import get_config
from builder.build import make_source

STAGES = ("spool", "shards")


@dataclass(frozen=True)
class Timed:
    """A task that says how long it ran, beside its result."""

    task: Callable[[Any], Any]

    def __call__(self, value: Any) -> tuple[Any, float]:
        """Runs the task."""
        start = time.monotonic()
        return self.task(value), time.monotonic() - start


class Watched:
    """An engine that notes what each of its maps took.

    Attributes:
        maps: Of each: number of tasks, seconds until the last result, processor seconds
            of this process and all its children, and seconds inside of tasks.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.maps: list[dict[str, float]] = []

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Runs a task over values; see `Engine.map`."""
        start, cpu = time.monotonic(), find_cpu_s()
        found = list(self._engine.map(Timed(task), values))
        noted = {"tasks": len(values), "wall_s": time.monotonic() - start}
        noted["cpu_s"] = find_cpu_s() - cpu
        noted["in_tasks_s"] = sum(seconds for _, seconds in found)
        self.maps.append(noted)
        return iter([result for result, _ in found])


@contextmanager
def open_workers(name: str, workers: int) -> Iterator[Engine]:
    """Starts an engine with as many worker processes on this machine."""
    if name == "local" and workers == 1:
        yield LocalEngine()
    elif name == "local":  # what the cores give without any engine
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield pool
    elif name == "dask":
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        ) as cluster:
            address = cluster.scheduler_address.replace("tcp", "dask", 1)
            with open_engine(address, []) as engine:
                yield engine
    else:
        options = {
            # Executors of their own, beside the driver.
            "spark": [f"spark.master=local-cluster[{workers},1,1024]"],
            "beam": [
                f"--direct_num_workers={workers}",
                "--direct_running_mode=multi_processing",
            ],
        }
        with open_engine(name, options[name]) as engine:
            yield engine


def run_build(source: Path, work: Path, size: int, engine: Engine) -> dict[str, Any]:
    """Runs both stages once; returns what each took.

    Nothing is published, for which Spark's and Beam's environments lack packages.

    Args:
        source: The archive.
        work: An empty folder, deleted afterwards.
        size: Most patches of a shard.
        engine: Runs the tasks.
    """
    watched = Watched(engine)
    options = BuildOptions(include_excluded=True, quiet=True)
    sources = (make_source(V1.archive("s2"), source),)
    job = Job(get_config("s2", RELEASES), sources, ("tfrecord",), options)
    with (
        mock.patch.object(keys, "MAX_PATCHES_PER_SHARD", size),
        open_workspace(work, identify_build(job), restart=False) as workspace,
    ):
        run(job, workspace, watched)
    shutil.rmtree(work)
    return dict(zip(STAGES, watched.maps, strict=True))


def main() -> None:
    """Builds each source, turn by turn, after one build that does not count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("sources", nargs="+", help="SIZE=ARCHIVE.tar, with its index")
    given = parser.parse_args()
    sources = [source.split("=", 1) for source in given.sources]
    found: dict[str, list[dict[str, Any]]] = {size: [] for size, _ in sources}
    with open_workers(given.engine, given.workers) as engine:
        for turn in range(given.turns + 1):
            for size, path in sources if turn else sources[:1]:
                took = run_build(Path(path), given.work, int(size), engine)
                if turn:
                    found[size].append(took)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
