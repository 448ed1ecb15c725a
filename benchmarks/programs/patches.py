"""What peers without a reader of their own need: patches as arrays and label names.

Written as somebody would who follows the tutorials of rasterio, TensorFlow Datasets and
`datasets`: members of the archive are grouped by the folder in their name, each TIFF is
opened by rasterio from memory, the labels come from the JSON.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from rasterio.io import MemoryFile

# Pixels along each edge of a band.
BAND_SIZES = {
    "B01": 20,
    "B02": 120,
    "B03": 120,
    "B04": 120,
    "B05": 60,
    "B06": 60,
    "B07": 60,
    "B08": 120,
    "B8A": 60,
    "B09": 20,
    "B11": 60,
    "B12": 60,
}
# The folder of the archive that holds the folders of the patches.
_TOP_FOLDER = "BigEarthNet-v1.0"
_NOMENCLATURE = (
    Path(__file__).parents[2] / "bigearthnet" / "data" / "clc_nomenclature.csv"
)


class Patch(NamedTuple):
    """One patch.

    Attributes:
        patch_id: Name of its folder.
        bands: Name → pixels of a band, uint16[row, column].
        labels: Label names.
    """

    patch_id: str
    bands: dict[str, np.ndarray[Any, np.dtype[np.uint16]]]
    labels: list[str]


def load_label_names() -> list[str]:
    """Returns the names of the 43 classes (only the file of ours is used)."""
    with _NOMENCLATURE.open(newline="") as lines:
        return [row["level3_label"] for row in csv.DictReader(lines)]


def read_patches(members: Iterable[tuple[str, BinaryIO]]) -> Iterator[Patch]:
    """Reads patches from the members of an archive, in one pass.

    Args:
        members: Path and open file of each member, those of a patch in sequence, as
            `iter_archive` of both TFDS and `datasets` yields them.

    Yields:
        Each patch.
    """
    for patch_id, group in itertools.groupby(
        members, key=lambda item: _folder(item[0])
    ):
        files = {Path(path).name: file.read() for path, file in group}
        yield _decode_patch(patch_id, files)


def find_patch_folders(source: Path) -> list[Path]:
    """Returns the folder of each patch of an extracted archive, sorted.

    Raises:
        FileNotFoundError: If there is none.
    """
    folders = [path for path in find_top_folder(source).iterdir() if path.is_dir()]
    if not folders:
        raise FileNotFoundError(f"There are no patches in {source}.")
    return sorted(folders)


def find_top_folder(source: Path) -> Path:
    """Returns the folder that holds those of the patches: `source`, or one below."""
    below = source / _TOP_FOLDER
    return below if below.is_dir() else source


def _folder(path: str) -> str:
    return Path(path).parent.name


def _decode_patch(patch_id: str, files: dict[str, bytes]) -> Patch:
    bands = {band: _decode_band(files[f"{patch_id}_{band}.tif"]) for band in BAND_SIZES}
    labels = json.loads(files[f"{patch_id}_labels_metadata.json"])["labels"]
    return Patch(patch_id, bands, labels)


def _decode_band(content: bytes) -> np.ndarray[Any, np.dtype[np.uint16]]:
    with MemoryFile(content) as file, file.open() as dataset:
        return dataset.read(1)
