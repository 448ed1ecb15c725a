"""The package's table of v2.0 against facts of the two official ones."""

from __future__ import annotations

import collections
import datetime
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from bigearthnet.engine.keys import hash_key, num_shards
from bigearthnet.release import V1, V2
from bigearthnet.release.patch_ids import NAME_FIELDS, S1_IDS
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.release.splits import COUNTRIES, SEASONS, load_table, read_table

COUNTS = {
    "train": 237_871,
    "validation": 122_342,
    "test": 119_825,
    "excluded_train": 34_673,
    "excluded_validation": 17_235,
    "excluded_test": 17_542,
}
# Patches without snow, clouds and shadow: train, validation, test of each class.
CLASS_COUNTS = (
    (33626, 17308, 12824),
    (6398, 2726, 2018),
    (88236, 49737, 50052),
    (15190, 8688, 5710),
    (42968, 25915, 26722),
    (51034, 26486, 22078),
    (60127, 32736, 29846),
    (15082, 8157, 9942),
    (64164, 35387, 36377),
    (76344, 39554, 39043),
    (78791, 42705, 44284),
    (6984, 2687, 2211),
    (6329, 3806, 3759),
    (64198, 36429, 40523),
    (738, 426, 152),
    (11344, 5056, 4519),
    (670, 610, 117),
    (30466, 15900, 16846),
    (35914, 14064, 11854),
)
COUNTRY_COUNTS = {
    "Austria": (24972, 10649, 8176),
    "Belgium": (7837, 3217, 142),
    "Finland": (74293, 40132, 40802),
    "Ireland": (22482, 12687, 13157),
    "Kosovo": (849, 487, 280),
    "Lithuania": (23170, 12128, 13067),
    "Luxembourg": (1888, 1131, 441),
    "Portugal": (43721, 22862, 23209),
    "Serbia": (36967, 17906, 18512),
    "Switzerland": (1692, 1143, 2039),
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """The compact table."""
    return read_table(V2)


@pytest.fixture(scope="module")
def index() -> PatchIndex:
    """The patches of v2.0."""
    return load_index(V2, "official")


def count_by_split(
    index: PatchIndex, chosen: npt.NDArray[np.bool_] | bool = True
) -> list[int]:
    """How many of some patches are in each split."""
    splits = np.where(chosen, index.splits, len(V2.splits))
    return np.bincount(splits, minlength=len(V2.splits) + 1)[:-1].tolist()


def flag(table: pa.Table, name: str) -> Any:
    """A column of flags."""
    return table[name].to_numpy()


def test_the_table_is_small() -> None:
    """It takes less than a megabyte of the package."""
    path = resources.files("bigearthnet") / "data" / V2.table

    assert len(path.read_bytes()) < 1_000_000


def test_the_archives_are_the_published_ones() -> None:
    """Names, sizes and checksums are those of Zenodo record 10891137."""
    assert [
        ("BigEarthNet-S2.tar.zst", 63_251_710_377, "2245ed2d1a93f6ce637d839bc856396e"),
        ("BigEarthNet-S1.tar.zst", 54_439_153_171, "a55eaa2cdf6a917e296bd6601ec1e348"),
        ("Reference_Maps.tar.zst", 282_391_301, "95d85a222fa983faddcac51a19f28917"),
    ] == [(a.filenames[0], a.nbytes, a.digest.hexdigest) for a in V2.archives]
    assert {"md5"} == {archive.digest.algorithm for archive in V2.archives}
    assert all(a.url.endswith(f"/{a.filenames[0]}") for a in V2.archives)


def test_names_are_unique(table: pa.Table, index: PatchIndex) -> None:
    """Each of the three names of a patch is its own, and finds it."""
    assert 549_488 == V2.num_patches == len(index)
    for ids in (V2.ids, *NAME_FIELDS.values()):
        names = index.names(ids).take(np.arange(len(index))).to_pylist()
        assert len(index) == len(set(names))
        assert all(map(ids.matches, names[::5_000]))
        rows = range(0, len(index), 5_000)
        assert [*rows] == [index.names(ids).find(names[row]) for row in rows]


def test_splits_have_the_official_sizes(table: pa.Table, index: PatchIndex) -> None:
    """Patches with snow, or clouds and shadow, have a split of their own."""
    snow = flag(table, "contains_seasonal_snow")
    cloud = flag(table, "contains_cloud_or_shadow")

    assert COUNTS == dict(zip(V2.splits, count_by_split(index), strict=True))
    assert [0, 0, 0, 29_148, 15_452, 16_173] == count_by_split(index, snow)
    assert [0, 0, 0, 5_525, 1_783, 1_369] == count_by_split(index, cloud)
    assert not (snow & cloud).any()


def test_shards_and_first_patches(index: PatchIndex) -> None:
    """Splits are cut into shards, and begin with the patch of the smallest key."""
    first = {}
    for code, split in enumerate(V2.kept_splits):
        ids = index.patch_ids(np.flatnonzero(index.splits == code)).to_pylist()
        first[split] = min(ids, key=lambda name: hash_key(split, name))

    assert [64, 32, 32, 16, 8, 8] == [num_shards(count) for count in COUNTS.values()]
    assert {
        "train": "S2B_MSIL2A_20180525T094029_N9999_R036_T35VNH_59_04",
        "validation": "S2B_MSIL2A_20180224T112109_N9999_R037_T29SNC_48_72",
        "test": "S2B_MSIL2A_20180515T112109_N9999_R037_T29SNC_49_37",
    } == first


def test_products_tiles_and_numbers(table: pa.Table) -> None:
    """There are 115 products of 54 tiles, and 357 of Sentinel-1."""
    prefixes = table["prefix"].combine_chunks().dictionary.to_pylist()
    s1 = table["s1_prefix"].combine_chunks().dictionary.to_pylist()
    numbers = np.concatenate([table[n].to_numpy() for n in ("column", "row")])
    platforms = collections.Counter(
        name[:3] for name in table["s1_prefix"].cast(pa.string()).to_pylist()
    )

    assert (115, 54) == (len(prefixes), len({p.rpartition("_")[2] for p in prefixes}))
    assert 357 == len(s1)
    assert (0, 90) == (numbers.min(), numbers.max())
    assert {"S1A": 328_344, "S1B": 221_144} == platforms


def test_every_class_has_the_official_patches(index: PatchIndex) -> None:
    """Classes are in the order of CLC codes, and their patches those of the tables."""
    masks = index.labels
    assert masks is not None
    has = (masks[:, None] >> np.arange(19, dtype=np.uint64) & np.uint64(1)).astype(bool)
    found = [count_by_split(index, has[:, number]) for number in range(19)]
    excluded = np.sum([row[3:] for row in found], axis=0).tolist()

    assert list(CLASS_COUNTS) == [tuple(row[:3]) for row in found]
    assert [102_571, 51_765, 52_980] == excluded
    assert 5_452 == len(np.unique(masks))
    assert (1, 11) == (has.sum(axis=1).min(), has.sum(axis=1).max())


def test_countries_are_the_official_ones(index: PatchIndex) -> None:
    """Ten countries have the patches that the tables give them."""
    found = {
        name: tuple(count_by_split(index, index.countries == code)[:3])
        for code, name in enumerate(COUNTRIES)
    }

    assert COUNTRY_COUNTS == found


def test_seasons_are_those_of_the_date(table: pa.Table) -> None:
    """The month in the patch id makes the season."""
    counts = np.bincount(table["season"].to_numpy()).tolist()

    assert {
        "spring": 177_865,
        "autumn": 151_979,
        "winter": 115_253,
        "summer": 104_391,
    } == dict(zip(SEASONS, counts, strict=True))


def test_sensors_see_a_patch_within_days(index: PatchIndex) -> None:
    """The times of both names are 4.68 to 137.8 hours apart, by the median 17.13."""
    rows = np.arange(len(index))
    s2, s1 = (
        np.array(index.names(ids).times(rows), "M8[s]") for ids in (V2.ids, S1_IDS)
    )
    hours = np.abs(s2 - s1) / np.timedelta64(datetime.timedelta(hours=1))

    assert (4.68, 17.13, 137.8) == (
        round(hours.min(), 2),
        round(float(np.median(hours)), 2),
        round(hours.max(), 1),
    )


def test_patches_are_those_of_the_first_release(index: PatchIndex) -> None:
    """Names of Sentinel-1 and flags are v1's; splits and 467 countries are not."""
    first, old = load_table(V1, "official"), load_index(V1, "official")
    names = index.names(NAME_FIELDS["s2v1_name"]).take(np.arange(len(index)))
    rows = np.array([old.find(name) for name in names.to_pylist()])
    same = first.take(rows)
    facts = index.describe(np.arange(len(index))).fields
    counts = np.zeros((len(V1.splits), len(V2.splits)), int)
    np.add.at(counts, (old.splits[rows], index.splits), 1)

    assert same["s1_name"].to_pylist() == facts["s1_name"]
    for name in ("contains_seasonal_snow", "contains_cloud_or_shadow"):
        assert same[name].to_pylist() == facts[name]
    assert 467 == (old.countries[rows] != index.countries).sum()
    assert 40_838 == len(old) - len(set(rows.tolist()))
    assert [
        [125_699, 62_089, 60_886],
        [55_640, 29_855, 29_269],
        [56_532, 30_398, 29_670],
        [0, 0, 0],
    ] == counts[:, :3].tolist()
    assert [0, 0, 0, 69_450] == counts[:, 3:].sum(axis=1).tolist()
    assert (
        71_860
        == ((load_index(V1, "random").splits[rows] == 0) & (index.splits == 2)).sum()
    )


def test_facts_of_a_patch(index: PatchIndex) -> None:
    """Names and times of a patch come from the table alone."""
    patch_id = "S2A_MSIL2A_20170613T101031_N9999_R022_T34VER_00_45"
    row = index.find(patch_id)
    assert row is not None
    (described,) = index.describe([row])

    assert patch_id == described.patch_id == index.patch_id(row)
    assert described.fields == index.facts(row)
    assert {
        "s1_name": "S1B_IW_GRDH_1SDV_20170613T160455_34VER_0_45",
        "s2v1_name": "S2A_MSIL2A_20170613T101031_0_45",
        "acquisition_date": "2017-06-13 10:10:31",
        "s1_acquisition_date": "2017-06-13 16:04:55",
    }.items() <= index.facts(row).items()
    assert ("Marine waters",) == V2.nomenclature.decode(described.labels)
