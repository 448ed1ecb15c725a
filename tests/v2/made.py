"""Synthetic patches of v2.0 under official ids, and what stores must give back."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from bigearthnet.release import V2, Archive
from bigearthnet.release.bands import BandGroup
from bigearthnet.release.nomenclature import MAP_CODES, decode_mask
from bigearthnet.release.patch_index import load_index
from builder.synthesis import paired
from builder.synthesis.choice import choose_rows
from builder.synthesis.files import find_place
from tests.archives import MAP_OPTIONS, encode_tiff

# The fewest patches with some in each of these splits: train, validation, test and
# excluded_train; and a test patch that v1.0 has in its train split.
NUM_PATCHES = 10
SEED = 6
CODES = {stored: code for code, stored in MAP_CODES}
_STORED = dict(MAP_CODES)


class Made(NamedTuple):
    """What a made-up patch holds.

    Attributes:
        row: Its row in the table.
        split: Name of its split.
        labels: Class ids of BEN19.
        groups: Name of each group → shape (band, y, x).
        place: EPSG code, easting of the west and northing of the north edge.
    """

    row: int
    split: str
    labels: tuple[int, ...]
    groups: dict[str, npt.NDArray[Any]]
    place: tuple[int, int, int]


@functools.cache
def make_patches() -> dict[str, Made]:
    """Patch id → what it holds; in the order of the table."""
    index = load_index(V2, "official")
    rows = sorted(choose_rows(index, NUM_PATCHES, SEED).tolist())
    return {index.patch_id(row): _make_patch(row) for row in rows}


def _make_patch(row: int) -> Made:
    index = load_index(V2, "official")
    assert index.labels is not None
    groups: dict[str, npt.NDArray[Any]] = {}
    for archive in V2.archives:
        groups |= paired.draw_groups(archive, index, row, SEED)
    codes = groups["reference_map"]
    groups["reference_map"] = np.vectorize(_STORED.__getitem__)(codes).astype(np.uint8)
    *_, tile, column, number = index.patch_id(row).split("_")
    place = find_place(tile[1:], int(column), int(number))
    labels = decode_mask(int(index.labels[row]))
    where = (32_600 + place.zone, place.ulx, place.uly)
    return Made(row, index.split(row), labels, groups, where)


@functools.cache
def make_files(archive: Archive) -> dict[str, dict[str, bytes]]:
    """The files of all patches in one archive, in the order of `make_patches`."""
    index = load_index(V2, "official")
    made = {}
    for patch in make_patches().values():
        ((folder, row),) = paired.list_folders(archive, index, np.array([patch.row]))
        folder = folder.removeprefix(f"{archive.folder}/")
        made[folder] = paired.make_files(archive, index, row, SEED)
    return made


def write_tiff(
    image: npt.NDArray[Any],
    group: BandGroup,
    place: tuple[int, float, float] | None,
) -> bytes:
    """Writes one band as rasterio does, laid out as it is published."""
    from affine import Affine

    options: dict[str, Any] = {"nodata": 0} if group.file_dtype == "uint16" else {}
    if group.codes:
        options |= MAP_OPTIONS
        image = np.vectorize(CODES.__getitem__)(image).astype("<u2")
    if place is not None:
        epsg, west, north = place
        size = 1200 // len(image)
        options["transform"] = Affine(size, 0, west, 0, -size, north)
        options["crs"] = f"EPSG:{epsg}"
    return encode_tiff(image, **options)
