"""Folders of single patches, laid out as in the archive: 12 TIFFs and a JSON."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import PatchError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.published import explain
from bigearthnet.source.folder import read_patch_file
from bigearthnet.source.patch import RawPatch, decode_patch

# Folders are laid out as in this archive; they need not be of its patches.
_ARCHIVE = V1.archive("s2")


@dataclass(frozen=True)
class PatchFolder:
    """One patch, of the release or not.

    Attributes:
        patch_id: The name of its folder.
        groups: Stored group of bands → shape (band, y, x), uint16.
        labels: Ascending class ids of CLC43.
    """

    patch_id: str
    groups: dict[str, npt.NDArray[np.uint16]]
    labels: tuple[int, ...]


def read_patch_folder(folder: Path) -> PatchFolder:
    """Reads a folder that is named like its patch.

    Args:
        folder: The folder.

    Raises:
        PatchError: If it is no folder of a patch, one of the 13 files is missing, is
            no regular file (a link, too), or is damaged.
    """
    patch_id = folder.absolute().name
    if not folder.is_dir():
        raise PatchError(
            f"no folder at {folder}: expected one that holds the 12 bands and the JSON "
            f"of a patch.{explain(patch_id)}",
            patch_id=patch_id,
        )
    PatchId.parse(patch_id)
    files = {name: _read_file(folder, name) for name in _ARCHIVE.file_names(patch_id)}
    raw = RawPatch(0, patch_id, files)  # the row of the table is not used here
    patch = decode_patch(raw, _ARCHIVE, V1.nomenclature)
    return PatchFolder(patch_id, patch.groups(_ARCHIVE), patch.labels)


def _read_file(folder: Path, name: str) -> bytes:
    def error(problem: str) -> PatchError:
        return PatchError(problem, patch_id=folder.absolute().name, file=name)

    if not os.path.lexists(folder / name):
        raise error(
            f"missing file: {folder} is no complete folder of a patch, which holds 12 "
            "bands and a JSON."
        )
    try:
        return read_patch_file(folder / name, folder.absolute().name)
    except OSError as cause:
        raise error(f"cannot be read ({cause.strerror}).") from None
