"""Folders of single patches: of an archive (12 TIFFs, in v1.0 a JSON), or one's own."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError, PatchError
from bigearthnet.release import V1, V2
from bigearthnet.release.bands import BANDS
from bigearthnet.release.nomenclature import Nomenclature, decode_mask
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.patch_index import load_index
from bigearthnet.release.published import explain
from bigearthnet.source.folder import read_patch_file
from bigearthnet.source.patch import RawPatch, decode_patch

# Folders are laid out as in this archive; they need not be of its patches. In v2.0 they
# have the same bands under the same endings, and no JSON.
_ARCHIVE = V1.archive("s2")
# The same without a JSON: what is read then are the bands alone.
_BANDS_ALONE = dataclasses.replace(_ARCHIVE, metadata=None)

# How the file of a band ends, also after ESA's names: `…_B8A.tif`, `…_B02_10m.tiff`.
_BAND_FILE = re.compile(
    rf".*?({'|'.join(band.name for band in BANDS)})(_\d\dm)?\.tiff?", re.I | re.A
)
# No folder holds a file of this name.
_NO_METADATA = "no metadata"
# The largest digital number.
MAX_DN = 2**16 - 1


@dataclass(frozen=True)
class PatchFolder:
    """One patch, of the release or not.

    Attributes:
        patch_id: The name of its folder.
        groups: Stored group of bands → shape (band, y, x), uint16.
        labels: Ascending class ids of `nomenclature`; None where nobody says them.
        nomenclature: That of the release: CLC43, of a patch of v2.0 BEN19.
    """

    patch_id: str
    groups: dict[str, npt.NDArray[np.uint16]]
    labels: tuple[int, ...] | None
    nomenclature: Nomenclature = V1.nomenclature


def find_patch_folders(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns a folder that is given for a patch, or the patches that it holds.

    Args:
        folder: The folder.

    Returns:
        The folders in it that hold files of bands, by name, if it holds none itself,
        or those in its folders, which are products in v2.0; else it alone. Then what
        else lies beside them, which is passed over.
    """
    if not folder.is_dir() or _has_bands(folder):
        return [folder], []
    for places in ("[!.]*", "[!.]*/[!.]*"):
        inner = sorted(folder.glob(places))
        found = [path for path in inner if path.is_dir() and _has_bands(path)]
        if found:
            return found, sorted({*inner} - {*found})
    return [folder], []


def _has_bands(folder: Path) -> bool:
    return any(_BAND_FILE.fullmatch(name) for name in os.listdir(folder))


def read_patch_folder(folder: Path, dn_offset: int = 0) -> PatchFolder:
    """Reads a folder that holds the 12 bands of a patch, and perhaps its JSON.

    A folder that is named like a patch of an archive must have its files under their
    names there. In any other, bands are found by what the names of files end in. What
    labels a patch of v2.0 has, its official table says.

    Args:
        folder: The folder.
        dn_offset: What is added to all digital numbers, which stay in [0, 65535]: -1000
            for Level-2A products of processing baseline 04.00 and later (ESA,
            Sentinel-2 products specification, BOA_ADD_OFFSET).

    Raises:
        PatchError: If it is no folder of a patch, a band is missing or there twice, or
            a file is no regular one (a link, too), or is damaged.
        OptionError: If the offset is out of range.
    """
    if abs(dn_offset) > MAX_DN:
        raise OptionError(f"dn_offset: expected up to {MAX_DN}, got {dn_offset}.")
    patch_id = folder.absolute().name
    is_second = V2.ids.matches(patch_id)
    known = "" if is_second else explain(patch_id)
    if known or not folder.is_dir():
        raise PatchError(
            f"no folder of a patch at {folder}: expected one that holds the 12 bands."
            f"{known}",
            patch_id=patch_id,
        )
    in_archive = {name: folder / name for name in _BANDS_ALONE.file_names(patch_id)}
    if is_second:
        patch = _decode(patch_id, in_archive, folder / _NO_METADATA, dn_offset)
        labels = _look_up_labels(patch_id)
        return dataclasses.replace(patch, labels=labels, nomenclature=V2.nomenclature)
    if _ARCHIVE.ids.matches(patch_id):
        PatchId.parse(patch_id)
        metadata = folder / f"{patch_id}{_ARCHIVE.metadata_suffix}"
        return _decode(patch_id, in_archive, metadata, dn_offset)
    paths = _find_bands(folder, patch_id)
    found = sorted(folder.glob(f"[!.]*{_ARCHIVE.metadata_suffix}"))
    metadata = found[0] if len(found) == 1 else folder / _NO_METADATA
    return _decode(patch_id, paths, metadata, dn_offset)


def _look_up_labels(patch_id: str) -> tuple[int, ...] | None:
    """Returns what the table of v2.0 says; None of a patch that it does not have."""
    index = load_index(V2, "official")
    row = index.find(patch_id)
    if row is None or index.labels is None:
        return None
    return decode_mask(int(index.labels[row]))


def _find_bands(folder: Path, patch_id: str) -> dict[str, Path]:
    """Finds the file of each band; returns name in the archive → path."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _BAND_FILE.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            continue
        name = f"{patch_id}_{match[1].upper()}.tif"
        if name in found:
            raise PatchError(
                f"{found[name].name} and {path.name} both end like the band "
                f"{match[1].upper()}: expected one file of each. Remove one of them.",
                patch_id=patch_id,
            )
        found[name] = path
    missing = [b.name for b in BANDS if f"{patch_id}_{b.name}.tif" not in found]
    if missing:
        raise PatchError(
            f"{folder} has no file of {', '.join(missing)}: expected one for each of "
            "the 12 bands, whose name ends in the band's, like x_B02.tif or x_B8A.tif.",
            patch_id=patch_id,
        )
    return found


def _decode(
    patch_id: str, paths: Mapping[str, Path], metadata: Path, dn_offset: int
) -> PatchFolder:
    """Reads and decodes the files of a patch.

    Args:
        patch_id: Name of the patch.
        paths: Name of each band's file in the archive → the file.
        metadata: The JSON, which may be missing.
        dn_offset: See `read_patch_folder`.
    """
    files = {name: _read_file(path, patch_id) for name, path in paths.items()}
    archive, file = _BANDS_ALONE, f"{patch_id}{_ARCHIVE.metadata_suffix}"
    if os.path.lexists(metadata):
        content = _read_file(metadata, patch_id)
        if _has_labels(content):
            archive, files[file] = _ARCHIVE, content
    raw = RawPatch(0, patch_id, files)  # the row of the table is not used here
    try:
        patch = decode_patch(raw, archive, V1.nomenclature)
    except PatchError as error:
        actual = {**paths, file: metadata}.get(error.file or "")
        name = actual.name if actual else error.file
        raise PatchError(error.problem, patch_id=patch_id, file=name) from None
    groups = patch.groups(archive)
    if dn_offset:
        groups = {
            name: np.clip(pixels.astype(np.int32) + dn_offset, 0, MAX_DN).astype("<u2")
            for name, pixels in groups.items()
        }
    return PatchFolder(patch_id, groups, patch.labels or None)


def _has_labels(content: bytes) -> bool:
    """Whether a JSON is more than that of a patch that nobody has labelled."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return True  # which decoding it says more about
    return not (isinstance(found, dict) and found.get("labels") == [])


def _read_file(path: Path, patch_id: str) -> bytes:
    def error(problem: str) -> PatchError:
        return PatchError(problem, patch_id=patch_id, file=path.name)

    if not os.path.lexists(path):
        raise error(
            f"missing file: {path.parent} is no complete folder of a patch, which has "
            "12 bands. A folder of another name may have bands of other names."
        )
    try:
        return read_patch_file(path, patch_id)
    except OSError as cause:
        raise error(f"cannot be read ({cause.strerror}).") from None
