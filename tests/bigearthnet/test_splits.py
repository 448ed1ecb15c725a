from __future__ import annotations

import collections
import hashlib
from importlib import resources

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from bigearthnet import splits
from bigearthnet.errors import OptionError
from bigearthnet.patch import PatchId
from bigearthnet.splits import COUNTRIES, SEASONS, SPLITS, PatchIndex

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
    return splits.load_table()


@pytest.fixture(scope="module")
def draw() -> pa.Table:
    """The table with the random splits of seed 0."""
    return splits.load_table("random")


def count(table: pa.Table, column: str) -> dict[str, int]:
    """How often each value of a column stands there."""
    return {
        row["values"]: row["counts"]
        for row in pc.value_counts(table[column].cast(pa.string())).to_pylist()
    }


def small_table(*patch_ids: str) -> pa.Table:
    """A table of a few patches, all train, summer and Serbia but the last."""
    size = len(patch_ids)
    others = ["test", "winter", "Austria"]
    firsts = ["train", "summer", "Serbia"]
    names = [[a] * (size - 1) + [b] for a, b in zip(firsts, others, strict=True)]
    return pa.table(
        {
            "patch_id": pa.chunked_array([pa.array(patch_ids, pa.string())]),
            "split": names[0],
            "season": names[1],
            "country": names[2],
            "contains_seasonal_snow": [False] * (size - 1) + [True],
            "contains_cloud_or_shadow": [True] * (size - 1) + [False],
            "has_ben19": [True] * size,
            "s1_name": [f"S1 of {patch_id}" for patch_id in patch_ids],
        }
    )


def test_split_names_are_in_stored_order() -> None:
    """Codes of splits, seasons and countries are frozen."""
    assert ("train", "validation", "test", "excluded") == SPLITS
    assert SPLITS[splits.EXCLUDED] == "excluded"
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
    other = splits.load_table("random", seed=1)
    before, after = draw["split"].cast(pa.string()), other["split"].cast(pa.string())
    moved, excluded = pc.not_equal(before, after), pc.equal(before, "excluded")

    assert RANDOM_COUNTS == count(other, "split")
    assert 250_000 < pc.sum(moved).as_py() < 320_000
    assert 0 == pc.sum(pc.and_(moved, excluded)).as_py()


def test_an_unknown_scheme_is_refused() -> None:
    """A scheme that does not exist is an error that shows it."""
    with pytest.raises(OptionError, match="official, random, got 'paper'"):
        splits.load_table("paper")


def test_the_table_is_small() -> None:
    """The facts of all patches take less than 5 MB in the package."""
    path = resources.files("bigearthnet") / "data" / "patches_v1.parquet"

    assert len(path.read_bytes()) < 5_000_000


def test_every_id_is_found_in_its_row(
    official: pa.Table, patch_index: PatchIndex
) -> None:
    """The index gives the row of an id, and the id of a row."""
    ids = official["patch_id"].to_pylist()
    rows = [*range(0, NUM_PATCHES, 10_000), NUM_PATCHES - 1]

    assert NUM_PATCHES == len(patch_index)
    assert rows == [patch_index.find(ids[row]) for row in rows]
    assert [ids[row] for row in rows] == [patch_index.patch_id(row) for row in rows]
    assert ids == patch_index.patch_ids().to_pylist()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "A",
        "zzz",
        "S2A_MSIL2A_20170613T101031_0_4",
        "S2A_MSIL2A_20170613T101031_0_45\0",
        "S2A_MSIL2A_20170613T101031_0_45 ",
        "S2A_MSIL2A_20170613T101031_0_45" * 9,
        "S2A_MSIL2A_20170613T101031_0_\u0664\u0665",
        "\ud800",
        "S2A_MSIL2A_20170613T101031_199_199",
    ],
)
def test_unknown_ids_are_not_found(text: str, patch_index: PatchIndex) -> None:
    """A prefix, a longer text, or any other text has no row."""
    assert patch_index.find("S2A_MSIL2A_20170613T101031_0_45") is not None
    assert patch_index.find(text) is None


def test_facts_of_the_real_patches(
    sample_patches: dict[str, dict[str, bytes]], patch_index: PatchIndex
) -> None:
    """The sample has 4 train patches, 1 test patch and 1 with snow, of 4 countries."""
    actual = {}
    for patch_id in sample_patches:
        row = patch_index.find(patch_id)
        assert row is not None
        facts = patch_index.facts(row)
        names = SPLITS[facts.split], SEASONS[facts.season], COUNTRIES[facts.country]
        flags = facts.contains_seasonal_snow, facts.contains_cloud_or_shadow
        actual[patch_id] = (" ".join(names), *flags)

    assert {
        "S2A_MSIL2A_20170613T101031_87_48": ("test summer Austria", False, False),
        "S2A_MSIL2A_20170617T113321_36_85": ("train summer Ireland", False, False),
        "S2A_MSIL2A_20170617T113321_4_55": ("train summer Ireland", False, False),
        "S2A_MSIL2A_20171221T112501_56_35": ("train winter Portugal", False, False),
        "S2B_MSIL2A_20170924T93020_69_24": ("train autumn Finland", False, False),
        "S2B_MSIL2A_20180204T94161_57_38": ("excluded winter Finland", True, False),
    } == actual


def test_the_s1_name_is_that_of_the_same_place(patch_index: PatchIndex) -> None:
    """The Sentinel-1 patch has its own date and tile, and the same two numbers."""
    row = patch_index.find("S2B_MSIL2A_20180204T94161_57_38")
    assert row is not None

    name = patch_index.facts(row).s1_name

    assert "S1A_IW_GRDH_1SDV_20180204T043253_35VPK_57_38" == name


def test_facts_are_those_of_the_row() -> None:
    """An index of any table gives each row its own values."""
    index = PatchIndex(small_table("a", "ab", "b"))

    found = {i: index.find(i) for i in ("a", "ab", "b", "aa")}

    assert {"a": 0, "ab": 1, "b": 2, "aa": None} == found
    assert (0, 2, 8, False, True, "S1 of ab") == tuple(index.facts(1))
    assert (2, 0, 0, True, False, "S1 of b") == tuple(index.facts(2))


@pytest.mark.parametrize("patch_ids", [("b", "a"), ("a", "a"), ("a", "c", "b")])
def test_an_unsorted_table_is_refused(patch_ids: tuple[str, ...]) -> None:
    """The index searches sorted ids, so unsorted or repeated ones are an error."""
    with pytest.raises(OptionError, match="sorted by unique patch ids"):
        PatchIndex(small_table(*patch_ids))


def test_the_index_is_loaded_once() -> None:
    """Loading the index again gives the same one."""
    assert splits.load_index() is splits.load_index()
