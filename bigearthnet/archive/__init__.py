"""The only place that opens sources: an archive or a folder → complete raw patches.

Nothing is extracted. A patch is what its folder holds: exactly its 12 bands and its
JSON, one after another; anything else is an error that names patch and file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np

from bigearthnet.archive.folder import FolderMembers
from bigearthnet.archive.tar import TarMembers
from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.patch import RawPatch, file_names
from bigearthnet.patch_index import PatchIndex

__all__ = ["Member", "Members", "Source", "open_source"]

# Path of the folder that holds a file, name of the file, content.
Member = tuple[str, str, bytes]


class Members(Protocol):
    """The regular files of a source, one after another.

    Attributes:
        nbytes: Bytes of the source file; None for a folder.
        is_compressed: Whether the source is a compressed file.
        position: Bytes of the source file read so far; of a folder, of its files.
        sha256: Checksum of the source file, once it was read to its end; None before,
            and for a folder.
    """

    @property
    def nbytes(self) -> int | None: ...  # noqa: D102
    @property
    def is_compressed(self) -> bool: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def sha256(self) -> str | None: ...  # noqa: D102

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

    def patches(self, index: PatchIndex) -> Iterator[RawPatch]:
        """Yields every patch of the source, in the source's order, in bounded memory.

        Args:
            index: The patches of the release.

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

        for folder, files in _group(self._members, note_folder):
            patch_id = folder.rpartition("/")[2]
            row = index.find(patch_id)
            if row is None:
                raise PatchError(
                    f"not a patch of the release: found {next(iter(files))!r} in the "
                    f"folder {folder!r}. Remove it, or check the source.",
                    patch_id=patch_id or str(self.path),
                    file=next(iter(files)),
                )
            if seen[row]:
                raise PatchError(
                    "the patch comes twice, or its files do not stand together.",
                    patch_id=patch_id,
                    file=next(iter(files)),
                )
            _check_complete(patch_id, files)
            seen[row] = 1
            yield RawPatch(row, patch_id, files)
        empty = np.frombuffer(listed, np.uint8) > np.frombuffer(seen, np.uint8)
        for first in np.flatnonzero(empty)[:1]:
            raise PatchError(
                "the patch folder is empty.", patch_id=index.patch_id(int(first))
            )

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


def _group(
    members: Iterable[Member], note_folder: Callable[[str], None]
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Collects the files of a folder for as long as they stand together."""
    folder, files = "", dict[str, bytes]()
    for here, name, content in members:
        if not name:
            note_folder(here)
            continue
        if here != folder:
            if files:
                yield folder, files
            folder, files = here, {}
        if name in files:
            raise PatchError(
                "the file comes twice.", patch_id=here.rpartition("/")[2], file=name
            )
        files[name] = content
        if len(files) > _MOST_FILES:
            raise PatchError(
                f"too many files: expected 13 in {here!r}.",
                patch_id=here.rpartition("/")[2],
                file=name,
            )
    if files:
        yield folder, files


# Files that are collected of one folder before it is given up on, to bound memory.
_MOST_FILES = 64


def _check_complete(patch_id: str, files: dict[str, bytes]) -> None:
    expected = file_names(patch_id)
    if len(files) == len(expected) and all(name in files for name in expected):
        return
    for name in files:
        if name not in expected:
            raise PatchError(
                "unexpected file: expected the 12 bands and the JSON of the patch, as "
                "the release has them.",
                patch_id=patch_id,
                file=name,
            )
    missing = [name for name in expected if name not in files]
    raise PatchError(
        f"missing file: found {len(files)} of {len(expected)} that stand together. "
        "The patch is incomplete, or its files are scattered over the archive.",
        patch_id=patch_id,
        file=missing[0],
    )
