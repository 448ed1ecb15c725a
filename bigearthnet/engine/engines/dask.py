"""Dask: a scheduler that is running already, with its workers.

Where it is encrypted, what `dask.config` says (`distributed.comm.default-scheme=tls`)
holds here, too.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bigearthnet.errors import EngineError, OptionError
from bigearthnet.util.command import check_packages

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

# Times that a task is tried again after an error; that of a worker which died is moved
# by the scheduler (`distributed.scheduler.allowed-failures`).
_RETRIES: Final = 3


# Parameters of glibc's malloc, and what its own defaults grow to at most, in bytes
# (mallopt(3)). Dask's nanny has workers give memory back from 64 KiB on, and fixes the
# other at 128 KiB: a patch is larger, and would be fetched from the system each time.
_MALLOC: Final = {-1: 128 << 20, -3: 32 << 20}  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


@dataclass(frozen=True)
class _Keeping:
    """A task whose process keeps the memory that it has used."""

    task: Callable[[Any], Any]

    def __call__(self, value: Any) -> Any:
        keep_memory()
        return self.task(value)


@functools.cache
def keep_memory() -> None:
    """Has malloc keep freed memory for what comes next, where it is glibc's."""
    with suppress(AttributeError, OSError, TypeError):  # another library
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, nbytes in _MALLOC.items():
            mallopt(parameter, nbytes)


class DaskEngine:
    """Runs tasks on the workers of a scheduler."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def map(self, task: Callable[[T], R], values: Sequence[T]) -> Iterator[R]:
        """Yields each result as it comes; see `Engine.map`.

        Raises:
            EngineError: If Dask gives up a task.
        """
        from distributed import as_completed

        loop = self._client.loop
        futures = self._client.map(_Keeping(task), values, pure=False, retries=_RETRIES)
        try:
            for future, result in as_completed(futures, loop, with_results=True):
                future.release()
                yield result
        except Exception as cause:
            raise EngineError(
                f"Dask gave up a task after {_RETRIES + 1} tries ({cause!r}). Look at "
                "the logs of its workers, then run the same command again."
            ) from cause
        finally:
            self._client.cancel(futures)


@contextmanager
def open_dask(address: str, options: Sequence[str]) -> Iterator[DaskEngine]:
    """Connects to a scheduler; a context manager.

    Args:
        address: Its HOST:PORT.
        options: Settings of `dask.config`, each NAME=VALUE.

    Raises:
        OptionError: If an option is none, or the extra [dask] is not installed.
        EngineError: If no scheduler answers.
    """
    check_packages("dask", "distributed")
    pairs = [option.partition("=") for option in options]
    for option, (name, sign, _) in zip(options, pairs, strict=True):
        if not sign or "." not in name or name.startswith("-"):
            raise OptionError(
                "options of Dask: expected NAME=VALUE with a name of its "
                "configuration, such as distributed.comm.timeouts.connect=60s, got "
                f"{option!r}."
            )
    import dask
    from distributed import Client

    with dask.config.set({name: value for name, _, value in pairs}):
        try:
            client = Client(address, set_as_default=False)
        except (OSError, ValueError) as cause:
            raise EngineError(
                f"no Dask scheduler answers at {address} ({cause}). Start one with "
                "dask scheduler, and workers with dask worker."
            ) from cause
        with client:
            yield DaskEngine(client)
