"""The crosswalk has the right values of the official tables."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest

import bigearthnet
from bigearthnet.release import V1, V2
from bigearthnet.release.splits import load_table, read_table

# Split of v1.0 → patches of it in each split of v2.0, of the official tables.
SHARED = {
    "train": {"train": 125_699, "validation": 62_089, "test": 60_886},
    "validation": {"train": 55_640, "validation": 29_855, "test": 29_269},
    "test": {"train": 56_532, "validation": 30_398, "test": 29_670},
    "excluded": {
        **{"excluded_train": 34_673, "excluded_validation": 17_235},
        "excluded_test": 17_542,
    },
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """The crosswalk."""
    return bigearthnet.crosswalk()


def count_pairs(table: pa.Table, scheme: str) -> Counter[tuple[str, str]]:
    """Counts the patches of each pair of splits."""
    columns = (
        table[name].cast(pa.string()).to_pylist() for name in (scheme, "v2_split")
    )
    return Counter(zip(*columns, strict=True))


def test_the_splits_overlap_as_the_official_tables_say(table: pa.Table) -> None:
    """60,886 patches of v2.0's test split are in v1.0's train split, and so on."""
    expected = {
        (old, new): count for old, row in SHARED.items() for new, count in row.items()
    }
    found = count_pairs(table, "v1_split")

    assert expected == found
    assert 69_450 == sum(
        count for (old, _), count in found.items() if old == "excluded"
    )


def test_the_random_split_overlaps_more(table: pa.Table) -> None:
    """71,860 patches of v2.0's test split are in train of `s2-random`."""
    assert 71_860 == count_pairs(table, "v1_random_split")["train", "test"]


def test_each_patch_has_one_twin(table: pa.Table) -> None:
    """All ids are unique and known to their release; 40,838 of v1.0 have no twin."""
    old = load_table(V1, "official")

    assert V2.num_patches == len(table) == 549_488
    assert load_table(V2, "official")["patch_id"].equals(table["v2_id"])
    for name in ("v2_id", "v1_id", "s1_name"):
        assert len(table) == len(table[name].unique())
        assert 0 == table[name].null_count
    without = set(old["patch_id"].to_pylist()) - set(table["v1_id"].to_pylist())
    assert 40_838 == len(without)


def test_names_and_flags_are_those_of_the_first_release(table: pa.Table) -> None:
    """Every Sentinel-1 name and flag equals v1.0's; 467 countries differ."""
    import pyarrow.compute as pc

    old = load_table(V1, "official")
    new = load_table(V2, "official")
    rows = pc.index_in(table["v1_id"], value_set=old["patch_id"])

    assert old["s1_name"].take(rows).equals(table["s1_name"])
    for flag in ("contains_seasonal_snow", "contains_cloud_or_shadow"):
        assert old[flag].take(rows).equals(new[flag])
    codes = (read_table(release)["country"].to_numpy() for release in (V1, V2))
    before, after = next(codes)[rows.to_numpy()], next(codes)
    assert 467 == (before != after).sum()


def test_a_patch_is_found_by_either_id(table: pa.Table) -> None:
    """A real patch of v2.0, whose id has other numbers, and its twin."""
    import pyarrow.compute as pc

    wanted = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57"
    (row,) = table.filter(pc.equal(table["v2_id"], wanted)).to_pylist()

    assert "S2A_MSIL2A_20170613T101031_26_57" == row["v1_id"]
    assert "S1B_IW_GRDH_1SDV_20170612T165809_33UUP_26_57" == row["s1_name"]
