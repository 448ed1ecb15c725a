"""The only place that opens sources: an archive or a folder → complete raw patches.

Nothing is extracted. A patch is what its folder holds: exactly its 12 bands and its
JSON, one after another; anything else is an error that names patch and file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from bigearthnet.archive import limits
from bigearthnet.archive.folder import FolderMembers
from bigearthnet.archive.tar import TarMembers
from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.patch import RawPatch, file_names
from bigearthnet.patch_index import PatchIndex

__all__ = ["Member", "Members", "OnBad", "Source", "open_source"]

# Path of the folder that holds a file, name of the file, and its content, or what is
# wrong with it.
Member = tuple[str, str, bytes | PatchError]

# Called with what is wrong with a patch, its row in the release's table if it has one,
# and where it stands in the decompressed source, if that is a file.
OnBad = Callable[[PatchError, int | None, int | None], None]


class Members(Protocol):
    """The regular files of a source, one after another.

    Attributes:
        nbytes: Bytes of the source file; None for a folder.
        is_compressed: Whether the source is a compressed file.
        position: Bytes of the source file read so far; of a folder, of its files.
        sha256: Checksum of the source file, once it was read to its end; None before,
            and for a folder.
        offset: Where the header of the latest file stands in the decompressed source;
            None for a folder.
    """

    @property
    def nbytes(self) -> int | None: ...  # noqa: D102
    @property
    def is_compressed(self) -> bool: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def sha256(self) -> str | None: ...  # noqa: D102
    @property
    def offset(self) -> int | None: ...  # noqa: D102

    def __iter__(self) -> Iterator[Member]:
        """Yields every file; for a folder that is listed, its path, no name, b""."""

    def close(self) -> None:
        """Lets go of files and processes."""


class Source(contextlib.AbstractContextManager["Source"]):
    """An opened source; see `open_source`."""

    def __init__(self, path: Path, members: Members) -> None:
        self.path = path
        self._members = members

    @property
    def nbytes(self) -> int | None:
        """Size of the source file in bytes; None for a folder."""
        return self._members.nbytes

    @property
    def is_compressed(self) -> bool:
        """Whether the source is a compressed file."""
        return self._members.is_compressed

    @property
    def position(self) -> int:
        """Bytes of the source file read so far, before decompression."""
        return self._members.position

    @property
    def sha256(self) -> str | None:
        """Checksum of the source file once read to its end; None for a folder."""
        return self._members.sha256

    def patches(
        self,
        index: PatchIndex,
        *,
        on_bad: OnBad | None = None,
        skip: Callable[[int], bool] = lambda row: False,
    ) -> Iterator[RawPatch]:
        """Yields every patch of the source, in the source's order, in bounded memory.

        Args:
            index: The patches of the release.
            on_bad: Called for each patch that cannot be read, which is then left out;
                None raises the error instead. A patch that comes twice is reported
                once more than it is yielded: it is bad as a whole.
            skip: Row of a patch → whether it is passed over, its content unseen;
                it counts as read.

        Raises:
            PatchError: If a patch is incomplete, has other files, is scattered over
                the source, comes twice or is not part of the release.
            ArchiveError: If the source cannot be read to its end.
        """
        seen, listed = bytearray(len(index)), bytearray(len(index))

        def note_folder(folder: str) -> None:
            row = index.find(folder.rpartition("/")[2])
            if row is not None:
                listed[row] = 1

        for group in _group(self._members, note_folder):
            patch_id = group.folder.rpartition("/")[2]
            row = index.find(patch_id)
            error = _find_problem(group, patch_id or str(self.path), row, seen)
            if row is not None:
                seen[row] = 1
            if error is not None:
                _report(error, on_bad, row, group.offset)
            elif row is not None and not skip(row):
                yield RawPatch(row, patch_id, group.files, group.offset)
        empty = np.frombuffer(listed, np.uint8) > np.frombuffer(seen, np.uint8)
        for row in map(int, np.flatnonzero(empty)):
            error = PatchError(
                "the patch folder is empty.", patch_id=index.patch_id(row)
            )
            _report(error, on_bad, row, None)

    def close(self) -> None:
        """Lets go of files and processes."""
        self._members.close()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def open_source(path: Path | str) -> Source:
    """Opens an archive or a folder of patches.

    Args:
        path: A tar file, plain or compressed by gzip or zstd, or a folder that holds
            patch folders, or the parent of one.

    Returns:
        A context manager that yields patches.

    Raises:
        ArchiveError: If there is nothing to read, or it is of another kind.
    """
    path = Path(path)
    if path.is_dir():
        members = FolderMembers(path)
        return Source(members.root, members)
    if path.is_file():
        return Source(path, TarMembers(path))
    raise ArchiveError(f"no source at {path}: expected a tar archive or a folder.")


@dataclass
class _Group:
    """The files of a folder that stand together.

    Attributes:
        folder: Path of the folder.
        offset: Where the first of them stands in the decompressed source; None in a
            folder.
        files: File name → content.
        problem: The first thing that is wrong with them as a group, if any.
        num_dropped: How many of them came after the problem.
    """

    folder: str
    offset: int | None
    files: dict[str, bytes] = field(default_factory=dict)
    problem: PatchError | None = None
    num_dropped: int = 0

    def add(self, name: str, content: bytes | PatchError) -> bool:
        """Takes one more file; after a problem, none is kept.

        Returns:
            Whether this file is the problem.

        Raises:
            ArchiveError: If there is no end of files.
        """
        files = self.files
        if self.problem is not None:
            self.num_dropped += 1
            if self.num_dropped > limits.MAX_FOLDER_FILES:
                raise ArchiveError(
                    f"more than {limits.MAX_FOLDER_FILES} files in {self.folder!r}: "
                    "this is no archive of patches."
                )
        elif isinstance(content, PatchError):
            self.problem = content
            return True
        elif name in files or len(files) == limits.MAX_FILES:
            self.problem = PatchError(
                "the file comes twice."
                if name in files
                else f"too many files: expected 13 in {self.folder!r}.",
                patch_id=self.folder.rpartition("/")[2],
                file=name,
            )
            return True
        else:
            files[name] = content
        return False


def _group(members: Members, note_folder: Callable[[str], None]) -> Iterator[_Group]:
    """Collects the files of a folder for as long as they stand together.

    A group that is found to be bad comes at once, and what follows of it is dropped.
    """
    group: _Group | None = None
    for here, name, content in members:
        if not name and not isinstance(content, PatchError):
            note_folder(here)
            continue
        if group is None or here != group.folder:
            if group is not None and group.problem is None:
                yield group
            group = _Group(here, members.offset)
        if group.add(name, content):
            yield group
    if group is not None and group.problem is None:
        yield group


def _find_problem(
    group: _Group, patch_id: str, row: int | None, seen: bytearray
) -> PatchError | None:
    """Returns what is wrong with the files of a folder, or None."""
    first = next(iter(group.files), None)
    if row is None and group.problem is None:
        return PatchError(
            f"not a patch of the release: found {first!r} in the folder "
            f"{group.folder!r}. Remove it, or check the source.",
            patch_id=patch_id,
            file=first,
        )
    if group.problem is not None:
        return group.problem
    if row is not None and seen[row]:
        return PatchError(
            "the patch comes twice, or its files do not stand together.",
            patch_id=patch_id,
            file=first,
        )
    return _find_missing(patch_id, group.files)


def _report(
    error: PatchError, on_bad: OnBad | None, row: int | None, offset: int | None
) -> None:
    if on_bad is None:
        raise error
    on_bad(error, row, offset)


def _find_missing(patch_id: str, files: dict[str, bytes]) -> PatchError | None:
    expected = file_names(patch_id)
    if len(files) == len(expected) and all(name in files for name in expected):
        return None
    for name in files:
        if name not in expected:
            return PatchError(
                "unexpected file: expected the 12 bands and the JSON of the patch, as "
                "the release has them.",
                patch_id=patch_id,
                file=name,
            )
    missing = [name for name in expected if name not in files]
    return PatchError(
        f"missing file: found {len(files)} of {len(expected)} that stand together. "
        "The patch is incomplete, or its files are scattered over the archive.",
        patch_id=patch_id,
        file=missing[0],
    )
