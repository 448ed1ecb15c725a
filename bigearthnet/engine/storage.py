"""Where tasks of an engine leave what they make: a folder that all see, or a URL.

A try works in a scratch folder, and delivers what is whole. Between folders of one disk
that is a renaming. At a URL, where each file appears whole by itself, it is sent; and
what a shard needs of the spools is fetched first: one range of each bucket.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bigearthnet.engine.remote_work import build_is_over
from bigearthnet.engine.shards import ShardTask
from bigearthnet.engine.spool import bucket_path
from bigearthnet.errors import DiskSpaceError, JournalError, StoreError
from bigearthnet.util import remote_files
from bigearthnet.util.files import sync_folder
from bigearthnet.util.locks import try_lock
from bigearthnet.util.remote import Place, RemotePath

# Ranges that are fetched at once, of some MB each.
_RANGES_AT_ONCE = 16
# How scratch folders begin, in the folder for temporary files of a machine.
_SCRATCH = "bigearthnet-try-"


def has_file(path: Place) -> bool:
    """Whether there is a file."""
    return path.exists() if isinstance(path, Path) else remote_files.has_file(path)


def list_sizes(folder: Place) -> dict[str, int]:
    """Returns the path below a folder of every file in it → its size in bytes.

    Raises:
        OSError: If it cannot be listed.
    """
    if isinstance(folder, RemotePath):
        return remote_files.list_sizes(folder)
    return {
        path.relative_to(folder).as_posix(): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }


def remove_file(folder: Place, name: str) -> None:
    """Deletes a file below a folder, if it is there.

    Raises:
        OSError: If it cannot be deleted.
    """
    if isinstance(folder, RemotePath):
        remote_files.remove_files(folder, [name])
    else:
        (folder / name).unlink(missing_ok=True)


@contextmanager
def open_scratch(attempts: Place) -> Iterator[Path]:
    """Makes an empty folder for one try of a task; a context manager that deletes it.

    Also for the driver of a build at a URL.

    Args:
        attempts: The folder in which tries write, and which lies on the disk that their
            results go to; or, for results that are sent, what is there as long as the
            build: then a folder of this machine is made.

    Raises:
        DiskSpaceError: If a folder of this machine has no space left for it, or for
            what is written there.
        OSError: If it cannot be made.
    """
    if isinstance(attempts, Path):
        folder = Path(tempfile.mkdtemp(dir=attempts))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    _remove_scratch_of_killed()
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
    lock = os.open(folder, os.O_RDONLY)
    try:
        try_lock(lock, folder)
        (made := folder / "try").mkdir()
        yield made
    except OSError as cause:
        if cause.errno != errno.ENOSPC:
            raise
        raise DiskSpaceError(
            f"no space is left in {folder.parent}, the folder for temporary files of "
            f"{platform.node()}, where a task needs some GB: free some, or have TMPDIR "
            "name another folder. Then run the same command again."
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _remove_scratch_of_killed() -> None:
    """Deletes what tries of this machine left whose processes were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        try:
            file = os.open(folder, os.O_RDONLY)
        except OSError:  # gone by now, or of another user
            continue
        try:
            if (folder / "try").exists() and try_lock(file, folder):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(file)


def deliver(folder: Path, names: Sequence[str], target: Place, attempts: Place) -> None:
    """Gives files of a scratch folder the places that depend on their task alone.

    Args:
        folder: The scratch folder; its files are durable.
        names: Their paths below it, also below the target, in this order.
        target: The folder.
        attempts: As of `open_scratch`.

    Raises:
        EngineError: If the build is over, or was discarded.
        OSError: If one cannot be renamed or sent, also since the build is over.
    """
    for name in names:
        if isinstance(target, RemotePath):
            if not has_file(attempts):
                raise build_is_over(target)
            remote_files.write_file(target / name, folder / name)
            continue
        made = target / name
        if made.parent != target:
            made.parent.mkdir(exist_ok=True)  # of a store that is there still
        (folder / name).rename(made)
        sync_folder(made.parent)
        sync_folder(target)


def fetch_spools(task: ShardTask, folder: Path) -> ShardTask:
    """Fetches the records of a shard from spools at a URL.

    Args:
        task: The shard. The buckets of its spools are in the order of keys.
        folder: An empty folder, which gets a spool for each source, of one bucket.

    Returns:
        The same shard of these spools.

    Raises:
        JournalError: If a bucket is missing.
        DownloadError: If one cannot be had.
        OSError: If it cannot be written.
    """
    plan, places = task.plan, task.plan.places.copy()
    spools = []
    for source, spool in enumerate(task.spools):
        assert isinstance(spool, RemotePath)
        of = places[source]
        ranges, end = [], 0
        for bucket in plan.buckets(source):
            mine = of["bucket"] == bucket
            start = int(of["offset"][mine].min())
            stop = int((of["offset"][mine] + of["nbytes"][mine]).max())
            ranges.append((bucket_path(spool, plan.split, bucket), start, stop))
            of["offset"][mine] += np.uint64(end) - np.uint64(start)  # modulo 2^64
            end += stop - start
        of["bucket"] = 0
        spools.append(folder / f"{source}")
        spools[-1].mkdir()
        _fetch(ranges, bucket_path(spools[-1], plan.split, 0))
    moved = dataclasses.replace(plan, places=places)
    return dataclasses.replace(task, plan=moved, spools=spools)


def _fetch(ranges: Sequence[tuple[RemotePath, int, int]], path: Path) -> None:
    """Writes ranges of files at a URL into one file, one after another."""
    with path.open("xb") as file:
        for first in range(0, len(ranges), _RANGES_AT_ONCE):
            try:
                contents = remote_files.read_ranges(
                    ranges[first : first + _RANGES_AT_ONCE]
                )
            except StoreError as cause:
                raise JournalError(
                    f"a bucket of the spool is gone, also if another command has "
                    f"finished or discarded the build: {cause} Run the same command "
                    "again, which tells."
                ) from None
            for content in contents:
                file.write(content)
