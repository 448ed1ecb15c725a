from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.errors import ChecksumError, OptionError
from bigearthnet.release import V2, splits
from builder import official_tables


def official(**changes: list[object]) -> pa.Table:
    """An official table of two patches, not sorted."""
    product = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP"
    return pa.table(
        {
            "patch_id": [f"{product}_27_55", f"{product}_06_57"],
            "labels": [["Urban fabric", "Arable land"], ["Marine waters"]],
            "split": ["test", "validation"],
            "country": ["Austria", "Serbia"],
            "s1_name": ["S1B_x_27_55", "S1A_y_6_57"],
            "s2v1_name": ["S2A_v_27_55", "S2A_v_6_57"],
            "contains_seasonal_snow": [False, False],
            "contains_cloud_or_shadow": [False, False],
        }
        | changes
    )


def snowy(name: str = "S1A_y_6_58") -> pa.Table:
    """One of a patch with snow."""
    patch_id = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_06_58"
    table = official(patch_id=[patch_id] * 2, s1_name=[name] * 2)
    return table.slice(0, 1).set_column(5, "s2v1_name", pa.array(["S2A_v_6_58"]))


def test_facts_follow_from_the_tables() -> None:
    """Rows are sorted by id; snow and clouds make splits of their own."""
    made = official_tables.make_table(official(), snowy())

    assert [(6, 57), (6, 58), (27, 55)] == [
        (row["column"], row["row"]) for row in made.to_pylist()
    ]
    assert ["validation", "excluded_test", "test"] == [
        V2.splits[code] for code in made["official_split"].to_pylist()
    ]
    assert {
        "prefix": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP",
        "column": 27,
        "row": 55,
        "s1_prefix": "S1B_x",
        "s2v1_prefix": "S2A_v",
        "official_split": 2,
        "season": splits.SEASONS.index("summer"),
        "country": splits.COUNTRIES.index("Austria"),
        "contains_seasonal_snow": False,
        "contains_cloud_or_shadow": False,
        "ben19": 0b101,
    } == made.to_pylist()[2]


def test_numbers_of_a_place_must_agree() -> None:
    """A Sentinel-1 patch of another place is an error."""
    with pytest.raises(ValueError, match="share their numbers"):
        official_tables.make_table(official(), snowy("S1A_y_6_59"))


def test_an_unknown_split_is_named() -> None:
    """A value that no release has is an error, not a patch of another split."""
    with pytest.raises(ValueError, match="got val"):
        official_tables.make_table(official(split=["test", "val"]), snowy())


def test_only_the_official_tables_are_read(tmp_path: Path) -> None:
    """A table that is missing, or of other bytes, is an error with its path."""
    with pytest.raises(OptionError, match=r"there is no .*metadata\.parquet"):
        official_tables.read_tables(tmp_path)
    pq.write_table(official(), tmp_path / "metadata.parquet")
    with pytest.raises(ChecksumError, match="is not the official table: expected"):
        official_tables.read_tables(tmp_path)
