"""The only place that opens sources: an archive or a folder → complete raw patches.

Nothing is extracted. A patch is what its folder holds: exactly its bands and, where
the archive has one, its JSON, one after another; anything else is an error that names
patch and file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.published import explain
from bigearthnet.source.candidates import suggest
from bigearthnet.source.cut import CutMembers, find_cut
from bigearthnet.source.folder import FolderMembers
from bigearthnet.source.groups import Member, Members, find_problem, group_files
from bigearthnet.source.litter import find_folder
from bigearthnet.source.patch import RawPatch
from bigearthnet.source.tar import TarMembers
from bigearthnet.util.remote import Place, RemotePath

__all__ = ["Member", "Members", "OnBad", "Source", "open_source"]

# Called with what is wrong with a patch, its row in the release's table if it has one,
# and where it is in the decompressed source, if that is a file.
OnBad = Callable[[PatchError, int | None, int | None], None]


class Source(contextlib.AbstractContextManager["Source"]):
    """An opened source; see `open_source`.

    Attributes:
        path: The file or folder.
        archive: The published archive that it is, or is laid out like.
        members: Its files; they know its size, position and checksums.
        empty: Rows of the patches whose folders are empty, if it is part of a source
            of which that is known; None to find out.
    """

    def __init__(
        self,
        path: Path | RemotePath,
        archive: Archive,
        members: Members,
        empty: Sequence[int] | None = None,
    ) -> None:
        self.path, self.archive, self.members = path, archive, members
        self._empty = empty

    def patches(
        self,
        index: PatchIndex,
        *,
        on_bad: OnBad | None = None,
    ) -> Iterator[RawPatch]:
        """Yields every patch of the source, in the source's order, in bounded memory.

        Args:
            index: The patches of the release.
            on_bad: Called for each patch that cannot be read, which is then left out;
                None raises the error instead. A patch that comes twice is yielded
                first and reported then: the caller must give up the first copy, too.

        Raises:
            PatchError: If a patch is incomplete, has other files, is scattered over
                the source, comes twice or is not part of the release.
            ArchiveError: If the source cannot be read to its end.
        """
        seen, listed = bytearray(len(index)), bytearray(len(index))
        names = index.names(self.archive.ids)

        def note_folder(folder: str) -> None:
            row = names.find(folder.rpartition("/")[2])
            if row is not None and find_folder(folder) is None:
                listed[row] = 1

        archive = self.archive
        for group in group_files(self.members, note_folder):
            name = group.folder.rpartition("/")[2]
            row = names.find(name)
            if row is None and archive.spare_suffix and archive.ids.matches(name):
                kind = f"patches that {index.release.name} does not have"
                self.members.litter.counts[kind] += 1
                continue
            error = find_problem(group, archive, name or str(self.path), row, seen)
            if row is not None:
                seen[row] = 1
            if error is not None:
                _report(error, on_bad, row, group.offset)
            elif row is not None:
                yield RawPatch(row, name, group.files, group.offset)
        empty: Iterable[int] = self._empty or ()
        if self._empty is None:
            unseen = np.frombuffer(listed, np.uint8) > np.frombuffer(seen, np.uint8)
            empty = map(int, np.flatnonzero(unseen))
        for row in empty:
            error = PatchError("the patch folder is empty.", patch_id=names.name(row))
            _report(error, on_bad, row, None)

    def check_kind(self) -> None:
        """Checks that the first patch has a file that patches of this archive have.

        It reads the beginning: patches cannot be read afterwards.

        Raises:
            ArchiveError: If it has none, as in another archive; or cannot be read.
        """
        group = next(group_files(self.members, lambda folder: None), None)
        if group is None:
            return
        name = group.folder.rpartition("/")[2]
        expected = self.archive.file_names(name)
        if group.files and not any(file in expected for file in group.files):
            found = next(iter(group.files))
            raise ArchiveError(
                f"{self.path} is not the archive {self.archive.name}: it begins with "
                f"{found!r} in the folder {group.folder!r}; expected {expected[0]!r} "
                f"there.{explain(name, found, archive=self.archive)}"
            )

    def close(self) -> None:
        """Closes files and ends processes."""
        self.members.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def open_source(path: Place | str, archive: Archive, decompressors: int = 1) -> Source:
    """Opens an archive or a folder of patches.

    Args:
        path: A tar file, plain or compressed by gzip or zstd; a folder that holds
            patch folders, or the parent of one; or one with the parts of an archive
            that was cut, which are read one after another (see `cut`).
        archive: The published archive that it is, or is laid out like.
        decompressors: Threads that decompress a file compressed by gzip, with the
            extra [rapidgzip]; others are decompressed by one.

    Returns:
        A context manager that yields patches.

    Raises:
        ArchiveError: If there is nothing to read, or it is of another kind; or it is at
            a URL, where sources are read in parts alone.
        OptionError: If there are several decompressors, and the extra is not installed.
    """
    if isinstance(path, RemotePath):
        raise ArchiveError(f"{path} is at a URL, where it is read in parts alone.")
    path = Path(path)
    if parts := find_cut(path, archive):
        return Source(path, archive, CutMembers(parts, archive, decompressors))
    if path.is_dir():
        try:
            members = FolderMembers(path, archive)
        except ArchiveError as cause:
            raise ArchiveError(f"{cause}{suggest(path, archive)}") from None
        return Source(members.root, archive, members)
    if path.is_file():
        return Source(path, archive, TarMembers(path, archive, decompressors))
    raise ArchiveError(
        f"no source at {path}: expected a tar archive or a folder."
        f"{suggest(path, archive)}"
    )


def _report(
    error: PatchError, on_bad: OnBad | None, row: int | None, offset: int | None
) -> None:
    if on_bad is None:
        raise error
    on_bad(error, row, offset)
