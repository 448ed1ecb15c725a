from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import OptionError, ShardError
from bigearthnet.reading import parquet
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2_COLUMNS = get_config("s2", RELEASES).columns

Arrays = dict[str, np.ndarray]


def flatten(batch: Arrays) -> dict[str, Any]:
    """Makes a batch comparable: lists, and the type of each column."""
    return {
        name: (
            values.dtype.name,
            [v.tolist() for v in values]
            if name.startswith("labels")
            else values.tolist(),
        )
        for name, values in batch.items()
    }


def read_ids(reader: ParquetReader, batch_size: int = 4, **options: Any) -> list[str]:
    """Returns the patch ids of an epoch."""
    batches = reader.batches(batch_size, ["patch_id"], **options)
    return [name for batch in batches for name in batch["patch_id"]]


@pytest.mark.parametrize("batch_size", [1, 3, 4, 11, 25, 100])
def test_batches_equal_those_of_arrow(
    batch_size: int, parquet_files: list[Path], arrow_files: list[Path]
) -> None:
    """All columns of all batches are what ArrowReader reads, in the same types."""
    names = [
        name
        for name in ParquetReader(parquet_files, S2_COLUMNS).features
        if name[-1] != "m"
    ]
    names.append("bands_60m")
    found = list(ParquetReader(parquet_files, S2_COLUMNS).batches(batch_size, names))
    expected = list(
        ArrowReader.map_files(arrow_files, S2_COLUMNS).batches(batch_size, names)
    )

    assert [flatten(batch) for batch in expected] == [flatten(batch) for batch in found]


def test_all_columns_equal_the_rows(
    parquet_files: list[Path], expected: Arrays
) -> None:
    """Without a choice, batches have every column, pixels included."""
    reader = ParquetReader(parquet_files, S2_COLUMNS)
    (batch,) = reader.batches(25)

    assert 25 == len(reader)
    assert list(expected) == list(batch)
    for name in ("bands_10m", "bands_20m", "bands_60m", "multi_hot_43", "multi_hot_19"):
        assert expected[name].dtype == batch[name].dtype
        np.testing.assert_array_equal(expected[name], batch[name])


def test_shuffled_batches_keep_columns_together(
    parquet_files: list[Path], expected: Arrays
) -> None:
    """All columns of a shuffled batch are of the same patches; sizes stay."""
    names = ["patch_id", "bands_60m", "coordinates/uly", "multi_hot_43", "preview"]
    batches = list(
        ParquetReader(parquet_files, S2_COLUMNS).batches(7, names, shuffle=True, seed=2)
    )

    assert [7, 7, 7, 4] == [len(batch["patch_id"]) for batch in batches]
    for batch in batches:
        rows = [int(name[-2:]) for name in batch["patch_id"]]
        for name in names:
            np.testing.assert_array_equal(expected[name][rows], batch[name])


@pytest.mark.parametrize("pool", [1, 2, 8])
def test_shuffled_batches_are_complete_and_repeatable(
    pool: int,
    parquet_files: list[Path],
    expected: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each epoch and seed has its own order of all patches, in pools of any size."""
    monkeypatch.setattr(parquet, "_POOL_GROUPS", pool)
    reader = ParquetReader(parquet_files, S2_COLUMNS)
    orders = [
        read_ids(reader, shuffle=True, seed=seed, epoch=epoch)
        for seed, epoch in ((0, 0), (0, 1), (1, 0), (None, 0), (None, 0))
    ]

    assert [expected["patch_id"].tolist()] * 5 == [sorted(order) for order in orders]
    assert 5 == len({tuple(order) for order in orders})
    assert orders[1] == read_ids(reader, 9, shuffle=True, seed=0, epoch=1)


def test_only_the_columns_asked_for_come(parquet_files: list[Path]) -> None:
    """Columns come in the order asked; one that is not there is an error."""
    reader = ParquetReader(parquet_files, S2_COLUMNS)
    names = ["epsg", "coordinates/lrx", "bands_60m", "coordinates/ulx"]

    assert names == list(next(reader.batches(2, names)))
    with pytest.raises(OptionError, match=r"no column 'B10': .*bands_10m"):
        next(reader.batches(2, ["B10"]))


@pytest.mark.parametrize("shuffle", [False, True])
def test_no_columns_are_refused(
    shuffle: bool, parquet_files: list[Path], arrow_files: list[Path]
) -> None:
    """An empty choice of columns is refused by both readers."""
    for reader in (
        ArrowReader.map_files(arrow_files, S2_COLUMNS),
        ParquetReader(parquet_files, S2_COLUMNS),
    ):
        with pytest.raises(OptionError, match="no column: expected some of patch_id"):
            next(reader.batches(7, [], shuffle=shuffle))


@pytest.mark.parametrize("batch_size", [0, -3])
def test_a_batch_size_below_one_is_refused(
    batch_size: int, parquet_files: list[Path]
) -> None:
    """The error names the size."""
    with pytest.raises(OptionError, match=f"at least 1, got {batch_size}"):
        next(ParquetReader(parquet_files, S2_COLUMNS).batches(batch_size))


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.9, 0.9999])
def test_a_file_that_was_cut_is_named(
    keep: float, parquet_files: list[Path], tmp_path: Path
) -> None:
    """A file without its footer is a ShardError that names it."""
    content = parquet_files[1].read_bytes()
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(content[: int(keep * len(content))])

    with pytest.raises(ShardError, match=r"damaged\.parquet cannot be read"):
        ParquetReader([parquet_files[0], damaged], S2_COLUMNS)


def test_a_damaged_column_is_named(parquet_files: list[Path], tmp_path: Path) -> None:
    """A file whose pages were overwritten is a ShardError once they are read."""
    import pyarrow.parquet as pq

    content = bytearray(parquet_files[1].read_bytes())
    group = pq.read_metadata(parquet_files[1]).row_group(1)
    columns = [group.column(number) for number in range(group.num_columns)]
    (column,) = [c for c in columns if c.path_in_schema.startswith("bands_20m")]
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 100] = bytes(100)
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(content)
    reader = ParquetReader([parquet_files[0], damaged], S2_COLUMNS)

    assert 20 == len(read_ids(reader))
    with pytest.raises(ShardError, match=r"damaged\.parquet cannot be read"):
        list(reader.batches(4, ["patch_id", "bands_20m"]))


def test_a_file_that_went_away_is_named(
    parquet_files: list[Path], tmp_path: Path
) -> None:
    """A file that is deleted after it was opened is a ShardError that names it."""
    path = tmp_path / "gone.parquet"
    path.write_bytes(parquet_files[0].read_bytes())
    reader = ParquetReader([path], S2_COLUMNS)
    path.unlink()

    with pytest.raises(ShardError, match=r"gone\.parquet is missing"):
        read_ids(reader)


def test_row_groups_are_read_in_another_order_each_epoch(
    parquet_files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches are mixed over the whole split, not within neighbouring row groups."""
    monkeypatch.setattr("bigearthnet.reading.parquet._POOL_GROUPS", 1)
    reader = ParquetReader(parquet_files, S2_COLUMNS)
    first_groups = {
        frozenset(next(batches)["patch_id"])
        for epoch in range(8)
        for batches in [
            reader.batches(4, ["patch_id"], shuffle=True, seed=0, epoch=epoch)
        ]
    }

    assert len(first_groups) >= 3


def test_a_shuffled_batch_keeps_no_other_patches(parquet_files: list[Path]) -> None:
    """It is memory of its own, not a view of the row groups that were mixed."""
    reader = ParquetReader(parquet_files, S2_COLUMNS)
    for batch in reader.batches(4, ["bands_60m"], shuffle=True, seed=0):
        assert batch["bands_60m"].base is None
