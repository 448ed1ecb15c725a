from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bigearthnet.release import RELEASES, V1
from bigearthnet.release.bands import GROUPS
from bigearthnet.release.nomenclature import encode_mask
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.release.splits import COUNTRIES, SEASONS
from bigearthnet.schema.configs import get_config
from bigearthnet.source.patch import PlaceCounts
from bigearthnet.store import manifest
from bigearthnet.store.result import BuildResult, ShardInfo, SourceInfo
from bigearthnet.store.scenes import SCENE_DTYPE, encode_scene
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import FileInfo, hash_file

S2 = get_config("s2", RELEASES)

SPLITS = V1.splits

# Read and stored; read only, all 43 classes; stored without any class.
ROWS = {5: (0, 42), 152_289: tuple(range(43)), 590_325: ()}

SCENE = {
    "acquisition_date": "2017-06-13 10:10:31",
    "epsg": 32634,
    "coordinates/ulx": 300_000,
    "coordinates/uly": 6_200_000,
}


def make_shard(split: str, number: int) -> ShardInfo:
    """A shard whose figures tell its split and number."""
    first = SPLITS.index(split) + 1
    files = {
        form: FileInfo(
            name=f"{split}-{number}{suffix}",
            nbytes=10_000 * first + number + more,
            data_nbytes=number + more,
            sha256=f"{split}{number}{suffix}",
        )
        for form, suffix, more in (("tfrecord", "", 0), ("parquet", ".pq", 7))
    }
    return ShardInfo(split, 100 * first + number, files, BandSums(GROUPS))


# What the manifest says of a file.
KEYS = ("name", "split", "rows", "bytes", "data_bytes", "sha256")

SHARDS = (make_shard("train", 0), make_shard("train", 1), make_shard("test", 0))


SOURCE = SourceInfo("s2", "archive.tar.gz", 123, "abc", {"._*": 4})


def make_result(
    patches: PatchIndex, rows: Mapping[int, tuple[int, ...]], stored: Sequence[int] = ()
) -> BuildResult:
    """A build of SHARDS.

    Args:
        patches: The patches of the release.
        rows: Row of each patch that was read → its class ids.
        stored: Rows of those that are stored.
    """
    labels = np.zeros(len(patches), np.uint64)
    labels[list(rows)] = [encode_mask(ids) for ids in rows.values()]
    numbers = np.arange(len(patches))
    scenes = np.zeros(len(patches), SCENE_DTYPE)
    scenes[list(rows)] = encode_scene(SCENE)
    return BuildResult(
        config=S2,
        patches=patches,
        read=np.isin(numbers, list(rows)),
        stored=np.isin(numbers, stored),
        labels=labels,
        scenes=scenes,
        num_synthetic=0,
        shards=SHARDS,
        sums=BandSums(GROUPS),
        sources=(SOURCE,),
    )


@pytest.fixture
def result(patch_index: PatchIndex) -> BuildResult:
    """A build in which ROWS were read, and the first and last stored."""
    return make_result(patch_index, ROWS, (5, 590_325))


def make(
    result: BuildResult, tmp_path: Path, config: str = "s2", form: str = "tfrecord"
) -> dict[str, Any]:
    """The manifest of a build, with a file in place of its patches."""
    path = tmp_path / "patches"
    path.write_bytes(b"content")
    result = dataclasses.replace(result, config=get_config(config, RELEASES))
    return manifest.make_manifest(result, form, path)


def test_patches_are_those_that_were_read(
    result: BuildResult, patch_index: PatchIndex
) -> None:
    """Each patch that was read has its id, labels, split, facts, date and place."""
    table = manifest.make_patches_table(result)

    assert [
        {
            "patch_id": patch_index.patch_id(row),
            "labels": list(labels),
            "split": SPLITS[patch_index.splits[row]],
            "stored": row != 152_289,
            "season": SEASONS[_month(patch_index.patch_id(row)) % 12 // 3],
            "country": COUNTRIES[patch_index.countries[row]],
            "contains_seasonal_snow": patch_index.facts(row)["contains_seasonal_snow"],
            "contains_cloud_or_shadow": patch_index.facts(row)[
                "contains_cloud_or_shadow"
            ],
            "date": datetime.date(2017, 6, 13),
            "epsg": 32634,
            "ulx": 300_000,
            "uly": 6_200_000,
        }
        for row, labels in ROWS.items()
    ] == table.to_pylist()


def _month(patch_id: str) -> int:
    return int(patch_id.split("_")[2][4:6])


def test_patches_are_sorted_and_complete(patch_index: PatchIndex) -> None:
    """The rows come in the order of ids, whatever the order of reading."""
    result = make_result(patch_index, {row: (row,) for row in (9, 3, 7)})

    table = manifest.make_patches_table(result)

    assert [patch_index.patch_id(row) for row in (3, 7, 9)] == table[
        "patch_id"
    ].to_pylist()
    assert [[3], [7], [9]] == table["labels"].to_pylist()
    assert [False] * 3 == table["stored"].to_pylist()


def test_without_patches_the_table_is_empty(patch_index: PatchIndex) -> None:
    """A source without patches gives a table of no rows and the same columns."""
    table = manifest.make_patches_table(make_result(patch_index, {}))

    assert 0 == table.num_rows
    assert ["patch_id", "labels", "split", "stored"] == table.column_names[:4]


def test_the_patches_file_is_the_table(result: BuildResult, tmp_path: Path) -> None:
    """Parquet gives back the table; nothing unfinished is left behind."""
    path = tmp_path / "patches.parquet"

    manifest.write_patches(result, path)

    assert manifest.make_patches_table(result).equals(pq.read_table(path))
    assert [path] == list(tmp_path.iterdir())


def test_equal_builds_have_equal_patches_files(
    result: BuildResult, tmp_path: Path
) -> None:
    """The file holds nothing but the patches: two of them have the same bytes."""
    paths = tmp_path / "a", tmp_path / "b"
    for path in paths:
        manifest.write_patches(result, path)

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_manifest_sums_up_splits(result: BuildResult, tmp_path: Path) -> None:
    """Rows, shards and bytes of each split are the sums over its files."""
    made = make(result, tmp_path)

    assert {
        "train": {"rows": 201, "shards": 2, "bytes": 20_001},
        "test": {"rows": 300, "shards": 1, "bytes": 30_000},
    } == made["splits"]


def test_the_manifest_lists_every_file(result: BuildResult, tmp_path: Path) -> None:
    """Each shard stands there with split, rows, sizes and checksum, in order."""
    made = make(result, tmp_path)

    assert [
        ("train-0", "train", 100, 10_000, 0, "train0"),
        ("train-1", "train", 101, 10_001, 1, "train1"),
        ("test-0", "test", 300, 30_000, 0, "test0"),
    ] == [tuple(file[key] for key in KEYS) for file in made["files"]]


def test_each_format_has_a_manifest_of_its_files(
    result: BuildResult, tmp_path: Path
) -> None:
    """Names, sizes, checksums and sums are those of the format that was asked for."""
    made = make(result, tmp_path, form="parquet")

    assert [
        ("train-0.pq", "train", 100, 10_007, 7, "train0.pq"),
        ("train-1.pq", "train", 101, 10_008, 8, "train1.pq"),
        ("test-0.pq", "test", 300, 30_007, 7, "test0.pq"),
    ] == [tuple(file[key] for key in KEYS) for file in made["files"]]
    assert [20_015, 30_007] == [split["bytes"] for split in made["splits"].values()]
    assert "parquet" == made["format"]


def test_the_manifest_says_what_was_built(result: BuildResult, tmp_path: Path) -> None:
    """Release, configuration, version and scheme can be read from the manifest."""
    made = make(result, tmp_path, "s2-random")

    assert {
        "dataset": "bigearthnet",
        "release": "v1.0",
        "config": "s2-random",
        "version": "2.0.0",
        "format": "tfrecord",
        "split_scheme": "random",
    }.items() <= made.items()
    assert {
        "rows": 3,
        "stored": 2,
        "synthetic": 0,
        "quarantined": 0,
        "sha256": hashlib.sha256(b"content").hexdigest(),
    } == made["patches"]


def test_the_manifest_names_the_writers(result: BuildResult, tmp_path: Path) -> None:
    """Versions stand there of packages that the bytes depend on, Pillow if need be."""
    arrow, pillow = metadata.version("pyarrow"), metadata.version("pillow")

    assert {"pyarrow": arrow} == make(result, tmp_path)["writers"]
    for made in (
        make(result, tmp_path, "s2-rgb"),
        make(result, tmp_path, form="parquet"),
    ):
        assert {"pyarrow": arrow, "pillow": pillow} == made["writers"]


def test_the_manifest_holds_no_source_and_no_time(
    result: BuildResult, tmp_path: Path
) -> None:
    """Builds of equal patches from different sources have equal manifests."""
    folder = SourceInfo("s2", "folder", None, None)
    other = dataclasses.replace(result, sources=(folder,))

    assert make(result, tmp_path) == make(other, tmp_path)
    assert str(tmp_path) not in json.dumps(make(result, tmp_path))


def test_the_provenance_says_source_and_time(result: BuildResult) -> None:
    """Source, its size and checksum, duration and a UTC time stand in one place."""
    made = manifest.make_provenance(result, 1.23456)
    finished = datetime.datetime.fromisoformat(str(made["finished"]))

    assert {
        "source": "archive.tar.gz",
        "source_bytes": 123,
        "source_sha256": "abc",
        "source_litter": {"._*": 4},
        "source_places": {"shifted": 0, "max_shift_m": 0.0, "unplaced": 0},
        "seconds": 1.235,
    }.items() <= made.items()
    assert datetime.timedelta(0) == finished.utcoffset()
    assert isinstance(made["command"], list)
    assert "other_sources" not in made


def test_the_provenance_says_all_sources(result: BuildResult) -> None:
    """Of a build from several archives, each one stands there."""
    more = SourceInfo(
        "s1", "more.tar.zst", 7, "def", {".DS_Store": 1}, PlaceCounts(2, 4.5, 1)
    )
    made = manifest.make_provenance(
        dataclasses.replace(result, sources=(SOURCE, more)), 1
    )

    assert "archive.tar.gz" == made["source"]
    assert [
        {
            "archive": "s1",
            "filename": "more.tar.zst",
            "nbytes": 7,
            "sha256": "def",
            "litter": {".DS_Store": 1},
            "places": {"shifted": 2, "max_shift_m": 4.5, "unplaced": 1},
        }
    ] == made["other_sources"]


def test_all_descriptions_are_written(result: BuildResult, tmp_path: Path) -> None:
    """Table, manifest, statistics and provenance are written under the known names."""
    manifest.write_descriptions(tmp_path, result, "tfrecord", 1)
    written = {p.name: json.loads(p.read_text()) for p in tmp_path.glob("*.json")}
    table = tmp_path / "patches.parquet"

    assert {"manifest.json", "provenance.json", "statistics.json"} == set(written)
    assert hash_file(table) == written["manifest.json"]["patches"]["sha256"]
    assert {"split": "train", "num_patches": 0, "bands": {}} == written[
        "statistics.json"
    ]
    assert "archive.tar.gz" == written["provenance.json"]["source"]
