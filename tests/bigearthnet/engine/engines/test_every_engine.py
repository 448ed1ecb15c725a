"""What all engines that are installed do alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.engines import Engine, open_engine, run_tasks
from bigearthnet.errors import DownloadError, EngineError, OptionError, PatchError
from tests.bigearthnet.engine.engines.clusters import check_installed


def _task(kind: str) -> Callable[[Any], Any]:
    """Returns a function that workers need not import: they lack this module."""

    def square(value: int) -> int:
        return value**2

    def refuse(value: int) -> int:
        raise PatchError("damaged.", patch_id=f"patch-{value}")

    def fail(value: int) -> int:
        raise OSError(5, "the disk is broken")

    def fail_once(path: Path) -> str:
        if not path.exists():
            path.touch()
            raise DownloadError("the server is busy.")
        return path.name

    return {f.__name__: f for f in (square, refuse, fail, fail_once)}[kind]


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


@pytest.mark.parametrize(
    "engine",
    ["dask", pytest.param("spark", marks=pytest.mark.engines)],
    indirect=True,
)
def test_what_a_busy_server_refused_is_tried_again(
    engine: Engine, tmp_path: Path
) -> None:
    """A download that fails is the one error of ours that is worth another try."""
    values = {name: tmp_path / name for name in ("a", "b")}
    values["b"].touch()
    found = dict(run_tasks(engine, _task("fail_once"), values))
    assert found == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("text", "option", "problem"),
    [
        ("dask://127.0.0.1:1", "--retries=2", "NAME=VALUE"),
        ("dask://127.0.0.1:1", "fast", "NAME=VALUE"),
        ("dask://127.0.0.1:1", "threads=2", "NAME=VALUE"),
        ("spark", "--master=local", "spark.master"),
        ("beam", "--runner=DirectRunner", "FnApiRunner"),
        ("beam", "--direct_running_mode=multi_threading", "loses elements"),
        ("beam", "--runner=DataflowRunner", "--temp_location"),
    ],
)
@pytest.mark.engines
def test_options_are_checked(text: str, option: str, problem: str) -> None:
    """What cannot be honoured is refused before anything starts."""
    check_installed(text)
    with pytest.raises(OptionError, match=problem), open_engine(text, [option]):
        pass
