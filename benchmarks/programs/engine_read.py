"""All pixels of one group of bands of a Parquet store, summed up by worker processes.

Runs a program of docs/scale.md as it stands there, but for its number of workers. Only
the statement that has the engine read is timed, several times; or our own reader, in
processes that share out the files.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import find_cpu_s
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

FILES = "data/huggingface/s2"
# What has an engine read: methods that give results, not plans.
ACTIONS = ("compute", "take_all", "collect")


def sum_up(path: Path) -> npt.NDArray[np.int64]:
    """Returns the sum of each band of a file, read by our reader, shape (band,)."""
    reader = ParquetReader([path], get_config("s2", RELEASES).schema)
    batches = reader.batches(100, columns="bands_10m")
    sums = [batch["bands_10m"].sum(axis=(0, 2, 3), dtype=np.int64) for batch in batches]
    return np.sum(sums, axis=0)


@contextmanager
def open_ours(workers: int) -> Iterator[Callable[[], object]]:
    """Starts processes; yields what has them read every file once."""
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield lambda: list(pool.map(sum_up, sorted(Path(FILES).glob("train-*"))))


@contextmanager
def open_program(
    program: str, engine: str, workers: int
) -> Iterator[Callable[[], object]]:
    """Runs a program up to what reads, and yields that."""
    for text in ("local[2]", "num_cpus=2"):
        program = program.replace(text, text.replace("2", str(workers)))
    space: dict[str, Any] = {"__name__": "__main__"}
    statements = ast.parse(program).body
    (last,) = [i for i, statement in enumerate(statements) if _acts(statement)]
    exec(compile(ast.Module(statements[:last], []), engine, "exec"), space)
    code = compile(ast.Module(statements[last : last + 1], []), engine, "exec")
    if engine == "dask":
        from distributed import Client, LocalCluster

        with (
            LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            Client(cluster),  # from now on `compute` uses it
        ):
            yield lambda: exec(code, space)
    else:
        yield lambda: exec(code, space)


def _acts(statement: ast.stmt) -> bool:
    """Whether a statement calls one of `ACTIONS`."""
    return not isinstance(statement, ast.FunctionDef) and any(
        isinstance(node, ast.Attribute) and node.attr in ACTIONS
        for node in ast.walk(statement)
    )


def main() -> None:
    """Reads, turn by turn, after a first turn that does not count."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--turns", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True, help="Has data/ in it.")
    parser.add_argument("--program", type=Path, help="The program; else our reader.")
    given = parser.parse_args()
    program = given.program.read_text() if given.program else ""
    os.chdir(given.work)
    found = []
    with (
        open_program(program, given.engine, given.workers)
        if program
        else open_ours(given.workers)
    ) as read:
        for turn in range(given.turns + 1):
            start, cpu = time.monotonic(), find_cpu_s()
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                read()
            wall = time.monotonic() - start
            if turn:
                found.append({"wall_s": wall, "cpu_s": find_cpu_s() - cpu})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
