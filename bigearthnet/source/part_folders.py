"""Reads named patches of a folder, here or in an object store."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from bigearthnet.errors import PatchError
from bigearthnet.release import Archive
from bigearthnet.source.folder import FolderMembers
from bigearthnet.source.groups import Member, check_number_of_files
from bigearthnet.source.limits import MAX_FILE_NBYTES
from bigearthnet.source.listing import list_places
from bigearthnet.source.litter import FOLDERS, Litter
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.remote_files import list_names

# Patches of an object store that are asked for at once: 13 requests each, or fewer.
_PATCHES_AT_ONCE = 16


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
        self,
        root: RemotePath,
        archive: Archive,
        names: Sequence[str],
        others: Sequence[str] = (),
    ) -> None:
        """Takes names; see `NamedFolders`."""
        self.position = 0
        self.litter = Litter(archive)
        self.missing: list[str] = []
        self._root, self._archive = root, archive
        self._names, self._others = names, others

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
        for place in self._others:
            yield from self._read_other(place)

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

    def _read_other(self, place: str) -> Iterator[Member]:
        """Counts litter, and yields the files of what else lies among patches."""
        path = PurePosixPath(place)
        files = list_names(self._root / place)
        kind = self.litter.find(path.name, path.parent.name)
        if kind is not None and (kind in FOLDERS or not files):
            self.litter.counts[kind] += 1
        elif not files:
            problem = f"not a patch folder: {self._root / place} lies beside patches."
            yield place, "", PatchError(f"{problem} Remove it.", patch_id=path.name)
        else:
            check_number_of_files(len(files), str(self._root / place))
            paths = [f"{place}/{file}" for file in files]
            contents = self._root.read_files(paths, MAX_FILE_NBYTES + 1)
            for file, content in contents.items():
                yield place, PurePosixPath(file).name, self._check(content, file)

    def _check(self, content: bytes, path: str) -> bytes | PatchError:
        if len(content) <= MAX_FILE_NBYTES:
            return content
        *_, patch, file = path.split("/")
        return PatchError(
            f"larger than {MAX_FILE_NBYTES} bytes.", patch_id=patch, file=file
        )

    def close(self) -> None:
        """Does nothing: no file stays open."""
