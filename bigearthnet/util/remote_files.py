"""Writes, lists and deletes files at a URL, and reads ranges of many at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bigearthnet.errors import DownloadError, OptionError
from bigearthnet.util.remote import RemotePath, repeat
from bigearthnet.util.remote_clients import connect

# Schemes of object stores.
_SCHEMES = ("s3", "gs", "abfs")
# Files that one request deletes (Amazon S3, DeleteObjects), where there is one.
_MOST_DELETED = 1000


def check_object_store(folder: RemotePath, name: str) -> None:
    """Refuses a place whose files cannot be listed and written one by one.

    Args:
        folder: The place.
        name: Name of the option, for the error.

    Raises:
        OptionError: If it is one.
    """
    scheme = folder.target.partition("://")[0]
    if scheme not in _SCHEMES:
        raise OptionError(
            f"{name}: {scheme}:// is no object store: expected a path, or one of "
            f"{', '.join(f'{scheme}://' for scheme in _SCHEMES)}."
        )


def write_file(path: RemotePath, source: Path | bytes) -> None:
    """Writes a file, which appears whole or not at all.

    Args:
        path: The file; one that is there is replaced.
        source: A file of this machine, or the content.

    Raises:
        DownloadError, StoreError: If it cannot be written.
    """

    def write() -> None:
        system, name = connect(path.target)
        if isinstance(source, bytes):
            system.pipe_file(name, source)
        else:
            system.put_file(str(source), name)

    repeat(write, path, "written")


def copy_files(pairs: Sequence[tuple[RemotePath, RemotePath]]) -> None:
    """Copies files within an object store, which carries no byte through here.

    Args:
        pairs: From where and to where, at least one; all are copied at once.

    Raises:
        DownloadError, StoreError: If one cannot be copied.
    """

    def copy() -> None:
        system, _ = connect(pairs[0][0].target)
        sources, targets = (
            [system._strip_protocol(path.target) for path in side]
            for side in zip(*pairs, strict=True)
        )
        system.copy(sources, targets)

    repeat(copy, pairs[0][1], "written")


def has_file(path: RemotePath) -> bool:
    """Whether a file is there, which no cache of a client answers.

    Raises:
        DownloadError: If that cannot be found out.
    """
    folder, _, name = path.target.rpartition("/")
    return bool(RemotePath(folder, folder).read_files([name], 1))


def list_sizes(folder: RemotePath) -> dict[str, int]:
    """Returns the path below a folder of every file in it → its size in bytes.

    Raises:
        DownloadError: If it cannot be listed.
    """

    def find() -> dict[str, int]:
        system, root = connect(folder.target)
        system.invalidate_cache()
        found = system.find(root, detail=True)
        start = len(root.rstrip("/")) + 1
        return {path[start:]: int(info["size"]) for path, info in found.items()}

    with _forgetting(folder):
        return repeat(find, folder, "listed")


def list_names(folder: RemotePath) -> dict[str, bool]:
    """Returns the name of what lies in a folder → whether it is a folder, sorted.

    A request for each thousand of them.

    Raises:
        StoreError: If there is no such folder.
        DownloadError: If it cannot be listed.
    """

    def find() -> dict[str, bool]:
        system, root = connect(folder.target)
        system.invalidate_cache()
        found = system.ls(root, detail=True)
        start = len(root.rstrip("/")) + 1
        names = {e["name"].rstrip("/")[start:]: e["type"] == "directory" for e in found}
        return {name: names[name] for name in sorted(names) if name}

    with _forgetting(folder):
        return repeat(find, folder, "listed")


def remove_files(folder: RemotePath, names: Iterable[str]) -> None:
    """Deletes files below a folder; those that are not there are no error.

    Raises:
        DownloadError: If one cannot be deleted.
    """
    left = [f"{folder.target}/{name}" for name in names]

    def remove(urls: Sequence[str]) -> None:
        system, _ = connect(folder.target)
        with contextlib.suppress(FileNotFoundError):
            system.rm([system._strip_protocol(url) for url in urls])

    for start in range(0, len(left), _MOST_DELETED):
        urls = left[start : start + _MOST_DELETED]
        repeat(lambda urls=urls: remove(urls), folder, "deleted")  # type: ignore[misc]


def read_ranges(ranges: Sequence[tuple[RemotePath, int, int]]) -> list[bytes]:
    """Reads a range of bytes of each of some files of one server, all at once.

    Args:
        ranges: File, first byte, and last byte + 1.

    Raises:
        StoreError: If a file is missing.
        DownloadError: If a range cannot be had, or not whole.
    """
    found: list[bytes] = []
    if not ranges:
        return found
    system, _ = connect(ranges[0][0].target)
    names = [system._strip_protocol(path.target) for path, _, _ in ranges]
    starts, stops = [start for _, start, _ in ranges], [stop for _, _, stop in ranges]
    contents = system.cat_ranges(names, starts, stops, on_error="return")
    for content, (path, start, stop) in zip(contents, ranges, strict=True):
        if isinstance(content, Exception) or len(content) < stop - start:
            content = path.read_range(start, stop)  # which says what is wrong
        found.append(content)
    return found


@contextlib.contextmanager
def _forgetting(folder: RemotePath) -> Iterator[None]:
    """Empties the client's cache of listings, which may be of a million names."""
    try:
        yield
    finally:
        with contextlib.suppress(DownloadError, OptionError):
            connect(folder.target)[0].invalidate_cache()
