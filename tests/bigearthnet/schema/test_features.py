from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bigearthnet.release import RELEASES
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.release.splits import COUNTRIES, SEASONS
from bigearthnet.schema import features
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.features import Feature

S2_SCHEMA = get_config("s2", RELEASES).schema
S2_COLUMNS = get_config("s2", RELEASES).columns
RGB_SCHEMA = get_config("s2-rgb", RELEASES).schema

# Name, kind, dtype and shape of the features that both schemas have.
COMMON = [
    ("patch_id", "text", "int64", ()),
    ("s1_name", "text", "int64", ()),
    ("tile_source", "text", "int64", ()),
    ("acquisition_date", "text", "int64", ()),
    ("projection", "text", "int64", ()),
    ("epsg", "integer", "int32", ()),
    ("coordinates/ulx", "integer", "int64", ()),
    ("coordinates/uly", "integer", "int64", ()),
    ("coordinates/lrx", "integer", "int64", ()),
    ("coordinates/lry", "integer", "int64", ()),
    ("country", "class", "int64", ()),
    ("season", "class", "int64", ()),
    ("contains_seasonal_snow", "bool", "bool", ()),
    ("contains_cloud_or_shadow", "bool", "bool", ()),
    ("labels", "classes", "int64", ()),
    ("labels_19", "classes", "int64", ()),
    ("multi_hot_43", "tensor", "uint8", (43,)),
    ("multi_hot_19", "tensor", "uint8", (19,)),
]
PIXELS = {
    "s2": [
        ("bands_10m", "tensor", "uint16", (4, 120, 120)),
        ("bands_20m", "tensor", "uint16", (6, 60, 60)),
        ("bands_60m", "tensor", "uint16", (2, 20, 20)),
    ],
    "rgb": [("image", "image", "uint8", (120, 120, 3))],
}
SCHEMAS = {"s2": S2_SCHEMA, "rgb": RGB_SCHEMA}
ALL_SCHEMAS = {**SCHEMAS, "columns": S2_COLUMNS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_is_frozen(name: str) -> None:
    """Names, kinds, types and shapes of the stored features are those of 2.0.0."""
    actual = [(f.name, f.kind, f.dtype, f.shape) for f in SCHEMAS[name]]

    assert PIXELS[name] + COMMON == actual


def test_the_columns_are_frozen() -> None:
    """Tables have first what people look at, last the pixels, and a preview."""
    actual = [(f.name, f.kind, f.dtype, f.shape) for f in S2_COLUMNS]
    preview = ("preview", "image", "uint8", (120, 120, 3))

    assert [
        COMMON[0],
        preview,
        *COMMON[-4:],
        *COMMON[1:-4],
        *PIXELS["s2"],
    ] == actual
    assert {f for f in S2_COLUMNS if f.name != "preview"} == set(S2_SCHEMA)


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_class_names_are_in_stored_order(name: str) -> None:
    """The classes of a feature are those of the table or nomenclature it comes from."""
    labels = {f.name: f.labels for f in ALL_SCHEMAS[name] if f.labels}

    assert {
        "country": COUNTRIES,
        "season": SEASONS,
        "labels": CLC43.labels,
        "labels_19": BEN19.labels,
    } == labels


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_every_feature_is_described(name: str) -> None:
    """Each feature says what it means, and has a name of its own."""
    schema = ALL_SCHEMAS[name]

    assert all(feature.description for feature in schema)
    assert len(schema) == len({feature.name for feature in schema})


def test_descriptions_name_the_bands_of_a_group() -> None:
    """The order of bands along the first axis stands there, and in `bands`."""
    descriptions = {f.name: f.description for f in S2_SCHEMA}
    bands = {f.name: f.bands for f in S2_SCHEMA if f.bands}

    assert descriptions["bands_10m"].startswith("B02, B03, B04, B08 as (band, y, x)")
    assert descriptions["bands_60m"].startswith("B01, B09 as (band, y, x)")
    assert {
        "bands_10m": ("B02", "B03", "B04", "B08"),
        "bands_20m": ("B05", "B06", "B07", "B8A", "B11", "B12"),
        "bands_60m": ("B01", "B09"),
    } == bands


def get_tfds_feature(schema: tuple[Feature, ...], name: str) -> Any:
    """The TFDS feature of a name such as `a/b`."""
    found: Any = features.tfds_features(schema)
    for part in name.split("/"):
        found = found[part]
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_tfds_types_are_those_of_the_schema(name: str) -> None:
    """TFDS gets every feature with the same type and shape."""
    for feature in SCHEMAS[name]:
        found = get_tfds_feature(SCHEMAS[name], feature.name)
        numpy = found.np_dtype
        match feature.kind:
            case "text":
                expected: tuple[object, object] = (object, ())
            case "classes":
                expected = (np.int64, (None,))
            case _:
                expected = (np.dtype(feature.dtype), feature.shape)

        assert expected == (object if numpy is str else numpy, found.shape)


def test_tfds_knows_the_class_names() -> None:
    """A class id means the same name in TFDS as in the nomenclature."""
    labels = get_tfds_feature(S2_SCHEMA, "labels").feature

    assert list(CLC43.labels) == labels.names
    assert list(COUNTRIES) == get_tfds_feature(S2_SCHEMA, "country").names


@pytest.mark.parametrize("name", SCHEMAS)
def test_tfds_features_are_stock_ones(name: str) -> None:
    """Data is readable without this package: no feature is of a class of ours."""
    text = str(features.tfds_features(SCHEMAS[name]).to_json())

    assert "tensorflow_datasets" in text
    assert "'bigearthnet" not in text


def test_datasets_has_types_for_every_kind() -> None:
    """Each kind of feature becomes the type of `datasets` that says the same."""
    import datasets
    from datasets import Array3D, ClassLabel, Image, List, Value

    schema = (
        Feature("cube", "tensor", "", dtype="uint16", shape=(2, 3, 4)),
        Feature("vector", "tensor", "", dtype="uint8", shape=(5,)),
        Feature("picture", "image", "", dtype="uint8", shape=(6, 7, 3)),
        Feature("name", "text", ""),
        Feature("group/number", "integer", "", dtype="int32"),
        Feature("group/flag", "bool", "", dtype="bool"),
        Feature("one", "class", "", labels=("b", "a")),
        Feature("any", "classes", "", labels=("c", "d", "e")),
    )
    expected = datasets.Features(
        {
            "cube": Array3D(shape=(2, 3, 4), dtype="uint16"),
            "vector": List(Value("uint8"), length=5),
            "picture": Image(),
            "name": Value("string"),
            "group": {"number": Value("int32"), "flag": Value("bool")},
            "one": ClassLabel(names=["b", "a"]),
            "any": List(ClassLabel(names=["c", "d", "e"])),
        }
    )

    found = datasets.Features.from_dict(features.hf_types(schema))

    assert expected == found
    assert list(expected) == list(found)
    assert expected.arrow_schema.equals(found.arrow_schema, check_metadata=True)


def test_datasets_knows_the_columns() -> None:
    """A few columns have the types, shapes and class names that a user expects."""
    import datasets
    from datasets import Array3D, ClassLabel, Image, List, Value

    found = datasets.Features.from_dict(features.hf_types(S2_COLUMNS))

    assert Array3D(shape=(6, 60, 60), dtype="uint16") == found["bands_20m"]
    assert List(ClassLabel(names=list(CLC43.labels))) == found["labels"]
    assert List(Value("uint8"), length=19) == found["multi_hot_19"]
    assert (
        dict.fromkeys(["ulx", "uly", "lrx", "lry"], Value("int64"))
        == found["coordinates"]
    )
    assert ClassLabel(names=list(SEASONS)) == found["season"]
    assert (Image(), Value("int32")) == (found["preview"], found["epsg"])


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_types_are_as_datasets_writes_them(name: str) -> None:
    """The JSON form, made without `datasets`, is what its own types say of themselves.

    Its keys, too, come in the same order, since they become bytes of the shards.
    """
    import datasets

    types = features.hf_types(ALL_SCHEMAS[name])
    expected = datasets.Features.from_dict(types).to_dict()

    assert json.dumps(expected) == json.dumps(types)


def test_nest_makes_groups_of_slashes() -> None:
    """`a/b` becomes field `b` of the group `a`; other names stay."""
    nested = features.nest({"a/b": 1, "c": 2, "a/d": 3})

    assert {"a": {"b": 1, "d": 3}, "c": 2} == nested
