"""Lists the patches of a folder, here or in an object store, but not their files.

Which files a patch has follows from its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import ArchiveError
from bigearthnet.release import Archive
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.published import explain
from bigearthnet.source.folder import find_levels, find_root
from bigearthnet.source.litter import FOLDERS, Litter
from bigearthnet.util.remote import Place, RemotePath
from bigearthnet.util.remote_files import list_names

# Names that an error shows.
_MOST_SHOWN = 5


def is_folder(place: Place) -> bool:
    """Whether a source is a folder; at a URL, all is one that is no `.tar`."""
    if isinstance(place, Path):
        return place.is_dir()
    return not place.name.endswith(".tar")


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
    path: Path | RemotePath, archive: Archive, patches: PatchIndex
) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Lists the patches of a folder, not their files.

    Args:
        path: The folder, or its parent. At a URL, the folder that holds what is at the
            top of the archive.
        archive: The archive that it is laid out like.
        patches: The patches of the release.

    Returns:
        Rows of the patches that lie where `list_places` says, shape (patch,); and what
        else lies among patches, below the folder that holds what is at the top of the
        archive: litter, strangers, and patches in other places.

    Raises:
        ArchiveError: If the folder holds no patch folders, or those of another archive.
        OSError: If it cannot be listed.
    """
    list_in: Callable[[str], Mapping[str, bool]]
    if isinstance(path, Path):
        root = find_root(path, archive)
        levels = find_levels(root, archive) or 0

        def list_in(above: str) -> Mapping[str, bool]:
            with os.scandir(root / above) as entries:
                found = {entry.name: entry.is_dir() for entry in entries}
            return {name: found[name] for name in sorted(found)}
    else:
        levels = _find_remote_levels(path, archive)

        def list_in(above: str) -> Mapping[str, bool]:
            return list_names(path / above if above else path)

    found: dict[int, str] = {}
    others: list[str] = []
    names = patches.names(archive.ids)
    for place in _walk(list_in, archive, "", levels, others):
        name = os.path.basename(place)
        row, places = names.find(name), list_places(name, archive)
        if row is None or place not in places:
            others.append(place)
        elif row in found:
            found[row], other = sorted((found[row], place), key=places.index)
            others.append(other)
        else:
            found[row] = place
    if not isinstance(path, Path):
        if not found:
            raise _refuse_empty(path, archive)
        _check_kind(path, archive, found[min(found)])
    return np.array(sorted(found), np.intp), tuple(others)


def check_remote_kind(root: RemotePath, archive: Archive) -> None:
    """Checks by the first patch that a folder at a URL is the archive it is said to be.

    Args:
        root: The folder that holds what is at the top of the archive.
        archive: The archive.

    Raises:
        ArchiveError: If it holds no patch, or one of another archive.
        DownloadError, StoreError: If it cannot be listed.
    """

    def list_in(above: str) -> Mapping[str, bool]:
        return list_names(root / above if above else root)

    places = _walk(list_in, archive, "", _find_remote_levels(root, archive), [])
    matches = archive.ids.matches
    place = next((p for p in places if matches(os.path.basename(p))), None)
    if place is None:
        raise _refuse_empty(root, archive)
    _check_kind(root, archive, place)


def _find_remote_levels(root: RemotePath, archive: Archive) -> int:
    """Returns how many levels below a folder at a URL patches lie."""
    names = [name for name, is_folder in list_names(root).items() if is_folder]
    if any(map(archive.ids.matches, names)):
        return 0
    return max(form.levels for form in (archive, *archive.wider))


def _refuse_empty(root: RemotePath, archive: Archive) -> ArchiveError:
    names = [*list_names(root)]
    held = ", ".join(names[:_MOST_SHOWN]) + (", ..." if names[_MOST_SHOWN:] else "")
    return ArchiveError(
        f"no patch folders in {root}: expected what is at the top of the archive "
        f"{archive.name}, folders named like {archive.ids.example}; it holds {held}."
    )


def _check_kind(root: RemotePath, archive: Archive, place: str) -> None:
    """Checks that a patch folder has a file of this archive, not of another one's."""
    found, name = list_names(root / place), os.path.basename(place)
    expected = archive.file_names(name)
    if found and set(expected).isdisjoint(found):
        raise ArchiveError(
            f"{root} is not the archive {archive.name}: {min(found)!r} lies in the "
            f"folder {place!r}; expected {expected[0]!r} there."
            f"{explain(name, min(found), archive=archive)}"
        )


def _walk(
    list_in: Callable[[str], Mapping[str, bool]],
    archive: Archive,
    above: str,
    levels: int,
    others: list[str],
) -> Iterator[str]:
    """Yields what lies some levels below a folder; adds what is no folder there."""
    litter = Litter(archive)
    for name, is_folder in list_in(above).items():
        place = os.path.join(above, name)
        if not levels:
            yield place
        elif (
            name.isprintable()
            and is_folder
            and litter.find(name, os.path.basename(above)) not in FOLDERS
        ):
            yield from _walk(list_in, archive, place, levels - 1, others)
        else:
            others.append(place)
