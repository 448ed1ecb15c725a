"""Groups the files of a source by patch folder, and finds what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import Archive
from bigearthnet.release.published import explain
from bigearthnet.source import limits
from bigearthnet.source.litter import Litter

# Path of the folder that holds a file, name of the file, and its content, or what is
# wrong with it.
Member = tuple[str, str, bytes | PatchError]

# Stands between the files of two archives that hold a source together; no member of an
# archive has this path.
NEXT_FILE: Member = ("/", "", b"")


class Members(Protocol):
    """The regular files of a source, one after another.

    Attributes:
        nbytes: Bytes of the source file; None for a folder.
        is_compressed: Whether the source is a compressed file.
        position: Bytes of the source file read so far; of a folder, of its files.
        digests: Checksums of the source file by algorithm, once it was read to its
            end; empty before, and for a folder.
        offset: Where the header of the latest file is in the decompressed source, or
            in its part of a cut archive; None for a folder.
        litter: What other programs left in the source, which is not among its files.
    """

    @property
    def nbytes(self) -> int | None: ...  # noqa: D102
    @property
    def is_compressed(self) -> bool: ...  # noqa: D102
    @property
    def position(self) -> int: ...  # noqa: D102
    @property
    def digests(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def offset(self) -> int | None: ...  # noqa: D102
    @property
    def litter(self) -> Litter: ...  # noqa: D102

    def __iter__(self) -> Iterator[Member]:
        """Yields every file; for a folder that is listed, its path, no name, b"".

        Also `NEXT_FILE`, where the files of a patch end if it is not whole.
        """

    def close(self) -> None:
        """Closes files and ends processes."""


@dataclass
class Group:
    """Files of one folder that follow one another in the source.

    Attributes:
        folder: Path of the folder.
        offset: Where the first of them is in the decompressed source; None in a
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
            ArchiveError: If the folder has too many files.
        """
        files = self.files
        if self.problem is not None:
            self.num_dropped += 1
            check_number_of_files(self.num_dropped, self.folder)
        elif isinstance(content, PatchError):
            self.problem = content
            return True
        elif name in files or len(files) == limits.MAX_FILES:
            self.problem = PatchError(
                "the file comes twice."
                if name in files
                else f"too many files in {self.folder!r}: expected those of one patch.",
                patch_id=self.folder.rpartition("/")[2],
                file=name,
            )
            return True
        else:
            files[name] = content
        return False


def group_files(
    members: Members, note_folder: Callable[[str], None]
) -> Iterator[Group]:
    """Collects the files of a folder for as long as they follow one another.

    A group with a problem is yielded at once, and its further files are dropped.

    Args:
        members: The files.
        note_folder: Called with each folder that is listed.

    Raises:
        ArchiveError: If the source cannot be read to its end.
    """
    group: Group | None = None
    for here, name, content in members:
        if not name and not isinstance(content, PatchError):
            if (here, name, content) == NEXT_FILE:
                if group is not None and group.problem is None:
                    yield group
                group = None
            else:
                note_folder(here)
            continue
        if group is None or here != group.folder:
            if group is not None and group.problem is None:
                yield group
            group = Group(here, members.offset)
        if group.add(name, content):
            yield group
    if group is not None and group.problem is None:
        yield group


def check_number_of_files(count: int, folder: str) -> None:
    """Checks that a folder may be one of a patch, good or bad.

    Raises:
        ArchiveError: If it has far too many files.
    """
    if count > limits.MAX_FOLDER_FILES:
        raise ArchiveError(
            f"more than {limits.MAX_FOLDER_FILES} files in {folder!r}: this is no "
            "archive of patches. Check the source."
        )


def find_problem(
    group: Group, archive: Archive, patch_id: str, row: int | None, seen: bytearray
) -> PatchError | None:
    """Returns what is wrong with the files of a folder, or None.

    Args:
        group: The files.
        archive: The archive that they are of.
        patch_id: What it calls the patch that they should be.
        row: Its row in the release's table, or None if it has none.
        seen: Nonzero for each row that came before.
    """
    first = next(iter(group.files), None)
    if first is None and group.problem is not None:
        first = group.problem.file
    names = (patch_id, first or "")
    known = explain(*names, archive=archive) if row is None else ""
    if known or (row is None and group.problem is None):
        return PatchError(
            f"not a patch of the release: found {first!r} in the folder "
            f"{group.folder!r}.{known or ' Remove it, or check the source.'}",
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
    return _find_missing(archive, patch_id, group.files)


def _find_missing(
    archive: Archive, patch_id: str, files: dict[str, bytes]
) -> PatchError | None:
    expected = archive.file_names(patch_id)
    if archive.spare_suffix and f"{patch_id}{archive.spare_suffix}" in files:
        expected = (*expected, f"{patch_id}{archive.spare_suffix}")
    if len(files) == len(expected) and all(name in files for name in expected):
        return None
    for name in files:
        if name not in expected:
            return PatchError(
                f"unexpected file: expected the {len(expected)} files of the patch, as "
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
