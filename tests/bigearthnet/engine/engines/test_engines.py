from __future__ import annotations

import ctypes
import pickle
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bigearthnet.engine import engines, identity
from bigearthnet.engine.engines import LocalEngine, dask, open_engine, run_tasks
from bigearthnet.errors import EngineError, OptionError, PatchError


class _Faulty:
    """An engine that does with the results whatever a test wants."""

    def __init__(self, change: Callable[[list[Any]], list[Any]]) -> None:
        self._change = change

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        return iter(self._change([task(value) for value in values]))


def square(value: int) -> int:
    """Returns the square."""
    return value**2


def refuse(value: int) -> int:
    """Raises an error of ours."""
    raise PatchError("damaged.", patch_id=f"patch-{value}")


@pytest.mark.parametrize(
    ("text", "options"),
    [("ray", []), ("dask", []), ("dask://", []), ("local", ["--fast"])],
)
def test_engines_that_do_not_exist_are_refused(text: str, options: list[str]) -> None:
    """An unknown engine, or an option that it does not take, is an error."""
    with pytest.raises(OptionError):
        open_engine(text, options)


def test_every_task_is_named() -> None:
    """Each result comes with the name of its task."""
    with open_engine("local", []) as engine:
        found = dict(run_tasks(engine, square, {"a": 2, "b": 3}))
    assert found == {"a": 4, "b": 9}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda results: results[1:], "lost 1 of 2 tasks, a "),
        (lambda results: results + results[:1], "task a back twice"),
    ],
)
def test_tasks_are_counted(
    change: Callable[[list[Any]], list[Any]], problem: str
) -> None:
    """An engine that loses a task, or gives one twice, is an error that names it."""
    with pytest.raises(EngineError, match=problem):
        list(run_tasks(_Faulty(change), square, {"a": 2, "b": 3}))


def test_our_errors_arrive_as_they_were() -> None:
    """An error of ours comes whole through an engine, which has not to know it."""
    with pytest.raises(PatchError, match="damaged") as found:
        list(run_tasks(LocalEngine(), refuse, {"a": 2}))
    assert found.value.patch_id == "patch-2"


def test_workers_have_the_same_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker with another version of a package is an error that names both."""

    class Elsewhere:
        def map(self, task: Any, values: Sequence[Any]) -> Iterator[Any]:
            task = pickle.loads(pickle.dumps(task))
            others = {"numpy": "1.0", "pyarrow": None}
            found = {**identity.find_versions(), **others}
            monkeypatch.setattr(engines, "find_versions", lambda: found)
            yield from map(task, values)

    here = identity.find_versions()
    with pytest.raises(EngineError) as error:
        list(run_tasks(Elsewhere(), square, {"a": 2}))
    assert f"numpy 1.0, here {here['numpy']};" in str(error.value)
    assert f"pyarrow missing, here {here['pyarrow']}." in str(error.value)


@pytest.mark.parametrize("has_mallopt", [True, False])
def test_workers_of_dask_keep_memory(
    has_mallopt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Glibc is told once to keep what a patch takes; another libc is left alone."""
    calls: list[tuple[int, int]] = []
    functions = {"mallopt": lambda *args: calls.append(args)} if has_mallopt else {}
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(**functions))
    dask.keep_memory.cache_clear()
    for _ in range(2):
        dask.keep_memory()
    dask.keep_memory.cache_clear()
    assert calls == ([(-1, 2**27), (-3, 2**25)] if has_mallopt else [])


def test_a_scheduler_that_is_not_there() -> None:
    """Without a scheduler at the address, an error says how to start one."""
    pytest.importorskip("distributed")
    options = ["distributed.comm.timeouts.connect=100ms"]
    with (
        pytest.raises(EngineError, match=r"127\.0\.0\.1:1 .*dask scheduler"),
        open_engine("dask://127.0.0.1:1", options),
    ):
        pass
