from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import V1
from bigearthnet.release.patch_ids import S1_IDS, IdCodec
from bigearthnet.release.patch_index import Names, PatchIndex, load_index
from bigearthnet.release.splits import COUNTRIES, SEASONS, load_table

NUM_PATCHES = 590_326


@pytest.fixture(scope="module")
def official() -> pa.Table:
    """The table of the official scheme."""
    return load_table(V1, "official")


def test_every_id_is_found_in_its_row(
    official: pa.Table, patch_index: PatchIndex
) -> None:
    """The index gives the row of an id, and the id of a row."""
    ids = official["patch_id"].to_pylist()
    rows = [*range(0, NUM_PATCHES, 10_000), NUM_PATCHES - 1]

    assert NUM_PATCHES == len(patch_index)
    assert rows == [patch_index.find(ids[row]) for row in rows]
    assert [ids[row] for row in rows] == [patch_index.patch_id(row) for row in rows]
    assert ids == patch_index.patch_ids(np.arange(NUM_PATCHES)).to_pylist()


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
        "S2A_MSIL2A_20170613T101031_00_45",
        "S2A_MSIL2A_20170613T101031_0_45_",
        "S2A_MSIL2A_20170613T101031__45",
        "S2A_MSIL2A_20170613T101031_-1_45",
        "S2A_MSIL2A_20170613T101031_0_128",
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
        season, country = SEASONS[facts["season"]], COUNTRIES[facts["country"]]
        flags = facts["contains_seasonal_snow"], facts["contains_cloud_or_shadow"]
        actual[patch_id] = (f"{patch_index.split(row)} {season} {country}", *flags)

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

    name = patch_index.facts(row)["s1_name"]

    assert "S1A_IW_GRDH_1SDV_20180204T043253_35VPK_57_38" == name


def test_facts_are_those_of_the_table(
    official: pa.Table, patch_index: PatchIndex
) -> None:
    """Every hundredth patch has the facts that its row of the table shows."""
    for row in range(0, NUM_PATCHES, 100):
        expected = {name: official[name][row].as_py() for name in official.column_names}
        facts = patch_index.facts(row)
        actual = {
            "patch_id": patch_index.patch_id(row),
            **facts,
            "split": patch_index.split(row),
            "season": SEASONS[facts["season"]],
            "country": COUNTRIES[facts["country"]],
            "has_ben19": expected["has_ben19"],
        }
        assert expected == actual
        assert [type(expected[name]) for name in expected] == [
            type(actual[name]) for name in expected
        ]


def test_every_archive_has_its_own_names(
    official: pa.Table, patch_index: PatchIndex
) -> None:
    """Rows are found by the Sentinel-1 names, too, and by no other archive's."""
    names = patch_index.names(S1_IDS)
    rows = [*range(0, NUM_PATCHES, 10_000), NUM_PATCHES - 1]
    expected = official["s1_name"].take(rows).to_pylist()

    assert expected == [names.name(row) for row in rows]
    assert expected == names.take(np.array(rows)).to_pylist()
    assert rows == [names.find(name) for name in expected]
    assert {None} == {patch_index.find(name) for name in expected}
    assert names is patch_index.names(S1_IDS)


def test_the_random_scheme_has_its_own_splits() -> None:
    """The index of the random scheme counts the paper's proportions."""
    counts = np.bincount(load_index(V1, "random").splits).tolist()

    assert [311_603, 103_868, 103_868, 70_987] == counts


def test_the_index_is_loaded_once() -> None:
    """Loading the index again gives the same one."""
    assert load_index(V1, "official") is load_index(V1, "official")


def test_an_unknown_scheme_is_refused() -> None:
    """A scheme that does not exist is an error that shows it."""
    with pytest.raises(OptionError, match="got 'paper'"):
        load_index(V1, "paper")


@pytest.mark.parametrize(("digits", "name"), [(1, "a_b_9_7"), (2, "a_b_09_07")])
def test_a_name_is_written_in_one_way(digits: int, name: str) -> None:
    """A name is found as the archive writes it, and in no other way."""
    ids = IdCodec(r".*", name, "prefix", digits)
    table = pa.table(
        {
            "prefix": pa.array(["a_b", "a_b"]).dictionary_encode(),
            "column": pa.array([1, 9], pa.uint8()),
            "row": pa.array([2, 7], pa.uint8()),
        }
    )
    names = Names(table, ids)
    others = ["a_b_9_7", "a_b_09_7", "a_b_9_07", "a_b_009_07", "a_b_09_07", "a_b_9_+7"]
    others += ["a_b_9_", "a_b_9", "", "9", "a_b_9_1000", "a_b_9_\u0667", "a_b_8_7"]

    assert 1 == names.find(name)
    assert name == names.name(1)
    assert {None} == {names.find(other) for other in others if other != name}
