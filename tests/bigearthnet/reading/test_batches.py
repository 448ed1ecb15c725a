from __future__ import annotations

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.features import S2_COLUMNS
from bigearthnet.reading.batches import (
    check_batch_size,
    choose_columns,
    find_features,
    make_generator,
)


def test_columns_of_others_are_left_out() -> None:
    """Only our columns are features; a group is offered field by field, in order."""
    found = find_features(["mine", "bands_60m", "coordinates", "patch_id"])
    expected = [
        "patch_id",
        "coordinates/ulx",
        "coordinates/uly",
        "coordinates/lrx",
        "coordinates/lry",
        "bands_60m",
    ]

    assert expected == list(found)
    assert all(feature in S2_COLUMNS for feature in found.values())


@pytest.mark.parametrize("names", [[], ["mine"]])
def test_a_table_without_our_columns_is_refused(names: list[str]) -> None:
    """The error names the columns that came."""
    with pytest.raises(OptionError, match=r"no column of BigEarthNet"):
        find_features(names)


def test_all_columns_are_the_default() -> None:
    """None is all columns, a list is the list."""
    features = find_features(["patch_id", "epsg"])

    assert ["patch_id", "epsg"] == choose_columns(features, None)
    assert ["epsg", "patch_id"] == choose_columns(features, ("epsg", "patch_id"))
    with pytest.raises(OptionError, match=r"no column 'labels': .*patch_id, epsg"):
        choose_columns(features, ["epsg", "labels"])


def test_batch_sizes_below_one_are_refused() -> None:
    """One is the smallest batch."""
    check_batch_size(1)
    with pytest.raises(OptionError, match="at least 1, got 0"):
        check_batch_size(0)


def test_each_seed_and_epoch_has_its_own_numbers() -> None:
    """Random numbers repeat with the seed and epoch, and without a seed never."""
    keys = [(0, 0), (0, 1), (1, 0), (None, 0), (None, 0)]
    drawn = [make_generator(*key).integers(2**62) for key in keys]

    assert 5 == len(set(drawn))
    assert drawn[:3] == [make_generator(*key).integers(2**62) for key in keys[:3]]
