from __future__ import annotations

from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.errors import ChecksumError
from bigearthnet.release import splits
from builder import patch_table

ROWS = {
    "train": 269_695,
    "validation": 123_723,
    "test": 125_866,
    "seasonal_snow": 61_707,
    "cloud_or_shadow": 9_280,
    "no_ben19": 57,
}


@pytest.fixture(scope="module")
def lists() -> dict[str, list[str]]:
    """The official lists."""
    return patch_table.read_lists()


def small_lists(**changes: list[str]) -> dict[str, list[str]]:
    """Lists of four patches, unsorted, one of each split."""
    header = "s2_name,s1_name,country,season"
    patches = [
        "S2B_MSIL2A_20180204T94161_57_38,S1A_x_57_38,Finland,Winter",
        "S2A_MSIL2A_20170613T101031_9_5,S1B_y_9_5,Austria,Winter",
        "S2A_MSIL2A_20170613T101031_10_5,S1A_x_10_5,Serbia,Winter",
        "S2A_MSIL2A_20171221T112501_0_255,S1A_x_0_255,Portugal,Winter",
    ]
    names = [line.partition(",")[0] for line in patches]
    return {
        "patches": [header, *patches],
        "train": [names[1]],
        "validation": [names[2]],
        "test": [names[3]],
        "seasonal_snow": [names[0]],
        "cloud_or_shadow": [],
        "no_ben19": [names[0]],
    } | changes


def test_the_lists_are_the_official_ones(lists: dict[str, list[str]]) -> None:
    """Every list passes its checksum and has as many rows as its table says."""
    found = {name: len(lists[name]) for name in ROWS}

    assert ROWS == found
    assert 590_326 == len(lists["patches"]) - 1


def test_no_line_keeps_its_ending(lists: dict[str, list[str]]) -> None:
    """Lists with CRLF and with LF give the same clean lines."""
    lines = {line for name in ROWS for line in lists[name]}

    assert not any(line != line.strip() for line in lines)


def test_a_changed_list_is_refused(tmp_path: Path) -> None:
    """A list with another checksum is an error with file and both checksums."""
    wrong = tmp_path / "lists.tsv"
    wrong.write_text(f"list\tfile\trows\tsha256\ntrain\ttrain.csv\t1\t{'0' * 64}\n")
    right = "3674b209088fae7bcd4cc7580080ee614d1635046844fb5ca705d32c27fd847c"
    message = f"train.csv.bz2 is not the official list.*{'0' * 64}, got {right}"

    with pytest.raises(ChecksumError, match=message):
        patch_table.read_lists(wrong)


@pytest.mark.slow
def test_the_packaged_table_is_what_the_lists_say(lists: dict[str, list[str]]) -> None:
    """The table of the package is the one made from the official lists."""
    path = resources.files("bigearthnet") / "data" / "patches_v1.parquet"
    with path.open("rb") as file:
        packaged = pq.read_table(file)

    made = patch_table.make_table(lists)

    assert packaged.column_names == made.column_names
    for name in made.column_names:
        assert plain(packaged[name]) == plain(made[name]), name


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without its dictionary."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.chunked_array([pa.concat_arrays(column.chunks)])


def test_facts_follow_from_the_lists() -> None:
    """Rows are sorted by id as text; the season is that of the Sentinel-2 date."""
    made = patch_table.make_table(small_lists())

    assert ["20170613T101031_10_5", "20170613T101031_9_5", "20171221T112501_0_255"] == [
        f"{row['prefix'][11:]}_{row['column']}_{row['row']}"
        for row in made.to_pylist()[:3]
    ]
    assert {
        "prefix": "S2B_MSIL2A_20180204T94161",
        "column": 57,
        "row": 38,
        "s1_prefix": "S1A_x",
        "official_split": 3,
        "random_split": 3,
        "season": splits.SEASONS.index("winter"),
        "country": splits.COUNTRIES.index("Finland"),
        "contains_seasonal_snow": True,
        "contains_cloud_or_shadow": False,
        "has_ben19": False,
    } == made.to_pylist()[3]
    assert [1, 0, 2, 3] == made["official_split"].to_pylist()
    assert [2, 2, 0, 0] == made["season"].to_pylist()


def test_numbers_of_a_place_must_agree() -> None:
    """A Sentinel-1 patch of another place is an error."""
    lines = small_lists()["patches"]
    lines[1] = lines[1].replace("S1A_x_57_38", "S1A_x_57_39")

    with pytest.raises(ValueError, match="share their numbers"):
        patch_table.make_table(small_lists(patches=lines))


def test_the_written_table_is_read_back(tmp_path: Path) -> None:
    """Parquet gives back the table that was written."""
    made = patch_table.make_table(small_lists())
    path = tmp_path / "table.parquet"

    patch_table.write_table(made, path)

    assert made.to_pylist() == pq.read_table(path).to_pylist()
