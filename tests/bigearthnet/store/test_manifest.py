from __future__ import annotations

import datetime
import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.pipeline import BuildResult
from bigearthnet.engine.shards import ShardInfo
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.store import manifest
from bigearthnet.store.statistics import BandSums
from bigearthnet.util.files import FileInfo, hash_file

S2 = get_config("s2", RELEASES)

SPLITS = V1.splits

# Read and stored; read only, all 43 classes; stored without any class.
ROWS = {5: (0, 42), 152_289: tuple(range(43)), 590_325: ()}


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
    return ShardInfo(split, 100 * first + number, files, BandSums())


# What the manifest says of a file.
KEYS = ("name", "split", "rows", "bytes", "data_bytes", "sha256")

SHARDS = (make_shard("train", 0), make_shard("train", 1), make_shard("test", 0))


@pytest.fixture
def index(patch_index: PatchIndex) -> SpoolIndex:
    """An index in which ROWS were read, and the first and last stored."""
    index = SpoolIndex(patch_index.splits)
    for row, labels in ROWS.items():
        index.add_read(row, labels)
    for row in (5, 590_325):
        index.add_record(row, bytes(16), 0, 0, 1)
    return index


@pytest.fixture
def result(index: SpoolIndex) -> BuildResult:
    """A build of SHARDS."""
    return BuildResult(index, SHARDS, BandSums(), 123, "abc")


def make(
    result: BuildResult, tmp_path: Path, config: str = "s2", form: str = "tfrecord"
) -> dict[str, Any]:
    """The manifest of a build, with a file in place of its patches."""
    path = tmp_path / "patches"
    path.write_bytes(b"content")
    return manifest.make_manifest(result, form, get_config(config, RELEASES), V1, path)


def test_patches_are_those_that_were_read(
    index: SpoolIndex, patch_index: PatchIndex
) -> None:
    """Each patch that was read has its id, labels and split, and whether it is kept."""
    table = manifest.make_patches_table(index, patch_index)

    assert [
        {
            "patch_id": patch_index.patch_id(row),
            "labels": list(labels),
            "split": SPLITS[patch_index.splits[row]],
            "stored": row != 152_289,
        }
        for row, labels in ROWS.items()
    ] == table.to_pylist()


def test_patches_are_sorted_and_complete(patch_index: PatchIndex) -> None:
    """The rows come in the order of ids, whatever the order of reading."""
    index = SpoolIndex(patch_index.splits)
    for row in (9, 3, 7):
        index.add_read(row, (row,))

    table = manifest.make_patches_table(index, patch_index)

    assert [patch_index.patch_id(row) for row in (3, 7, 9)] == table[
        "patch_id"
    ].to_pylist()
    assert [[3], [7], [9]] == table["labels"].to_pylist()
    assert [False] * 3 == table["stored"].to_pylist()


def test_without_patches_the_table_is_empty(patch_index: PatchIndex) -> None:
    """A source without patches gives a table of no rows and the same columns."""
    index = SpoolIndex(patch_index.splits)

    table = manifest.make_patches_table(index, patch_index)

    assert 0 == table.num_rows
    assert ["patch_id", "labels", "split", "stored"] == table.column_names


def test_the_patches_file_is_the_table(
    index: SpoolIndex, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Parquet gives back the table; nothing unfinished is left behind."""
    path = tmp_path / "patches.parquet"

    manifest.write_patches(index, patch_index, path)

    assert manifest.make_patches_table(index, patch_index).equals(pq.read_table(path))
    assert [path] == list(tmp_path.iterdir())


def test_equal_builds_have_equal_patches_files(
    index: SpoolIndex, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """The file holds nothing but the patches: two of them have the same bytes."""
    paths = tmp_path / "a", tmp_path / "b"
    for path in paths:
        manifest.write_patches(index, patch_index, path)

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
    result: BuildResult, index: SpoolIndex, tmp_path: Path
) -> None:
    """Builds of equal patches from different sources have equal manifests."""
    other = BuildResult(index, SHARDS, BandSums(), None, None)

    assert make(result, tmp_path) == make(other, tmp_path)
    assert str(tmp_path) not in json.dumps(make(result, tmp_path))


def test_the_provenance_says_source_and_time(result: BuildResult) -> None:
    """Source, its size and checksum, duration and a UTC time stand in one place."""
    made = manifest.make_provenance(result, "archive.tar.gz", 1.23456)
    finished = datetime.datetime.fromisoformat(str(made["finished"]))

    assert {
        "source": "archive.tar.gz",
        "source_bytes": 123,
        "source_sha256": "abc",
        "seconds": 1.235,
    }.items() <= made.items()
    assert datetime.timedelta(0) == finished.utcoffset()
    assert isinstance(made["command"], list)


def test_all_records_are_written(
    result: BuildResult, patch_index: PatchIndex, tmp_path: Path
) -> None:
    """Table, manifest, statistics and provenance are written under the known names."""
    manifest.write_records(
        tmp_path,
        result,
        form="tfrecord",
        config=S2,
        release=V1,
        patches=patch_index,
        source="x",
        seconds=1,
    )
    written = {p.name: json.loads(p.read_text()) for p in tmp_path.glob("*.json")}
    table = tmp_path / "patches.parquet"

    assert {"manifest.json", "provenance.json", "statistics.json"} == set(written)
    assert hash_file(table) == written["manifest.json"]["patches"]["sha256"]
    assert {"split": "train", "num_patches": 0, "bands": {}} == written[
        "statistics.json"
    ]
    assert "x" == written["provenance.json"]["source"]
