from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bigearthnet.errors import OptionError, PublishError
from bigearthnet.util.files import hash_file
from builder.checksums import COLUMNS, STORES, find_table, read_table
from builder.manifest import record
from builder.verify import CheckResult, verify


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of releases without any."""
    path = tmp_path / STORES
    shutil.copy(find_table(STORES), path)
    assert [] == read_table(path)
    return path


def check(data_dir: Path, table: Path) -> list[CheckResult]:
    """What is found of releases."""
    results = verify(data_dir, quick=True, released=table, quiet=True)
    return [result for result in results if result.check == "release"]


def test_a_build_is_recorded_once(all_stores: Path, table: Path) -> None:
    """Each store gets a line with the checksum of its manifest, and keeps it."""
    lines = record(all_stores, table, allow=["incomplete"], quiet=True)
    content = table.read_bytes()

    assert lines == read_table(table)
    assert [*COLUMNS] == [*lines[0]]
    assert ["arrow", "parquet", "tfrecord"] == [line["format"] for line in lines]
    assert {("v1.0", "s2", "2.0.0", "6")} == {
        (line["release"], line["config"], line["version"], line["patches"])
        for line in lines
    }
    arrow = hash_file(all_stores / "arrow" / "manifest.json")
    assert arrow == lines[0]["manifest_sha256"]
    record(all_stores, table, allow=["incomplete"], quiet=True)
    assert content == table.read_bytes()


def test_what_was_released_does_not_change(
    all_stores: Path, many_shards: Path, table: Path
) -> None:
    """Another build of the same version is refused, and the table stays as it is."""
    record(all_stores, table, allow=["incomplete"], quiet=True)
    content = table.read_bytes()

    with pytest.raises(OptionError, match="What was released does not change"):
        record(many_shards, table, allow=["incomplete"], quiet=True)
    assert content == table.read_bytes()


def test_an_incomplete_build_is_no_release(all_stores: Path, table: Path) -> None:
    """A build that lacks patches of the official lists is not recorded."""
    with pytest.raises(PublishError, match=r"train has 4 of 269,695 patches"):
        record(all_stores, table, quiet=True)
    assert [] == read_table(table)


def test_a_download_is_compared_with_the_releases(
    all_stores: Path, many_shards: Path, table: Path
) -> None:
    """Stores that are released agree, others differ, unknown ones are named."""
    unknown = check(all_stores, table)
    assert ["is no release that stores.tsv lists"] * 3 == [
        result.shown[0].partition(" ")[2] for result in unknown
    ]
    record(all_stores, table, allow=["incomplete"], quiet=True)

    assert [0, 0, 0] == [r.num_differences for r in check(all_stores, table)]
    assert [1, 1, 1] == [r.num_differences for r in check(many_shards, table)]


def test_an_installed_package_has_no_tables(tmp_path: Path) -> None:
    """Where checksums/ is missing, the error says where it is."""
    with pytest.raises(OptionError, match="comes with a clone of the repository"):
        find_table(STORES, tmp_path)
