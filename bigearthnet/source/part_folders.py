"""Reads named patches of a folder, here or in an object store, without a listing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.folder import FolderMembers, find_levels, find_root
from bigearthnet.source.groups import Member
from bigearthnet.source.limits import MAX_FILE_NBYTES
from bigearthnet.source.litter import FOLDERS, Litter
from bigearthnet.util.remote import RemotePath

# Patches of an object store that are asked for at once: 13 requests each, or fewer.
_PATCHES_AT_ONCE = 16


def list_places(name: str, archive: Archive) -> tuple[str, ...]:
    """Returns where a patch may lie below its archive's folder.

    Below a folder of its product, which is named like the patch without column and row;
    the names of Sentinel-1 have the tile there, too, and its products have none.

    Args:
        name: What the archive calls the patch.
        archive: The archive; it, and those it may be read from in its place, have one
            level of folders above patches, or none.
    """
    places: list[str] = []
    for form in (archive, *archive.wider):
        if form.levels:
            places += [f"{name.rsplit('_', parts)[0]}/{name}" for parts in (2, 3)]
        else:
            places.append(name)
    return tuple(dict.fromkeys(places))


def list_folder(
    path: Path, archive: Archive, patches: PatchIndex
) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Lists a folder here.

    Returns:
        Rows of the patches that lie where `list_places` says, shape (patch,); and what
        else lies among patches, below the folder that holds what is at the top of the
        archive: litter, strangers, and patches in other places.

    Raises:
        ArchiveError: If the folder holds no patch folders.
        OSError: If it cannot be listed.
    """
    root = find_root(path, archive)
    found: dict[int, str] = {}
    others: list[str] = []
    names = patches.names(archive.ids)
    for place in _walk(root, archive, "", find_levels(root, archive) or 0, others):
        name = os.path.basename(place)
        row, places = names.find(name), list_places(name, archive)
        if row is None or place not in places:
            others.append(place)
        elif row in found:
            found[row], other = sorted((found[row], place), key=places.index)
            others.append(other)
        else:
            found[row] = place
    return np.array(sorted(found), np.intp), tuple(others)


def _walk(
    root: Path, archive: Archive, above: str, levels: int, others: list[str]
) -> Iterator[str]:
    """Yields what lies some levels below a folder; adds what is no folder there."""
    litter = Litter(archive)
    for name in sorted(os.listdir(root / above)):
        place = os.path.join(above, name)
        if not levels:
            yield place
        elif (
            name.isprintable()
            and (root / place).is_dir()
            and litter.find(name, os.path.basename(above)) not in FOLDERS
        ):
            yield from _walk(root, archive, place, levels - 1, others)
        else:
            others.append(place)


class NamedFolders(FolderMembers):
    """The files of some patches of a folder; see `groups.Members`.

    Attributes:
        missing: Names of those that are not there, as far as was read.
    """

    def __init__(
        self,
        root: Path,
        archive: Archive,
        names: Sequence[str],
        others: Sequence[str] = (),
    ) -> None:
        """Takes names; nothing is opened yet.

        Args:
            root: The folder that holds what is at the top of the archive.
            archive: The archive that it is laid out like.
            names: What the archive calls the patches.
            others: What else to read there; see `list_folder`.
        """
        self._start(root, archive)
        self._names, self._others = names, others
        self.missing: list[str] = []

    def _read_all(self) -> Iterator[Member]:
        for name in self._names:
            for place in list_places(name, self._archive):
                if os.path.lexists(self.root / place):
                    yield from self._read_patch(place)
                    break
            else:
                self.missing.append(name)
        for place in self._others:
            above, name = os.path.split(place)
            if not self._is_litter(name, os.path.basename(above), place):
                yield from self._read_patch(place)


class RemoteFolders:
    """The same of a folder at a URL: of each patch the files that it must have."""

    nbytes: int | None = None
    is_compressed = False
    digests: Mapping[str, str] = MappingProxyType({})
    offset: int | None = None

    def __init__(
        self, root: RemotePath, archive: Archive, names: Sequence[str]
    ) -> None:
        """Takes names; see `NamedFolders`."""
        self.position = 0
        self.litter = Litter(archive)
        self.missing: list[str] = []
        self._root, self._archive, self._names = root, archive, names

    def __iter__(self) -> Iterator[Member]:
        """Yields folder, name and content of every file, in the order of names.

        Raises:
            DownloadError: If one cannot be had.
        """
        for start in range(0, len(self._names), _PATCHES_AT_ONCE):
            names = self._names[start : start + _PATCHES_AT_ONCE]
            found = self._read(names)
            for name in names:
                place, files = found.get(name, ("", {}))
                if not files:
                    self.missing.append(name)
                for path in sorted(files):
                    self.position += len(files[path])
                    yield (
                        place,
                        PurePosixPath(path).name,
                        self._check(files[path], path),
                    )

    def _read(self, names: Sequence[str]) -> dict[str, tuple[str, dict[str, bytes]]]:
        """Returns name → place and files of the patches that are there."""
        found: dict[str, tuple[str, dict[str, bytes]]] = {}
        candidates = {name: list_places(name, self._archive) for name in names}
        for number in range(max(map(len, candidates.values()), default=0)):
            places = {
                candidates[name][number]: name for name in names if name not in found
            }
            paths = [
                f"{place}/{file}"
                for place, name in places.items()
                for file in self._archive.file_names(name)
            ]
            if not paths:
                break
            contents = self._root.read_files(paths, MAX_FILE_NBYTES + 1)
            for path, content in contents.items():
                place = path.rpartition("/")[0]
                found.setdefault(places[place], (place, {}))[1][path] = content
        return found

    def _check(self, content: bytes, path: str) -> bytes | PatchError:
        if len(content) <= MAX_FILE_NBYTES:
            return content
        *_, patch, file = path.split("/")
        return PatchError(
            f"larger than {MAX_FILE_NBYTES} bytes.", patch_id=patch, file=file
        )

    def close(self) -> None:
        """Does nothing: no file stays open."""
