"""What is said of checksums: who notices a flipped bit, and with which switch."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import bigearthnet
from bigearthnet.errors import ShardError
from bigearthnet.huggingface import ArrowReader
from builder.verify import verify

RECIPES = Path(bigearthnet.__file__).parent.parent / "docs" / "recipes.md"
SECTION = RECIPES.read_text(encoding="utf-8").partition("## Checksums")[2]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.S)
PARQUET = "huggingface/s2/train-00000-of-00001.parquet"
ARROW = "arrow/train/data-00000-of-00001.arrow"


@pytest.fixture
def folder(all_stores: Path, tmp_path: Path) -> Path:
    """A folder whose `data` has a flipped bit in the 10 m bands of each table."""
    shutil.copytree(all_stores, tmp_path / "data")
    path = tmp_path / "data" / PARQUET
    group = pq.read_metadata(path).row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    chunk = next(c for c in chunks if c.path_in_schema.startswith("bands_10m"))
    flip(path, chunk.data_page_offset + 5_000)
    arrow = tmp_path / "data" / ARROW
    pixels = ArrowReader.open("train", all_stores).gather([2], ["B03"])["B03"][0]
    flip(arrow, arrow.read_bytes().index(pixels.tobytes()))
    return tmp_path


def flip(path: Path, position: int) -> None:
    """Changes one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program as a user does, with a cache of its own."""
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1", "HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )


def find_reader(program: str) -> str:
    """The package that a program reads with."""
    others = ("datasets", "polars", "duckdb")
    return next((name for name in others if f"import {name}\n" in program), "pyarrow")


@pytest.mark.parametrize("program", BLOCKS, ids=find_reader)
def test_a_switch_of_the_recipes_notices_a_flipped_bit(
    program: str, folder: Path
) -> None:
    """Each program of the recipes ends with an error, and prints no rows."""
    pytest.importorskip(find_reader(program))
    done = run(program, folder)

    assert 1 == done.returncode
    assert "CRC checksum verification failed" in done.stderr
    assert "as they were written" not in done.stdout


def test_every_reader_has_a_switch() -> None:
    """The recipes have a program for each reader that they say does not check."""
    assert ["pyarrow", "datasets", "polars", "duckdb"] == [*map(find_reader, BLOCKS)]


def test_the_switch_of_the_card_notices_a_flipped_bit(folder: Path) -> None:
    """The card of a store says how `datasets` and pyarrow check it."""
    pytest.importorskip("datasets")
    text = (folder / "data" / "huggingface" / "README.md").read_text()
    section = text.partition("## Checksums")[2].partition("\n## ")[0]
    (program,) = re.findall(r"```python\n(.*?)```", section, re.S)
    done = run(program.replace('"..."', '"data/huggingface"'), folder)

    assert "CRC checksum verification failed" in done.stderr
    assert "`read_table(file, page_checksum_verification=True)`" in section


def read_pyarrow(path: Path) -> Any:
    """Reads the 10 m bands as pyarrow does by itself."""
    return pq.read_table(path, columns=["bands_10m"])["bands_10m"].to_pylist()


def read_datasets(path: Path) -> Any:
    """Reads them as `datasets` does by itself."""
    datasets = pytest.importorskip("datasets")
    rows = datasets.load_dataset(
        str(path.parents[1]), "s2-10m", split="train", streaming=True
    )
    return [row["bands_10m"] for row in rows]


def read_polars(path: Path) -> Any:
    """Reads them as polars does by itself."""
    polars = pytest.importorskip("polars")
    frame = polars.read_parquet(path, columns=["bands_10m"])
    return frame["bands_10m"].ext.storage().to_list()


def read_duckdb(path: Path) -> Any:
    """Reads them as DuckDB does by itself."""
    duckdb = pytest.importorskip("duckdb")
    rows = duckdb.sql(f"SELECT bands_10m FROM '{path}'").fetchall()
    return [pixels for (pixels,) in rows]


@pytest.mark.parametrize(
    "read", [read_pyarrow, read_datasets, read_polars, read_duckdb]
)
def test_without_the_switch_other_pixels_come_out(
    read: Callable[[Path], Any], folder: Path, all_stores: Path
) -> None:
    """What the recipes say of each reader is true, so that the switch is needed."""
    good, damaged = (np.array(read(f / PARQUET)) for f in (all_stores, folder / "data"))

    assert good.shape == damaged.shape == (4, 4, 120, 120)
    assert not np.array_equal(good, damaged)


def test_our_readers_check_parquet_and_cannot_check_arrow(
    folder: Path, all_stores: Path
) -> None:
    """A flipped bit of Parquet ends the reading, and one of Arrow is one in a pixel."""
    data_dir = folder / "data"
    reader = bigearthnet.open_reader("train", data_dir, store="parquet")
    with pytest.raises(ShardError, match="CRC checksum verification failed"):
        next(iter(reader.batches(4, ["bands_10m"])))
    good, damaged = (
        next(iter(ArrowReader.open("train", path).batches(4, ["bands_10m"])))
        for path in (all_stores, data_dir)
    )

    assert 1 == np.count_nonzero(good["bands_10m"] != damaged["bands_10m"])


def test_a_quick_check_notices_both(folder: Path) -> None:
    """What no reader of Arrow can notice is noticed by its checksum."""
    results = verify(folder / "data", quick=True, quiet=True)

    assert {"parquet", "arrow"} == {r.format for r in results if r.num_differences}
    assert [folder / "data" / name for name in (PARQUET, ARROW)] == [
        path for result in results for path in result.damaged
    ]
