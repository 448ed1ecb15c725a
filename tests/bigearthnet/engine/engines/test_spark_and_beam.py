from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.engines import Engine, open_engine, run_tasks
from bigearthnet.errors import EngineError, OptionError, PatchError

_OPTIONS = {
    # A master and two executors, processes of their own.
    "spark": ["spark.master=local-cluster[2,1,512]", "spark.executor.memory=512m"],
    "beam": [],
    "beam, two processes": [
        "--direct_num_workers=2",
        "--direct_running_mode=multi_processing",
    ],
}
_PACKAGES = {"spark": "pyspark", "beam": "apache_beam"}

pytestmark = pytest.mark.engines


def _open(name: str) -> Any:
    text = name.partition(",")[0]
    if find_spec(_PACKAGES[text]) is None:
        pytest.skip(f"{text} is not installed")
    return open_engine(text, _OPTIONS[name])


@pytest.fixture(scope="module", params=_OPTIONS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Each engine, its session kept for all tests."""
    with _open(request.param) as opened:
        yield opened


def _task(kind: str) -> Callable[[Any], Any]:
    """Returns a function that workers need not import: they lack this module."""

    def square(value: int) -> int:
        return value**2

    def refuse(value: int) -> int:
        raise PatchError("damaged.", patch_id=f"patch-{value}")

    def fail(value: int) -> int:
        raise OSError(5, "the disk is broken")

    def die_once(path: Path) -> str:
        if not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return path.name

    return {f.__name__: f for f in (square, refuse, fail, die_once)}[kind]


def test_every_result_comes_once(engine: Engine) -> None:
    """Each task comes back once, and nothing from no tasks."""
    values = {str(value): value for value in range(30)}
    found = list(run_tasks(engine, _task("square"), values))
    assert sorted(found) == sorted((name, value**2) for name, value in values.items())
    assert list(run_tasks(engine, _task("square"), {})) == []


def test_our_errors_arrive(engine: Engine) -> None:
    """An error of ours in a worker ends the run as it was raised."""
    with pytest.raises(PatchError) as found:
        list(run_tasks(engine, _task("refuse"), {"a": 2}))
    assert found.value.patch_id == "patch-2"


def test_a_task_that_always_fails_is_given_up(engine: Engine) -> None:
    """A task that always fails is one error, which says what the task raised."""
    with pytest.raises(EngineError, match="the disk is broken"):
        list(run_tasks(engine, _task("fail"), {"a": 1}))


def test_spark_repeats_the_task_of_a_killed_worker(tmp_path: Path) -> None:
    """A task whose Python worker is killed is done again."""
    with _open("spark") as engine:
        values = {name: tmp_path / name for name in ("a", "b")}
        values["b"].touch()
        found = dict(run_tasks(engine, _task("die_once"), values))
    assert found == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("text", "option", "problem"),
    [
        ("spark", "--master=local", "spark.master"),
        ("beam", "--runner=DirectRunner", "FnApiRunner"),
        ("beam", "--direct_running_mode=multi_threading", "loses elements"),
        ("beam", "--runner=DataflowRunner", "--temp_location"),
    ],
)
def test_options_are_checked(text: str, option: str, problem: str) -> None:
    """What cannot be honoured is refused before anything starts."""
    if find_spec(_PACKAGES[text]) is None:
        pytest.skip(f"{text} is not installed")
    with pytest.raises(OptionError, match=problem), open_engine(text, [option]):
        pass
