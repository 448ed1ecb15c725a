"""Reads patches from a folder: one that holds patch folders, or its parent."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from bigearthnet.errors import ArchiveError, PatchError
from bigearthnet.release import Archive
from bigearthnet.release.published import explain
from bigearthnet.source.groups import check_number_of_files
from bigearthnet.source.limits import MAX_FILE_NBYTES, MAX_FILES
from bigearthnet.source.litter import FOLDERS, Litter, find_folder

# A link is not followed, nor a pipe waited for, if one takes a file's place.
_OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FolderMembers:
    """The files of every patch folder, in the order of names; see `Members`."""

    nbytes: int | None = None
    is_compressed = False
    digests: Mapping[str, str] = MappingProxyType({})
    offset: int | None = None

    def __init__(self, path: Path, archive: Archive) -> None:
        """Finds the folder that holds what is at the top of the archive.

        Args:
            path: A folder, or its parent.
            archive: The archive that it is laid out like.

        Raises:
            ArchiveError: If neither the folder nor one of its folders holds patches.
        """
        self._start(find_root(path, archive), archive)
        self._levels = find_levels(self.root, archive) or 0

    def _start(self, root: Path, archive: Archive) -> None:
        self.position = 0
        self.litter = Litter(archive)
        self.root, self._archive = root, archive

    def __iter__(self) -> Iterator[tuple[str, str, bytes | PatchError]]:
        """Yields folder, file name and content of every file.

        In place of the content stands a PatchError if something that is not a regular
        file (a link, too), or a file larger than a patch's can be, or has a name that
        cannot be shown, lies where patches lie.

        Raises:
            ArchiveError: If the operating system cannot read a file.
        """
        try:
            yield from self._read_all()
        except OSError as cause:
            if isinstance(cause, ArchiveError):
                raise
            raise ArchiveError(f"cannot read {cause.filename}: {cause}") from None

    def _read_all(self) -> Iterator[tuple[str, str, bytes | PatchError]]:
        return self._read_level("", self._levels)

    def _read_level(
        self, above: str, levels: int
    ) -> Iterator[tuple[str, str, bytes | PatchError]]:
        """Yields the files of all patches some levels below a folder."""
        for name in sorted(os.listdir(os.path.join(self.root, above))):
            path = os.path.join(above, name)
            if self._is_litter(name, os.path.basename(above), path):
                continue
            if levels and name.isprintable() and os.path.isdir(self.root / path):
                yield from self._read_level(path, levels - 1)
            else:
                yield from self._read_patch(path)

    def _read_patch(self, path: str) -> Iterator[tuple[str, str, bytes | PatchError]]:
        folder, name = os.path.join(self.root, path), os.path.basename(path)
        if not name.isprintable():
            error = PatchError("a name that cannot be shown.", patch_id=ascii(name))
            yield ascii(name), "", error
            return
        if not os.path.isdir(folder):
            problem = f"not a patch folder: {folder} lies beside patches."
            problem += explain(name, archive=self._archive) or " Remove it."
            yield path, "", PatchError(problem, patch_id=name)
            return
        found = self._list_files(folder, name)
        if not found:
            yield path, "", PatchError("the patch folder is empty.", patch_id=name)
        for entry in found:
            content: bytes | PatchError
            try:
                content = read_patch_file(entry, name)
                self.position += len(content)
            except PatchError as error:
                content = error
            yield path, entry.name, content

    def _list_files(self, folder: str, name: str) -> list[os.DirEntry[str]]:
        """Lists what lies in a patch folder beside litter; never all of too much."""
        found = []
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                check_number_of_files(number, folder)
                if not self._is_litter(entry.name, name, entry.path):
                    found.append(entry)
                if len(found) > MAX_FILES:
                    break
        return found

    def _is_litter(self, name: str, holder: str, path: str) -> bool:
        """Tells whether a file or folder is litter, and counts it."""
        kind = self.litter.find(name, holder)
        if kind is None:
            return False
        if kind not in FOLDERS and os.path.isdir(os.path.join(self.root, path)):
            return False
        self.litter.counts[kind] += 1
        return True

    def close(self) -> None:
        """Does nothing: no file stays open."""


def read_patch_file(entry: os.DirEntry[str] | Path, patch_id: str) -> bytes:
    """Reads a file of a patch: a regular one, and not larger than these can be.

    Args:
        entry: The file.
        patch_id: The patch, for the error.

    Raises:
        PatchError: If it is not a regular file (a link, too), too large, or has a name
            that cannot be shown.
        OSError: If the operating system cannot read it.
    """

    def error(problem: str) -> PatchError:
        return PatchError(problem, patch_id=patch_id, file=name)

    name = entry.name if entry.name.isprintable() else ascii(entry.name)
    if name != entry.name:
        raise error("a name that cannot be shown.")
    if entry.is_symlink():
        raise error("a symbolic link: expected a regular file. Put a copy there.")
    if not _is_file(entry):
        raise error("not a regular file.")
    with open(entry, "rb", opener=_open) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise error("not a regular file.")
        if status.st_size > MAX_FILE_NBYTES:
            raise error(f"larger than {MAX_FILE_NBYTES} bytes.")
        return file.read(status.st_size)


def _is_file(entry: os.DirEntry[str] | Path) -> bool:
    return entry.is_file()


def _open(path: str, flags: int) -> int:
    return os.open(path, _OPEN_FLAGS)


def find_root(path: Path, archive: Archive) -> Path:
    """Finds the folder that is laid out like an archive: a path, or a folder in it.

    Archives may name patches alike: files in the folder of one tell which it is of.

    Args:
        path: The folder that was given.
        archive: The archive.

    Raises:
        ArchiveError: If neither holds patches, or several folders in it do.
    """
    try:
        if find_levels(path, archive) is not None:
            return path
        roots = [child for child in sorted(path.iterdir()) if _may_hold(child)]
        roots = [r for r in roots if find_levels(r, archive) is not None]
    except OSError as cause:
        raise ArchiveError(f"cannot read {cause.filename}: {cause}") from None
    if len(roots) != 1:
        found = f"{len(roots)} folders with" if roots else "no"
        names = (path.resolve().name, *os.listdir(path))
        known = "" if roots else explain(*names, archive=archive)
        raise ArchiveError(
            f"{found} patch folders in {path}: expected a folder that holds folders "
            f"named like {archive.ids.example}{_describe_files(archive)}, or its "
            f"parent.{known}"
        )
    return roots[0]


def _describe_files(archive: Archive) -> str:
    """Returns what lies in folders of which another archive has the same names."""
    if archive.metadata_suffix is not None:
        return ""
    return f" with files like {archive.file_names(archive.ids.example)[0]}"


def find_levels(path: Path, archive: Archive) -> int | None:
    """Returns how many levels below a folder those of an archive's patches are.

    Returns:
        None if there are none where the archive, or one that holds all its files, has
        them.

    Raises:
        OSError: If the operating system cannot list it.
    """
    for levels in dict.fromkeys(form.levels for form in (archive, *archive.wider)):
        if _holds_patches(path, archive, levels):
            return levels
    return None


def _holds_patches(path: Path, archive: Archive, levels: int) -> bool:
    """Whether some levels below a folder there is one named like a patch."""
    with os.scandir(path) as entries:
        folders = (entry for entry in entries if entry.is_dir())
        if levels == 0:
            return any(_may_be_of(folder, archive) for folder in folders)
        paths = (Path(folder.path) for folder in folders)
        return any(
            _holds_patches(p, archive, levels - 1) for p in paths if _may_hold(p)
        )


def _may_be_of(folder: os.DirEntry[str], archive: Archive) -> bool:
    """Whether a folder is named like a patch, and does not hold another archive's."""
    if not archive.ids.matches(folder.name):
        return False
    if archive.metadata_suffix is not None:  # no other names patches like this
        return True
    found = os.listdir(folder)
    return not found or not set(archive.file_names(folder.name)).isdisjoint(found)


def _may_hold(path: Path) -> bool:
    return find_folder(path.name) is None and path.is_dir()
