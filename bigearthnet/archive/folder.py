"""Reads patches from a folder: one that holds patch folders, or its parent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from bigearthnet.archive.limits import MAX_FILE_NBYTES
from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.patch import PatchId


class FolderMembers:
    """The files of every patch folder, in the order of names; see `Members`."""

    nbytes: int | None = None
    is_compressed = False
    sha256: str | None = None

    def __init__(self, path: Path) -> None:
        """Finds the folder that holds the patch folders.

        Raises:
            ArchiveError: If neither the folder nor one of its folders holds patches.
        """
        self.position = 0
        self.root = _find_root(path)

    def __iter__(self) -> Iterator[tuple[str, str, bytes]]:
        """Yields folder, file name and content of every file.

        Raises:
            PatchError: If something that is not a regular file, or a file larger than
                a patch's can be, lies where patches lie.
            ArchiveError: If the operating system cannot read a file.
        """
        try:
            for name in sorted(os.listdir(self.root)):
                yield from self._read_patch(name)
        except OSError as cause:
            if isinstance(cause, ArchiveError):
                raise
            raise ArchiveError(f"cannot read {cause.filename}: {cause}") from None

    def _read_patch(self, name: str) -> Iterator[tuple[str, str, bytes]]:
        folder = os.path.join(self.root, name)
        if not os.path.isdir(folder):
            raise PatchError(
                f"not a patch folder: {folder} lies beside patches. Remove it.",
                patch_id=name,
            )
        with os.scandir(folder) as entries:
            found = list(entries)
        if not found:
            raise PatchError("the patch folder is empty.", patch_id=name)
        for entry in found:
            if not entry.is_file():
                raise PatchError("not a regular file.", patch_id=name, file=entry.name)
            with open(entry.path, "rb") as file:
                content = file.read(MAX_FILE_NBYTES + 1)
            if len(content) > MAX_FILE_NBYTES:
                raise PatchError(
                    f"larger than {MAX_FILE_NBYTES} bytes.",
                    patch_id=name,
                    file=entry.name,
                )
            self.position += len(content)
            yield name, entry.name, content

    def close(self) -> None:
        """Has nothing to let go of."""


def _find_root(path: Path) -> Path:
    if _holds_patches(path):
        return path
    roots = [child for child in sorted(path.iterdir()) if child.is_dir()]
    roots = [child for child in roots if _holds_patches(child)]
    if len(roots) != 1:
        found = f"{len(roots)} folders with" if roots else "no"
        raise ArchiveError(
            f"{found} patch folders in {path}: expected a folder that holds folders "
            "named like S2A_MSIL2A_20170613T101031_87_48, or its parent."
        )
    return roots[0]


def _holds_patches(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(entry.is_dir() and _is_patch_id(entry.name) for entry in entries)


def _is_patch_id(name: str) -> bool:
    try:
        PatchId.parse(name)
    except PatchError:
        return False
    return True
