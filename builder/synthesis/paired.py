"""Makes the files of synthetic patches of v2.0: three archives see one mosaic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release import Archive
from bigearthnet.release.nomenclature import decode_mask
from bigearthnet.release.patch_ids import S1_IDS
from bigearthnet.release.patch_index import PatchIndex
from builder.synthesis.choice import make_rng
from builder.synthesis.files import find_place
from builder.synthesis.geotiff import encode_map, encode_tiff
from builder.synthesis.land_cover import draw_classes, draw_map
from builder.synthesis.pixels import draw_mosaic, observe
from builder.synthesis.radar import draw_radar


def draw_groups(
    archive: Archive, index: PatchIndex, row: int, seed: int
) -> dict[str, npt.NDArray[Any]]:
    """Draws what one archive holds of a patch.

    Args:
        archive: An archive of v2.0.
        index: The patches of v2.0.
        row: Row of the patch in its table, which says the labels.
        seed: Any integer.

    Returns:
        Name of each group → shape (band, y, x), of the type of its files: digital
        numbers, dB, or codes of land cover.
    """
    assert index.labels is not None
    patch_id = index.patch_id(row)
    rng = make_rng(seed, patch_id)
    classes = draw_classes(decode_mask(int(index.labels[row])), rng)
    mosaic, log_brightness = draw_mosaic(len(classes), rng)
    if archive.name == "s2":
        return {**observe(classes, mosaic, log_brightness, rng)}
    (group,) = archive.groups
    rng = make_rng(seed, f"{patch_id}:{archive.name}")
    if archive.name == "s1":
        return {group.name: draw_radar(classes, mosaic, log_brightness, rng)}
    return {group.name: draw_map(classes, mosaic, rng)[None]}


def make_files(
    archive: Archive, index: PatchIndex, row: int, seed: int
) -> dict[str, bytes]:
    """Makes the files of a patch in one archive, sorted by name.

    Args:
        archive: An archive of v2.0.
        index: The patches of v2.0.
        row: Row of the patch in its table.
        seed: Any integer.

    Returns:
        File name → content.
    """
    name = index.names(archive.ids).name(row)
    *_, tile, column, number = index.patch_id(row).split("_")
    place = find_place(tile.removeprefix("T"), int(column), int(number))
    groups = draw_groups(archive, index, row, seed)
    made = {}
    for group in archive.groups:
        nodata = 0 if group.file_dtype == "uint16" else None
        for band, image in zip(group.bands, groups[group.name], strict=True):
            made[archive.band_file(name, band)] = (
                encode_map(image, band, place)
                if group.codes
                else encode_tiff(image, band, place, nodata)
            )
    return dict(sorted(made.items()))


def list_folders(
    archive: Archive, index: PatchIndex, rows: npt.NDArray[np.intp]
) -> Iterator[tuple[str, int]]:
    """Yields path and row of the patches of an archive, sorted by path.

    Folders of products are named like the patches in them, without column and row, and
    those of Sentinel-1 without the tile.

    Args:
        archive: An archive of v2.0.
        index: The patches of v2.0.
        rows: Rows of its table.
    """
    rest = 3 if archive.ids == S1_IDS else 2
    names = index.names(archive.ids).take(rows).to_pylist()
    folders = (f"{archive.folder}/{n.rsplit('_', rest)[0]}/{n}" for n in names)
    yield from sorted(zip(folders, rows.tolist(), strict=True))
