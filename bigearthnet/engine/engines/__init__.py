"""Engines: what runs a function over values, on this machine or on many.

An engine has to do one thing, with its own retries. That every task was done, and once,
is checked here, for all of them.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bigearthnet.engine.identity import find_versions
from bigearthnet.errors import (
    BigEarthNetError,
    DownloadError,
    EngineError,
    OptionError,
)

T = TypeVar("T")
R = TypeVar("R")

# What `open_engine` takes, as messages show it.
ENGINES = ("local", "dask://HOST:PORT", "spark", "beam")


class Engine(Protocol):
    """Runs a function over values."""

    def map(self, task: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
        """Yields what the task returns for each value, in any order, each once.

        Args:
            task: A function that can be pickled, and may run several times for a value,
                at the same time even. What it raises is worth another try.
            values: Values that can be pickled, small ones.

        Raises:
            EngineError: If the engine cannot be reached, or gives up a task.
        """
        ...


class LocalEngine:
    """Runs the tasks one after another in this process, each once."""

    def map(self, task: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
        """Yields the results in the order of the values; see `Engine.map`."""
        return map(task, values)


def open_engine(text: str, options: Sequence[str]) -> AbstractContextManager[Engine]:
    """Returns a context manager that gives an engine.

    Args:
        text: One of `ENGINES`.
        options: The engine's own options, each as it was typed behind `--`.

    Raises:
        OptionError: If there is no such engine, it does not take these options, or its
            package is not installed.
    """
    name, _, address = text.partition("://")
    if text == "local":
        if options:
            raise OptionError(
                f"unexpected argument {options[0]!r}: the engine local takes none."
            )
        return nullcontext(LocalEngine())
    if name == "dask" and address:
        from bigearthnet.engine.engines.dask import open_dask

        return open_dask(address, options)
    if text == "spark":
        from bigearthnet.engine.engines.spark import open_spark

        return open_spark(options)
    if text == "beam":
        from bigearthnet.engine.engines.beam import open_beam

        return open_beam(options)
    raise OptionError(f"engine: expected one of {', '.join(ENGINES)}, got {text!r}.")


def run_tasks(
    engine: Engine, task: Callable[[T], R], values: Mapping[str, T]
) -> Iterator[tuple[str, R]]:
    """Yields the name and the result of every task, in any order.

    Args:
        engine: Runs them.
        task: See `Engine.map`. An error of ours is the same at every try, so that no
            engine gets to see it; only a `DownloadError` is tried again.
        values: Name of each task → its value.

    Raises:
        BigEarthNetError: What a task raised, as it was raised.
        EngineError: If the engine gives up a task, loses one, or gives one twice, or
            a worker has other versions of packages than this process.
    """
    missing = set(values)
    named = _Named(task, find_versions())
    for name, result in engine.map(named, list(values.items())):
        if isinstance(result, BigEarthNetError):
            raise result
        if name not in missing:
            raise EngineError(
                f"the engine gave the task {name} back twice, or was never given it. "
                "Nothing was published: run the same command again."
            )
        missing.remove(name)
        yield name, result
    if missing:
        raise EngineError(
            f"the engine lost {len(missing):,} of {len(values):,} tasks, "
            f"{min(missing)} among them. Nothing was published: run the same command "
            "again."
        )


@dataclass(frozen=True)
class _Named:
    """A task that says which one it is, and returns our errors in place of a result.

    It checks first that packages have the versions of the process that made it.
    """

    task: Callable[[Any], Any]
    versions: Mapping[str, str | None]

    def __call__(self, item: tuple[str, Any]) -> tuple[str, Any]:
        name, value = item
        try:
            _check_versions(self.versions)
            return name, self.task(value)
        except DownloadError:
            raise
        except BigEarthNetError as error:
            return name, error


def _check_versions(expected: Mapping[str, str | None]) -> None:
    found = find_versions()
    others = [
        f"{name} {found.get(name) or 'missing'}, here {version or 'missing'}"
        for name, version in expected.items()
        if found.get(name) != version
    ]
    if others:
        raise EngineError(
            f"a worker on {platform.node()} has other versions: {'; '.join(others)}. "
            "The bytes of shards depend on them: install the same there, start the "
            "workers anew, then run the same command again."
        )
