"""Runs stage two in child processes, each of which writes one shard at a time.

Threads are no faster than one: for each patch a shard makes a dozen short calls that
release the interpreter lock, and getting it back takes more than a second core saves.
"""

from __future__ import annotations

import io
import pickle
import queue
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Protocol

from bigearthnet.engine import worker
from bigearthnet.engine.shards import ShardPlan, ShardTask, write_shard
from bigearthnet.errors import BigEarthNetError
from bigearthnet.store.result import ShardInfo
from bigearthnet.util import process

# Called with patches and bytes that were done since the last call.
OnProgress = Callable[[int, int], None]


class WorkerError(BigEarthNetError, RuntimeError):
    """Raised when a process that writes shards ends unexpectedly."""


class ShardPool(Protocol):
    """What writes shards; see `WorkerPool.write_shards`."""

    def write_shards(
        self,
        plans: Sequence[ShardPlan],
        make_task: Callable[[ShardPlan], ShardTask],
        on_progress: OnProgress,
    ) -> Iterator[tuple[ShardPlan, ShardInfo]]:
        """Writes shards and yields each as it is finished."""
        ...


class Worker:
    """One child process that writes shards."""

    def __init__(self, pass_fds: Sequence[int] = ()) -> None:
        """Starts the process; its imports run in parallel with the caller.

        Args:
            pass_fds: File descriptors that the process inherits.
        """
        self._process = process.start_script(worker.__file__, pass_fds=pass_fds)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin
        self._output = io.BufferedReader(self._process.stdout)  # type: ignore[type-var]

    def write(self, task: ShardTask, on_progress: OnProgress) -> ShardInfo:
        """Writes one shard; arguments and errors as in `shards.write_shard`.

        Raises:
            WorkerError: If the process ended.
        """
        try:
            message = pickle.dumps(task)
            while message:
                message = message[self._input.write(message) or 0 :]
            while True:
                kind, value = pickle.load(self._output)
                if kind == "done":
                    assert isinstance(value, ShardInfo)
                    return value
                if kind == "error":
                    raise value
                on_progress(*value)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise WorkerError(
                f"the process that wrote {task.plan.name} ended (status "
                f"{self._process.wait()}); it may have run out of memory. Build again "
                "to resume, with fewer --workers if it was the memory."
            ) from None

    def close(self) -> None:
        """Kills the process."""
        process.end(self._process)


class WorkerPool:
    """Writes shards in several processes, or in this one; a context manager."""

    def __init__(self, workers: int, pass_fds: Sequence[int] = ()) -> None:
        """Starts the processes.

        Args:
            workers: How many; with one, everything is done in this process.
            pass_fds: File descriptors that they inherit.
        """
        self._workers: list[Worker] = []
        try:
            while len(self._workers) < workers > 1:
                self._workers.append(Worker(pass_fds))
        except BaseException:
            self.close()
            raise

    def write_shards(
        self,
        plans: Sequence[ShardPlan],
        make_task: Callable[[ShardPlan], ShardTask],
        on_progress: OnProgress,
    ) -> Iterator[tuple[ShardPlan, ShardInfo]]:
        """Writes shards and yields each as it is finished.

        Args:
            plans: The shards.
            make_task: Called with each of them when its turn has come.
            on_progress: Called from any thread, one at a time.

        Raises:
            OSError: If a file cannot be read or written.
            WorkerError: If a process ended.
        """
        if not self._workers:
            for plan in plans:
                yield plan, write_shard(make_task(plan), lambda n: on_progress(1, n))
            return
        free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for idle in self._workers:
            free.put(idle)

        def write(plan: ShardPlan) -> ShardInfo:
            chosen = free.get()
            try:
                return chosen.write(make_task(plan), on_progress)
            finally:
                free.put(chosen)

        threads = ThreadPoolExecutor(len(self._workers))
        try:
            futures = {threads.submit(write, plan): plan for plan in plans}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            self.close()  # unblocks the threads
            raise
        finally:
            threads.shutdown()

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends all processes; may be called more than once."""
        while self._workers:
            self._workers.pop().close()
