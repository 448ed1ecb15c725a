"""Builds whose tasks fail, or whose processes are killed, end with the same bytes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.engines import Engine
from bigearthnet.engine.tries import PartTask
from bigearthnet.errors import EngineError
from tests.bigearthnet.engine.engines.cases import Case, FindCase, read_stores
from tests.bigearthnet.engine.engines.clusters import FindEngine

Work = Callable[[], Any]

# A build whose process is killed in the n-th round of its tasks: by the first of them,
# which works on, or when it got the first result.
_KILLED = """
import os, runpy, signal, sys
from bigearthnet.engine import spread

run_tasks, left, moment = spread.run_tasks, [int(sys.argv.pop(1))], sys.argv.pop(1)

def run(engine, task, values):
    left[0] -= 1
    driver, is_here = os.getpid(), not left[0]
    is_early = is_here and moment == "working"

    def work(value):
        if is_early:
            os.kill(driver, signal.SIGKILL)
        return task(value)

    for result in run_tasks(engine, work, values):
        yield result
        if is_here:
            os.kill(driver, signal.SIGKILL)

spread.run_tasks = run
runpy.run_module("builder.build", run_name="__main__", alter_sys=True)
"""


def _find_harm(kind: str) -> Callable[[Path, Work], Any]:
    """Returns a function that workers need not import: they lack this module."""

    def fail(mark: Path, work: Work) -> Any:
        work()
        mark.touch()
        raise OSError(5, "the disk is broken")

    def kill_worker(mark: Path, work: Work) -> Any:
        work()
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    def kill_executor(mark: Path, work: Work) -> Any:
        # Java runs a daemon, of which workers are children. This one works on.
        status = Path(f"/proc/{os.getppid()}/stat").read_text()
        executor = int(status.rpartition(")")[2].split()[1])
        command = Path(f"/proc/{executor}/cmdline").read_bytes()
        assert b"CoarseGrainedExecutorBackend" in command
        mark.touch()
        os.kill(executor, signal.SIGKILL)
        return work()

    return {f.__name__: f for f in (fail, kill_worker, kill_executor)}[kind]


class Harming:
    """Has the first task of a stage come to harm, once."""

    def __init__(self, engine: Engine, stage: str, harm: str, mark: Path) -> None:
        self._engine, self._stage, self._mark = engine, stage, mark
        self._harm = _find_harm(harm)

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields the results of the engine."""
        stage, mark, harm = self._stage, self._mark, self._harm

        def work(value: Any) -> Any:
            kind = "spool" if isinstance(value[1], PartTask) else "shards"
            if kind != stage or mark.exists():
                return task(value)
            return harm(mark, lambda: task(value))

        return self._engine.map(work, values)


def build_with_harm(
    engine: Engine, harm: str, stage: str, case: Case, folder: Path
) -> None:
    """Builds a source, and expects what one machine makes of it."""
    mark = folder / "mark"
    case.build(folder / "data", Harming(engine, stage, harm, mark))
    assert mark.exists()
    assert read_stores(folder / "data") == case.expected


_SPARK = pytest.param("spark", marks=pytest.mark.engines)


@pytest.mark.parametrize("stage", ["spool", "shards"])
@pytest.mark.parametrize("harm", ["fail", "kill_worker"])
@pytest.mark.parametrize("engine", ["dask", _SPARK], indirect=True)
def test_a_task_that_comes_to_harm_is_repeated(
    engine: Engine, harm: str, stage: str, find_case: FindCase, tmp_path: Path
) -> None:
    """A task fails, or its process is killed, with its work done: the same bytes."""
    build_with_harm(engine, harm, stage, find_case("s2", "tar"), tmp_path)


@pytest.mark.parametrize("stage", ["spool", "shards"])
@pytest.mark.parametrize("engine", [_SPARK], indirect=True)
def test_an_executor_that_is_killed(
    engine: Engine, stage: str, find_case: FindCase, tmp_path: Path
) -> None:
    """Its task is repeated, while the first try works on: the same bytes."""
    build_with_harm(engine, "kill_executor", stage, find_case("s2", "tar"), tmp_path)


# Of a thread of Beam's that reads from the worker.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.engines
@pytest.mark.parametrize("engine", ["beam, two processes"], indirect=True)
def test_a_worker_of_beam_is_killed(
    engine: Engine, find_case: FindCase, tmp_path: Path
) -> None:
    """FnApiRunner repeats nothing; the same build goes on with the same bytes."""
    case, folder = find_case("s2", "tar"), tmp_path / "data"
    with pytest.raises(EngineError, match="Beam gave up"):
        build_with_harm(engine, "kill_worker", "shards", case, tmp_path)
    (journal,) = folder.glob("incomplete.*/journal.jsonl")
    assert journal.stat().st_size
    case.build(folder, engine)
    assert read_stores(folder) == case.expected


@pytest.mark.parametrize(
    ("name", "config", "number", "moment"),
    [
        ("dask", "s2", 1, "done"),
        ("dask", "s2", 2, "working"),
        ("dask", "v2-s1s2", 3, "working"),
        pytest.param("spark", "s2", 2, "working", marks=pytest.mark.engines),
        pytest.param("spark", "v2-s1s2", 3, "working", marks=pytest.mark.engines),
    ],
)
def test_a_killed_command_goes_on(
    name: str,
    config: str,
    number: int,
    moment: str,
    find_engine: FindEngine,
    find_case: FindCase,
    tmp_path: Path,
) -> None:
    """A build whose own process is killed goes on, though its workers did not end."""
    case, (text, options) = find_case(config, "tar"), find_engine(name)
    arguments = (f"--engine={text}", "--", *options)
    program = ("-c", _KILLED, str(number), moment)
    killed = case.run(tmp_path, *arguments, program=program)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = case.run(tmp_path, *arguments)
    assert done.returncode == 0, done.stderr
    assert "resuming the build" in done.stderr
    assert read_stores(tmp_path) == case.expected
