from __future__ import annotations

import collections
import hashlib
from importlib import resources

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, splits
from bigearthnet.release.patch_ids import PatchId
from bigearthnet.release.splits import COUNTRIES, SEASONS

NUM_PATCHES = 590_326
RANDOM_COUNTS = {
    "train": 311_603,
    "validation": 103_868,
    "test": 103_868,
    "excluded": 70_987,
}


@pytest.fixture(scope="module")
def official() -> pa.Table:
    """The table with the official splits."""
    return splits.load_table(V1, "official")


@pytest.fixture(scope="module")
def draw() -> pa.Table:
    """The table with the random splits of seed 0."""
    return splits.load_table(V1, "random")


def count(table: pa.Table, column: str) -> dict[str, int]:
    """How often each value of a column stands there."""
    return {
        row["values"]: row["counts"]
        for row in pc.value_counts(table[column].cast(pa.string())).to_pylist()
    }


def test_names_are_in_stored_order() -> None:
    """Codes of seasons and countries are frozen; for splits see `test_model.py`."""
    assert ("winter", "spring", "summer", "autumn") == SEASONS
    assert tuple(sorted(COUNTRIES)) == COUNTRIES


def test_official_splits_have_the_published_sizes(official: pa.Table) -> None:
    """Train, validation and test have the lengths of the official lists."""
    assert {
        "train": 269_695,
        "validation": 123_723,
        "test": 125_866,
        "excluded": 71_042,
    } == count(official, "split")


def test_random_splits_are_60_20_20(draw: pa.Table) -> None:
    """The random splits cut the 519,339 filtered patches at 60 and 80 percent."""
    assert RANDOM_COUNTS == count(draw, "split")
    assert 519_339 == NUM_PATCHES - RANDOM_COUNTS["excluded"]


def test_seasons_are_those_of_the_paper(official: pa.Table) -> None:
    """The month in the patch id gives the paper's counts of the four seasons."""
    assert {
        "autumn": 154_943,
        "winter": 117_156,
        "spring": 189_276,
        "summer": 128_951,
    } == count(official, "season")


def test_seasons_follow_from_the_month(official: pa.Table) -> None:
    """Winter is December to February, and so on."""
    by_month = collections.defaultdict(set)
    sample = official.take(list(range(0, NUM_PATCHES, 50)))
    ids, seasons = sample["patch_id"].to_pylist(), sample["season"].to_pylist()
    for patch_id, season in zip(ids, seasons, strict=True):
        by_month[PatchId.parse(patch_id).date.month].add(season)

    assert {m: {SEASONS[m % 12 // 3]} for m in range(1, 13)} == by_month


def test_countries_are_the_ten_of_the_paper(official: pa.Table) -> None:
    """Each country has the number of patches that the official list gives it."""
    assert {
        "Finland": 233_030,
        "Portugal": 99_248,
        "Serbia": 78_015,
        "Lithuania": 58_700,
        "Ireland": 52_653,
        "Austria": 46_403,
        "Belgium": 11_701,
        "Switzerland": 4_955,
        "Luxembourg": 3_481,
        "Kosovo": 2_140,
    } == count(official, "country")


def test_flags_have_the_published_sizes(official: pa.Table) -> None:
    """61,707 patches have snow, 9,280 cloud, none both, 57 no label of the 19."""
    snow, cloud = (
        official["contains_seasonal_snow"],
        official["contains_cloud_or_shadow"],
    )
    without = pc.sum(pc.invert(official["has_ben19"])).as_py()

    assert (61_707, 9_280) == (pc.sum(snow).as_py(), pc.sum(cloud).as_py())
    assert 0 == pc.sum(pc.and_(snow, cloud)).as_py()
    assert 57 == without


def test_excluded_patches_are_those_with_a_reason(
    official: pa.Table, draw: pa.Table
) -> None:
    """Snow and cloud exclude a patch from both schemes, no label of 19 from one."""
    bad = pc.or_(
        official["contains_seasonal_snow"], official["contains_cloud_or_shadow"]
    )
    bad_19 = pc.or_(bad, pc.invert(official["has_ben19"]))

    assert bad_19.equals(pc.equal(official["split"].cast(pa.string()), "excluded"))
    assert bad.equals(pc.equal(draw["split"].cast(pa.string()), "excluded"))


def test_ids_are_sorted_and_unique(official: pa.Table) -> None:
    """Every patch of the archive stands in the table once, in the order of bytes."""
    ids = official["patch_id"].to_pylist()

    assert NUM_PATCHES == len(set(ids))
    assert ids == sorted(ids)


def test_every_patch_is_in_one_split_of_each_scheme(
    official: pa.Table, draw: pa.Table
) -> None:
    """The splits are disjoint and complete: one column without nulls, equal ids."""
    assert official["patch_id"].equals(draw["patch_id"])
    assert (0, 0) == (official["split"].null_count, draw["split"].null_count)


def test_the_random_split_is_what_its_definition_says(draw: pa.Table) -> None:
    """Seed 0 sorts the filtered ids by sha256 of `0:<id>` and cuts at 60 and 80 %."""
    rows = zip(
        draw["patch_id"].to_pylist(),
        draw["contains_seasonal_snow"].to_pylist(),
        draw["contains_cloud_or_shadow"].to_pylist(),
        strict=True,
    )
    ids = [patch_id for patch_id, snow, cloud in rows if not snow and not cloud]
    ids.sort(key=lambda patch_id: hashlib.sha256(b"0:" + patch_id.encode()).digest())
    expected = dict.fromkeys(ids[:311_603], "train")
    expected |= dict.fromkeys(ids[311_603:415_471], "validation")
    expected |= dict.fromkeys(ids[415_471:], "test")

    actual = zip(draw["patch_id"].to_pylist(), draw["split"].to_pylist(), strict=True)

    assert all(expected.get(i, "excluded") == split for i, split in actual)


def test_another_seed_is_another_draw_of_equal_size(draw: pa.Table) -> None:
    """Another seed moves patches between the splits, not in or out of them."""
    before = pc.index_in(draw["split"].cast(pa.string()), pa.array(V1.splits))
    excluded = before.to_numpy() == V1.splits.index("excluded")
    other = splits.draw_random_split(draw["patch_id"], ~excluded, seed=1)
    moved = other != before.to_numpy()

    assert RANDOM_COUNTS == dict(
        zip(V1.splits, np.bincount(other).tolist(), strict=True)
    )
    assert 250_000 < moved.sum() < 320_000
    assert not (moved & excluded).any()


def test_an_unknown_scheme_is_refused() -> None:
    """A scheme that does not exist is an error that shows it."""
    with pytest.raises(OptionError, match="official, random, got 'paper'"):
        splits.load_table(V1, "paper")


def test_the_table_is_small() -> None:
    """The facts of all patches take less than 5 MB in the package."""
    path = resources.files("bigearthnet") / "data" / "patches_v1.parquet"

    assert len(path.read_bytes()) < 5_000_000
