"""A release that does not exist: nothing in it is as in the first one."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS
from bigearthnet.release import (
    Archive,
    Choice,
    Digest,
    IdCodec,
    LabelSet,
    Release,
)
from bigearthnet.release.bands import GROUPS, Band, BandGroup
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.schema.configs import get_config
from builder.build import build
from tests.archives import MAP_OPTIONS, encode_tiff, write_folder, write_tar_zst

LABELS = ("Moss", "Rock", "Water", "Ice", "Sand")
SPLITS = (
    *("train", "validation", "test"),
    *("excluded_train", "excluded_validation", "excluded_test"),
)
# Row of the table → prefix, column, row, radar prefix, split, labels.
PATCHES = (
    ("M1_20200101", 3, 12, "R9_77", "train", ("Ice", "Moss")),
    ("M1_20200101", 10, 4, "R9_78", "train", ("Rock",)),
    ("M1_20200101", 11, 90, "R9_77", "excluded_train", ("Sand",)),
    ("M2_20200402", 0, 0, "R8_01", "test", ("Water", "Sand", "Moss")),
    ("M2_20200402", 7, 7, "R8_01", "validation", ("Rock", "Ice")),
    ("M2_20200402", 8, 7, "R8_02", "excluded_test", ("Water",)),
)
LAND = BandGroup(
    "land", (Band("land", 10),), dtype="uint8", unit="class of land", is_map=True
)
RADAR = BandGroup(
    "bands_radar", (Band("VV", 10), Band("VH", 10)), dtype="float32", unit="dB"
)


class Expected(NamedTuple):
    """What every store must give back of a patch.

    Attributes:
        split: Name of its split.
        labels: Class ids, ascending.
        groups: Name of each group → shape (band, y, x).
    """

    split: str
    labels: list[int]
    groups: dict[str, npt.NDArray[Any]]


class SecondRelease(NamedTuple):
    """The release, and its archives in two forms.

    Attributes:
        release: The release, with the checksums of its archives.
        archives: Name of each archive → its `.tar.zst`.
        folders: Name of each archive → the folder it would be extracted to.
        patches: Patch id → what must come back, in the order of the table.
    """

    release: Release
    archives: dict[str, Path]
    folders: dict[str, Path]
    patches: dict[str, Expected]


def pixels(group: BandGroup, number: int) -> npt.NDArray[Any]:
    """Pixels that tell patch, group, band, row and column, shape (band, y, x)."""
    band, row, column = np.indices(group.shape)
    ramp = 7 * number + 400 * band + 2 * row + column + len(group.name)
    if group.dtype == "float32":
        return (ramp / 16 - 30).astype("<f4")
    return (ramp % 200 if group.dtype == "uint8" else 50 * ramp).astype(group.dtype)


def write_tiff(image: npt.NDArray[Any]) -> bytes:
    """Writes one band; maps compressed, as they are published."""
    return encode_tiff(image, **(MAP_OPTIONS if image.dtype == np.uint8 else {}))


def make_archives() -> tuple[Archive, Archive]:
    """The two archives, but for sizes and checksums."""
    optical = Archive(
        name="optical",
        url="https://example.invalid/Optical.tar.zst",
        filenames=("Optical.tar.zst",),
        folder="Optical",
        levels=1,
        nbytes=1,
        digest=Digest("md5", ""),
        ids=IdCodec(r"M\d_\d{8}_\d\d_\d\d", "M1_20200101_03_12", "prefix", digits=2),
        groups=(*GROUPS, LAND),
    )
    radar = dataclasses.replace(
        optical,
        name="radar",
        url="https://example.invalid/Radar.tar.zst",
        filenames=("Radar.tar.zst",),
        folder="Radar",
        ids=IdCodec(r"R\d_\d\d_\d{1,3}_\d{1,3}", "R9_77_3_12", "radar_prefix"),
        groups=(RADAR,),
    )
    return optical, radar


def make_files(archive: Archive) -> dict[str, dict[str, bytes]]:
    """Folder of each patch, below the archive's → file name → content."""
    made = {}
    for number, (prefix, column, row, radar_prefix, *_) in enumerate(PATCHES):
        chosen = prefix if archive.name == "optical" else radar_prefix
        name = archive.ids.join(chosen, column, row)
        made[f"product_{chosen}/{name}"] = {
            archive.band_file(name, band): write_tiff(image)
            for group in archive.groups
            for band, image in zip(group.bands, pixels(group, number), strict=True)
        }
    return made


def write_table(path: Path) -> Path:
    """Writes the table of the release."""
    prefixes, columns, rows, radar, splits, labels = zip(*PATCHES, strict=True)
    ids = {label: number for number, label in enumerate(LABELS)}
    count = len(PATCHES)
    table = {
        "prefix": pa.array(prefixes).dictionary_encode(),
        "column": pa.array(columns, pa.uint8()),
        "row": pa.array(rows, pa.uint8()),
        "radar_prefix": pa.array(radar).dictionary_encode(),
        "official_split": pa.array([SPLITS.index(s) for s in splits], pa.uint8()),
        "country": pa.array(range(count), pa.uint8()),
        "season": pa.array([number % 4 for number in range(count)], pa.uint8()),
        "classes": pa.array(
            [sum(1 << ids[name] for name in names) for names in labels], pa.uint32()
        ),
    }
    pq.write_table(pa.table(table), path)
    return path


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> SecondRelease:
    """The release and its archives; not to be changed."""
    folder = tmp_path_factory.mktemp("second")
    archives, tars, folders = [], {}, {}
    for seed, archive in enumerate(make_archives()):
        files = make_files(archive)
        path = write_tar_zst(folder / archive.filenames[0], archive.folder, files, seed)
        content = path.read_bytes()
        digest = Digest("md5", hashlib.md5(content).hexdigest())
        archives.append(
            dataclasses.replace(archive, nbytes=len(content), digest=digest)
        )
        tars[archive.name] = path
        folders[archive.name] = write_folder(folder / archive.folder, files)
    release = Release(
        name="made-up",
        data_version="1.0.0",
        num_patches=len(PATCHES),
        archives=tuple(archives),
        table=str(write_table(folder / "table.parquet")),
        label_sets=(LabelSet(Nomenclature("made5", LABELS), "labels_5", "vector_5"),),
        label_column="classes",
        splits=SPLITS,
        excluded=SPLITS[3:],
        fields=("country", "season"),
        rgb=("B04", "B03", "B02"),
        choices=(
            Choice(
                "both",
                "official",
                ("optical", "radar"),
                "Optical and radar.",
                suffix="-made-up",
            ),
            Choice(
                "picture",
                "official",
                ("optical",),
                "Pictures.",
                is_rgb=True,
                suffix="-made-up",
            ),
        ),
    )
    return SecondRelease(release, tars, folders, _expect(release))


def _expect(release: Release) -> dict[str, Expected]:
    groups = [group for archive in release.archives for group in archive.groups]
    return {
        release.ids.join(prefix, column, row): Expected(
            split,
            sorted(LABELS.index(label) for label in labels),
            {group.name: pixels(group, number) for group in groups},
        )
        for number, (prefix, column, row, _, split, labels) in enumerate(PATCHES)
    }


@pytest.fixture(scope="session")
def stores(second: SecondRelease, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of the release in every format; not to be changed."""
    data_dir = tmp_path_factory.mktemp("stores")
    options = BuildOptions(include_excluded=True, quiet=True, workers=2)
    config = get_config("both", [second.release])
    build(second.archives, data_dir, config, options, formats=tuple(FORMATS))
    picture = get_config("picture", [second.release])
    optical = {"optical": second.archives["optical"]}
    build(optical, data_dir, picture, options)
    return data_dir
