"""Tables of all official ids, as they should be and with one thing wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import V1, V2, Release, splits
from bigearthnet.release.nomenclature import PAPER_COUNTS
from bigearthnet.release.patch_ids import S1_IDS, find_time
from builder.figures.counting import count_figures
from builder.figures.judging import Judgement, judge
from builder.figures.tables import Patches, read_patches
from builder.stats import find_status

# Patches of v1.0 with at least one, two, … twelve labels: as many labels as Table 2
# counts, of which 15 patches have more than 9, and 5 % more than five.
_RANKS = (590_326, 520_000, 390_000, 170_000, 51_976, 28_000, 15, 15, 15, 15, 12, 1)
CHECKS = {V1: "paper", V2: "v2"}


def make_labels_of_paper() -> npt.NDArray[np.uint64]:
    """Label sets, as bits, of which Table 2 is the count.

    Frequent classes come first, patch by patch; the rarest six are the seventh to
    twelfth labels of the few patches that have so many.
    """
    order = np.argsort(PAPER_COUNTS)[::-1]
    counts = np.array(PAPER_COUNTS)[order]
    counts[-6:] -= _RANKS[6:]
    classes = [*np.repeat(order, counts), *np.repeat(order[-6:], _RANKS[6:])]
    masks = np.zeros(_RANKS[0], np.uint64)
    patches = np.concatenate([np.arange(count) for count in _RANKS])
    np.bitwise_or.at(masks, patches, np.uint64(1) << np.array(classes, np.uint64))
    return masks


def make_table(release: Release) -> pa.Table:
    """The table of patches that a store of the whole release has."""
    table = splits.load_table(release, "official")
    if release.label_column is None:
        masks = make_labels_of_paper()
    else:
        masks = splits.read_table(release)[release.label_column].to_numpy()
    bits = (
        masks.astype(np.uint64)[:, None] >> np.arange(43, dtype=np.uint64)
    ) & np.uint64(1)
    ends = np.concatenate([[0], np.cumsum(bits.sum(axis=1))]).astype(np.int32)
    labels = pa.ListArray.from_arrays(ends, np.nonzero(bits)[1].astype(np.uint8))
    columns = {
        name: table[name].cast(pa.string())
        if pa.types.is_dictionary(table[name].type)
        else table[name]
        for name in table.column_names
        if name not in ("has_ben19", "s1_name")
    }
    return pa.table({**columns, "labels": labels})


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[Release, Patches]:
    """The whole table of each release."""
    folder = tmp_path_factory.mktemp("tables")
    read = {}
    for release in CHECKS:
        pq.write_table(make_table(release), folder / f"{release.name}.parquet")
        read[release] = read_patches(folder / f"{release.name}.parquet")
    return read


def replace(patches: Patches, column: str, values: dict[int, object]) -> Patches:
    """The same table with other values in some rows."""
    old = patches.table[column].to_pylist()
    for row, value in values.items():
        old[row] = value
    new = pa.array(old, patches.table.schema.field(column).type)
    number = patches.table.column_names.index(column)
    table = patches.table.set_column(number, column, new)
    return Patches(patches.release, patches.path, table, patches.masks)


def find_different(patches: Patches) -> dict[str, Judgement]:
    """What differs in a table."""
    judged = judge(patches, count_figures(patches), CHECKS[patches.release])
    found = {one.name: one for one in judged if one.verdict == "different"}
    assert find_status(judged) == (1 if found else 0)
    return found


def find_row(patches: Patches, split: str) -> int:
    """The first patch of a split."""
    return int(np.flatnonzero(patches.splits == split)[0])


@pytest.mark.parametrize("release", CHECKS, ids=lambda release: release.name)
def test_the_whole_release_is_what_was_published(
    tables: dict[Release, Patches], release: Release
) -> None:
    """Every figure is equal, and none is left unjudged."""
    patches = tables[release]

    judged = judge(patches, count_figures(patches), CHECKS[release])

    assert {"equal"} == {one.verdict for one in judged}
    assert 0 == find_status(judged)
    assert (70 if release == V1 else 110) < len(judged)


def test_a_class_that_is_short_by_one_is_found(
    tables: dict[Release, Patches],
) -> None:
    """The class is named, with both counts."""
    whole = tables[V1]
    masks = whole.masks.copy()
    row = int(np.flatnonzero(np.bitwise_count(masks) == 4)[0])
    masks[row] &= masks[row] - np.uint64(1)
    lost = int(np.log2(float(whole.masks[row] ^ masks[row])))
    found = find_different(Patches(V1, whole.path, whole.table, masks))

    label = V1.nomenclature.labels[lost]
    assert [f"classes clc43 all {label}"] == list(found)
    (one,) = found.values()
    assert (PAPER_COUNTS[lost], PAPER_COUNTS[lost] - 1) == (one.expected, one.found)


def test_a_season_of_the_radar_date_is_found(tables: dict[Release, Patches]) -> None:
    """A patch whose Sentinel-1 twin is of another season must not have that season."""
    whole = tables[V1]
    names = splits.join_ids(splits.read_table(V1), S1_IDS).to_pylist()
    seasons = whole.table["season"].to_pylist()
    row, season = next(
        (row, of_radar)
        for row, name in enumerate(names)
        if (of_radar := splits.SEASONS[int(find_time(name)[5:7]) % 12 // 3])
        != seasons[row]
    )

    found = find_different(replace(whole, "season", {row: season}))

    assert {f"seasons all {season}", f"seasons all {seasons[row]}"} < set(found)
    one = found["patches with another season"]
    assert 1 == one.found
    patch = whole.table["patch_id"][row]
    assert f"{patch}: expected {seasons[row]}, got {season}" == one.reason


@pytest.mark.parametrize("release", CHECKS, ids=lambda release: release.name)
def test_a_patch_in_the_wrong_split_is_found(
    tables: dict[Release, Patches], release: Release
) -> None:
    """It is named, with both splits."""
    row = find_row(tables[release], "train")

    found = find_different(replace(tables[release], "split", {row: "test"}))

    one = found["patches with another split (official)"]
    assert 1 == one.found
    patch = tables[release].table["patch_id"][row]
    assert f"{patch}: expected train, got test" == one.reason


@pytest.mark.parametrize("release", CHECKS, ids=lambda release: release.name)
def test_patches_that_changed_places_are_found(
    tables: dict[Release, Patches], release: Release
) -> None:
    """Two of train and test are named, although both splits keep their size."""
    rows = [find_row(tables[release], split) for split in ("train", "test")]
    swapped = dict(zip(rows, ("test", "train"), strict=True))

    found = find_different(replace(tables[release], "split", swapped))

    assert 2 == found["patches with another split (official)"].found
    assert not [name for name in found if name.startswith("patches t")]


def test_a_country_of_the_first_release_is_found(
    tables: dict[Release, Patches],
) -> None:
    """One of the 467 patches of v2.0 that lie in another country than v1.0 says."""
    first, whole = tables[V1], tables[V2]
    known = dict(
        zip(
            first.table["patch_id"].to_pylist(),
            first.table["country"].to_pylist(),
            strict=True,
        )
    )
    facts = splits.read_table(V2)
    codec = next(iter(V1.archives)).ids
    older = [
        codec.join(prefix, column, row)
        for prefix, column, row in zip(
            facts["s2v1_prefix"].to_pylist(),
            facts["column"].to_pylist(),
            facts["row"].to_pylist(),
            strict=True,
        )
    ]
    countries = whole.table["country"].to_pylist()
    others = [r for r, name in enumerate(older) if known[name] != countries[r]]
    row = others[0]

    found = find_different(replace(whole, "country", {row: known[older[row]]}))

    assert 467 == len(others)
    assert 1 == found["patches with another country"].found


def test_labels_of_the_second_release_are_compared(
    tables: dict[Release, Patches],
) -> None:
    """Its table says the labels of every patch: two that changed places are found."""
    whole = tables[V2]
    masks = whole.masks.copy()
    train = np.flatnonzero(whole.splits == "train")
    other = next(row for row in train if masks[row] != masks[train[0]])
    masks[[train[0], other]] = masks[[other, train[0]]]

    found = find_different(Patches(V2, whole.path, whole.table, masks))

    assert ["patches with another labels"] == list(found)
    assert 2 == found["patches with another labels"].found


def test_what_is_missing_is_not_judged(tables: dict[Release, Patches]) -> None:
    """Of a part of the release, totals are named with the reason, patches compared."""
    whole = tables[V1]
    part = Patches(
        V1,
        whole.path,
        whole.table.slice(0, 500).drop_columns("country"),
        whole.masks[:500],
    )

    judged = judge(part, count_figures(part), "paper")

    assert 3 == find_status(judged)
    reasons = {one.name: one.reason for one in judged if one.verdict == "not judged"}
    assert "589,826 patches of v1.0 are not there" == reasons["snow all"]
    assert "the table has no such column" == reasons["patches with another country"]
    equal = {one.name for one in judged if one.verdict == "equal"}
    assert {"unknown patch ids", "patches with another season"} < equal


def test_ids_that_are_unknown_or_repeated_are_found(
    tables: dict[Release, Patches],
) -> None:
    """They are counted, and the unknown ones named."""
    names = tables[V1].table["patch_id"].slice(0, 3).to_pylist()
    made_up = "S2A_MSIL2A_20170613T101031_99_99"
    part = Patches(V1, Path("t"), tables[V1].table.slice(0, 3), tables[V1].masks[:3])
    part = replace(part, "patch_id", {1: names[0], 2: made_up})

    judged = {one.name: one for one in judge(part, count_figures(part), "paper")}

    assert (1, made_up) == (
        judged["unknown patch ids"].found,
        judged["unknown patch ids"].reason,
    )
    assert 1 == judged["repeated patch ids"].found


def test_a_check_is_about_one_release(tables: dict[Release, Patches]) -> None:
    """A table of v1.0 is not compared with the figures of v2.0."""
    with pytest.raises(OptionError, match=r"v2 is about release v2\.0"):
        judge(tables[V1], {}, "v2")
