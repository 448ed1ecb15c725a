from __future__ import annotations

import pyarrow as pa
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.formats.columns import make_arrow_schema
from bigearthnet.reading.batches import (
    choose_columns,
    find_stored_columns,
    make_generator,
)
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.features import hf_types

S2_COLUMNS = get_config("s2", RELEASES).columns


def test_columns_of_others_are_left_out() -> None:
    """Only our columns are features; a group is offered field by field, in order."""
    stored = make_arrow_schema(S2_COLUMNS)
    names = ["bands_60m", "coordinates", "patch_id"]
    schema = pa.schema([("mine", pa.int64()), *(stored.field(name) for name in names)])
    found = find_stored_columns(schema, S2_COLUMNS)
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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("bands_60m", pa.list_(pa.list_(pa.list_(pa.float32())))),
        ("bands_60m", pa.list_(pa.list_(pa.uint16()))),
        ("epsg", pa.int64()),
        ("multi_hot_43", pa.string()),
        ("multi_hot_43", pa.list_(pa.uint8(), 42)),
        ("coordinates", pa.int64()),
        ("coordinates", pa.struct([("ulx", pa.float64())])),
        ("preview", pa.binary()),
    ],
)
def test_columns_of_other_types_are_left_out(name: str, kind: pa.DataType) -> None:
    """A column that was changed on the way is not taken for the stored one."""
    schema = pa.schema([("patch_id", pa.string()), (name, kind)])

    assert ["patch_id"] == list(find_stored_columns(schema, S2_COLUMNS))


def test_stored_types_are_known_in_every_form() -> None:
    """All columns are found whether or not `datasets` makes them extension types."""
    import datasets

    types = datasets.Features.from_dict(hf_types(S2_COLUMNS))
    names = [feature.name for feature in S2_COLUMNS]

    assert names == list(find_stored_columns(make_arrow_schema(S2_COLUMNS), S2_COLUMNS))
    assert names == list(find_stored_columns(types.arrow_schema, S2_COLUMNS))


@pytest.mark.parametrize("names", [[], ["mine"]])
def test_a_table_without_our_columns_is_refused(names: list[str]) -> None:
    """The error names the columns that came."""
    schema = pa.schema([(name, pa.string()) for name in names])
    with pytest.raises(OptionError, match=r"no column of BigEarthNet"):
        find_stored_columns(schema, S2_COLUMNS)


def test_all_columns_are_the_default() -> None:
    """None is all columns, a list is the list."""
    features = find_stored_columns(
        pa.schema([("patch_id", pa.string()), ("epsg", pa.int32())]), S2_COLUMNS
    )

    assert ["patch_id", "epsg"] == choose_columns(features, None)
    assert ["epsg", "patch_id"] == choose_columns(features, ("epsg", "patch_id"))
    with pytest.raises(OptionError, match=r"no column 'labels': .*patch_id, epsg"):
        choose_columns(features, ["epsg", "labels"])


def test_each_seed_and_epoch_has_its_own_numbers() -> None:
    """Random numbers repeat with the seed and epoch, and without a seed never."""
    keys = [(0, 0), (0, 1), (1, 0), (None, 0), (None, 0)]
    drawn = [make_generator(*key).integers(2**62) for key in keys]

    assert 5 == len(set(drawn))
    assert drawn[:3] == [make_generator(*key).integers(2**62) for key in keys[:3]]
