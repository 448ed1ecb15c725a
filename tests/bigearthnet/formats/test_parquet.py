from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from bigearthnet.engine.writers import TableWriter
from bigearthnet.formats.parquet import column_sizes
from bigearthnet.release import RELEASES
from bigearthnet.release.bands import GROUPS
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example
from bigearthnet.schema.features import Feature
from bigearthnet.store.search import open_store
from bigearthnet.util.files import DurableFile

S2 = get_config("s2", RELEASES)

SMALL = (
    Feature("number", "integer", ""),
    Feature("bands_60m", "tensor", "", dtype="uint16", shape=(2, 20, 20)),
)
# Split and its number of patches in the real sample.
SPLITS = {"train": 4, "test": 1, "excluded": 1}
EDGES = ("ulx", "uly", "lrx", "lry")
BANDS = [group.name for group in GROUPS]


@pytest.fixture
def shards(all_stores: Path) -> list[Path]:
    """The Parquet shards of the six real patches."""
    store = open_store(all_stores, S2, "parquet")
    return [path for split in SPLITS for path in store.shards(split)]


def read_chunks(path: Path) -> Iterator[Any]:
    """What the footer says of each column of each row group."""
    with path.open("rb") as file:
        footer = pq.read_metadata(file)
    for group in range(footer.num_row_groups):
        for column in range(footer.num_columns):
            yield footer.row_group(group).column(column)


def column_of(chunk: Any) -> str:
    """The column that a Parquet leaf is part of."""
    return str(chunk.path_in_schema).partition(".")[0]


def write_small(folder: Path, count: int) -> Path:
    """Writes a shard of as many rows of SMALL, numbered from 0."""
    with DurableFile(folder, "small") as file:
        writer = TableWriter({"parquet": file}, SMALL)
        for n in range(count):
            pixels = np.full((2, 20, 20), n, np.uint16)
            writer.add({"number": n, "bands_60m": pixels})
        writer.close()
        file.finish()
    return folder / "small"


def write_rows(
    folder: Path, rows: list[Example], schema: tuple[Feature, ...] = SMALL
) -> Path:
    """Writes a shard of a schema."""
    with DurableFile(folder, "rows") as file:
        writer = TableWriter({"parquet": file}, schema)
        for row in rows:
            writer.add(row)
        writer.close()
        file.finish()
    return folder / "rows"


def check_row(expected: Example, found: dict[str, Any]) -> None:
    """Checks bands, labels and coordinates of a row that a reader gave."""
    for name in BANDS:
        assert np.array_equal(np.asarray(expected[name]), np.array(found[name]))
    for name in ("labels", "labels_19", "multi_hot_43"):
        assert list(np.asarray(expected[name])) == list(found[name])
    assert {f: expected[f"coordinates/{f}"] for f in EDGES} == found["coordinates"]
    assert expected["preview"] == found["preview"]["bytes"]


def test_pixels_are_packed_as_differences(shards: list[Path]) -> None:
    """Pixel columns are DELTA_BINARY_PACKED and zstd, without a dictionary."""
    chunks = [c for path in shards for c in read_chunks(path) if column_of(c) in BANDS]

    assert 3 * len(BANDS) == len(chunks)
    for chunk in chunks:
        assert {"RLE", "DELTA_BINARY_PACKED"} == set(chunk.encodings)
        assert "ZSTD" == chunk.compression
        assert not chunk.has_dictionary_page


def test_what_people_search_has_statistics(shards: list[Path]) -> None:
    """All but pixels and previews have a smallest and a largest value."""
    with_statistics = {c: [] for c in (True, False)}
    for chunk in read_chunks(shards[0]):
        with_statistics[chunk.is_stats_set].append(column_of(chunk))

    assert {*BANDS, "preview"} == set(with_statistics[False])
    assert {"patch_id", "country", "labels", "coordinates"} < set(with_statistics[True])
    (country,) = (c for c in read_chunks(shards[0]) if column_of(c) == "country")
    assert country.statistics.min <= country.statistics.max


def test_every_column_is_compressed_and_indexed(shards: list[Path]) -> None:
    """A reader finds single pages of every column by the index of offsets."""
    for path in shards:
        for chunk in read_chunks(path):
            assert ("ZSTD", True) == (chunk.compression, chunk.has_offset_index)


@pytest.mark.parametrize(
    ("count", "groups"), [(1, [1]), (100, [100]), (201, [100, 100, 1])]
)
def test_row_groups_hold_a_hundred_rows(
    count: int, groups: list[int], tmp_path: Path
) -> None:
    """Every group but the last has 100 rows; the rows stand in order."""
    path = write_small(tmp_path, count)
    file = pq.ParquetFile(path)
    found = file.read()

    assert groups == [
        file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)
    ]
    assert list(range(count)) == found["number"].to_pylist()
    assert list(range(count)) == [
        int(np.unique(row).item()) for row in found["bands_60m"].to_pylist()
    ]


def test_equal_rows_have_equal_bytes(tmp_path: Path) -> None:
    """A shard holds nothing but its rows, no time and no path."""
    for name in "ab":
        (tmp_path / name).mkdir()

    assert (
        write_small(tmp_path / "a", 3).read_bytes()
        == write_small(tmp_path / "b", 3).read_bytes()
    )


def test_column_sizes_are_those_of_the_footers(shards: list[Path]) -> None:
    """The sizes are what DuckDB adds up from the footers of the same files."""
    import duckdb

    query = (
        "SELECT split_part(path_in_schema, ', ', 1), sum(total_compressed_size)::INT "
        "FROM parquet_metadata(?) GROUP BY 1"
    )
    expected = duckdb.execute(query, [[str(path) for path in shards]]).fetchall()

    sizes = column_sizes(shards)

    assert dict(expected) == sizes
    assert {*BANDS, "preview", "coordinates", "patch_id"} < set(sizes)
    assert {} == column_sizes([])


def test_column_sizes_add_up_row_groups(tmp_path: Path) -> None:
    """Every row group of a file counts."""
    path = write_small(tmp_path, 201)
    chunks = list(read_chunks(path))

    assert 6 == len(chunks)
    assert sum(chunk.total_compressed_size for chunk in chunks) == sum(
        column_sizes([path]).values()
    )


def test_pixels_take_little_room(shards: list[Path]) -> None:
    """The bands of the real patches take at most 112 kB a patch."""
    sizes = column_sizes(shards)

    assert sum(sizes[name] for name in BANDS) <= 6 * 112_000


def test_duckdb_reads_every_value(
    shards: list[Path], sample_rows: list[Example]
) -> None:
    """DuckDB, which knows nothing of `datasets`, reads pixels and labels exactly."""
    import duckdb

    result = duckdb.execute(
        "SELECT * FROM read_parquet(?) ORDER BY patch_id", [[str(p) for p in shards]]
    )
    names = [column[0] for column in result.description]
    rows = [dict(zip(names, values, strict=True)) for values in result.fetchall()]

    assert [r["patch_id"] for r in sample_rows] == [r["patch_id"] for r in rows]
    for expected, found in zip(sample_rows, rows, strict=True):
        check_row(expected, found)


def test_polars_reads_every_value(
    shards: list[Path], sample_rows: list[Example]
) -> None:
    """So does polars."""
    import polars

    rows = polars.read_parquet(shards).sort("patch_id").to_dicts()

    assert [r["patch_id"] for r in sample_rows] == [r["patch_id"] for r in rows]
    for expected, found in zip(sample_rows, rows, strict=True):
        check_row(expected, found)


@pytest.fixture(scope="module")
def many_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Example]]:
    """A shard of three row groups and 21 pages of pixels, no row like another."""
    random = np.random.default_rng(5)
    rows: list[Example] = [
        {
            "number": n * n,
            "bands_60m": random.integers(0, 2**16, (2, 20, 20), np.uint16),
        }
        for n in range(207)
    ]
    return write_rows(tmp_path_factory.mktemp("rows"), rows), rows


def test_every_reader_reads_many_pages(many_rows: tuple[Path, list[Example]]) -> None:
    """DuckDB, polars and pyarrow, checksums and all, read every row of every group."""
    import duckdb
    import polars

    path, rows = many_rows
    numbers = [row["number"] for row in rows]
    pixels = np.stack([np.asarray(row["bands_60m"]) for row in rows])

    table = pq.read_table(path, page_checksum_verification=True)
    found = [
        (table["number"].to_pylist(), table["bands_60m"].to_pylist()),
        tuple(
            list(column)
            for column in zip(
                *duckdb.execute(
                    "SELECT * FROM read_parquet(?)", [str(path)]
                ).fetchall(),
                strict=True,
            )
        ),
        tuple(column.to_list() for column in polars.read_parquet(path)),
    ]

    for their_numbers, their_pixels in found:
        assert numbers == their_numbers
        assert np.array_equal(pixels, np.array(their_pixels))


def test_readers_that_skip_pages_find_their_rows(
    many_rows: tuple[Path, list[Example]],
) -> None:
    """A filter that leaves one row finds its pixels by the index of pages."""
    import duckdb
    import polars

    path, rows = many_rows
    for n in (0, 9, 10, 99, 100, 155, 206):
        query = f"SELECT bands_60m FROM read_parquet(?) WHERE number = {n * n}"
        ((pixels,),) = duckdb.execute(query, [str(path)]).fetchall()
        assert np.array_equal(rows[n]["bands_60m"], np.array(pixels))
        lazy = polars.scan_parquet(path).filter(polars.col("number") == n * n)
        (pixels,) = lazy.collect()["bands_60m"].to_list()
        assert np.array_equal(rows[n]["bands_60m"], np.array(pixels))


@pytest.mark.parametrize(("group", "pages"), [(0, 10), (2, 1)])
def test_pages_of_pixels_have_ten_rows(
    group: int, pages: int, many_rows: tuple[Path, list[Example]], tmp_path: Path
) -> None:
    """A damaged byte fails the checksum of its page, and spares the pages before."""
    path = tmp_path / "damaged"
    chunk = pq.read_metadata(many_rows[0]).row_group(group).column(1)
    content = bytearray(many_rows[0].read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(content)
    file = pq.ParquetFile(path, page_checksum_verification=True)
    batches = file.iter_batches(1, row_groups=[group], columns=["bands_60m"])

    # The last row of a page is whole once the next page begins with another row.
    for _ in range(max(0, 10 * (pages - 1) - 1)):
        next(batches)
    with pytest.raises(OSError, match=f"page_ordinal {pages - 1}$"):
        next(batches)


@pytest.mark.parametrize(
    ("dtype", "encoding"),
    [
        ("uint8", "RLE_DICTIONARY"),
        ("int16", "DELTA_BINARY_PACKED"),
        ("float32", "BYTE_STREAM_SPLIT"),
    ],
)
def test_the_encoding_of_pixels_fits_their_type(
    dtype: str, encoding: str, tmp_path: Path
) -> None:
    """Tensors of three axes are pixels, whatever their name, and are read back."""
    import duckdb

    schema = (Feature("mask", "tensor", "", dtype=dtype, shape=(1, 4, 5)),)
    pixels = np.random.default_rng(1).integers(0, 100, (11, 1, 4, 5)).astype(dtype)
    path = write_rows(tmp_path, [{"mask": row} for row in pixels], schema)
    (chunk,) = read_chunks(path)

    found = duckdb.execute("SELECT mask FROM read_parquet(?)", [str(path)]).fetchall()

    assert {"RLE", encoding} == {*chunk.encodings} - {"PLAIN"}  # of a dictionary
    assert not chunk.is_stats_set
    assert np.array_equal(pixels, np.array([row for (row,) in found]))
    assert np.array_equal(pixels, np.array(pq.read_table(path)["mask"].to_pylist()))
