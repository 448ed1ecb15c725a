"""Made-up patches of v2.0 under official ids, laid out as they are published."""

from __future__ import annotations

import functools
import io
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from backports import zstd

from bigearthnet.release import V2, Archive
from bigearthnet.release.bands import BandGroup
from bigearthnet.release.nomenclature import (
    BEN19,
    CLC43,
    MAP_CODES,
    decode_mask,
    remap,
)
from bigearthnet.release.patch_index import PatchIndex, load_index

# Folder of a patch below its archive's → file name → content.
Files = dict[str, dict[str, bytes]]

# Patches of each split.
PER_SPLIT = {"train": 3, "validation": 1, "test": 2, "excluded_train": 1}
CODES = {stored: code for code, stored in MAP_CODES}


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
    assert index.labels is not None
    rows: list[int] = []
    for split, count in PER_SPLIT.items():
        of_split = np.flatnonzero(index.splits == V2.splits.index(split))
        rows += of_split[:: len(of_split) // count][:count].tolist()
    return {
        index.patch_id(row): _make_patch(index, row, number)
        for number, row in enumerate(sorted(rows))
    }


def _make_patch(index: PatchIndex, row: int, number: int) -> Made:
    assert index.labels is not None
    labels = decode_mask(int(index.labels[row]))
    groups = {g.name: _make_pixels(g, number) for a in V2.archives for g in a.groups}
    groups["reference_map"] = make_map(labels)
    place = (32633 + number % 2, 300_000 + 1_200 * number, 6_200_000)
    return Made(row, index.split(row), labels, groups, place)


def _make_pixels(group: BandGroup, number: int) -> npt.NDArray[Any]:
    """Pixels that tell patch, group, band, row and column."""
    band, y, x = np.indices(group.shape)
    ramp = 5_000 * number + 400 * band + 2 * y + x + group.size_px
    return ramp.astype("<u2") if group.dtype == "uint16" else _to_db(ramp)


def _to_db(ramp: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return (-40 + (ramp % 30_011) / 1_001).astype("<f4")


def make_map(labels: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """A map of labels, of classes that are in none, and of unlabelled pixels."""
    target = remap(CLC43, BEN19)
    ids = [i for i, label in enumerate(target) if label in labels]
    ids += [target.index(None), len(CLC43), 255]
    _, y, x = np.indices((1, 120, 120))
    return np.array(ids, np.uint8)[(y // 7 + x // 11) % len(ids)]


def make_files(archive: Archive) -> Files:
    """The files of all made-up patches in one archive."""
    index = load_index(V2, "official")
    made = {}
    for patch in make_patches().values():
        name = index.names(archive.ids).name(patch.row)
        product = name.rsplit("_", 2)[0]
        made[f"{product}/{name}"] = {
            archive.band_file(name, band): write_tiff(image, group, patch.place)
            for group in reversed(archive.groups)
            for band, image in reversed(
                [*zip(group.bands, patch.groups[group.name], strict=True)]
            )
        }
    return made


def write_tiff(
    image: npt.NDArray[Any],
    group: BandGroup,
    place: tuple[int, float, float] | None,
) -> bytes:
    """Writes one band as rasterio does, laid out as it is published."""
    from affine import Affine
    from rasterio.io import MemoryFile

    options: dict[str, Any] = {"nodata": 0} if group.file_dtype == "uint16" else {}
    if group.codes:
        options |= {"compress": "deflate", "predictor": 2}
        image = np.vectorize(CODES.__getitem__)(image).astype("<u2")
    if place is not None:
        epsg, west, north = place
        size = 1200 // len(image)
        options["transform"] = Affine(size, 0, west, 0, -size, north)
        options["crs"] = f"EPSG:{epsg}"
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            count=1,
            height=len(image),
            width=len(image),
            dtype=image.dtype.name,
            **options,
        ) as dataset:
            dataset.write(image, 1)
        content: bytes = memory.read()
        return content


def write_tar_zst(path: Path, archive: Archive, files: Files, seed: int = 0) -> Path:
    """Writes a `.tar.zst` without folders, patches in an order of its own."""
    folders = sorted(files)
    random.Random(seed).shuffle(folders)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in folders:
            for name, content in files[folder].items():
                info = tarfile.TarInfo(f"{archive.folder}/{folder}/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    path.write_bytes(zstd.compress(buffer.getvalue(), 1))
    return path


def write_folder(path: Path, files: Mapping[str, Mapping[str, bytes]]) -> Path:
    """Writes the folder that an archive would be extracted to."""
    for folder, contents in files.items():
        (path / folder).mkdir(parents=True)
        for name, content in contents.items():
            (path / folder / name).write_bytes(content)
    return path
