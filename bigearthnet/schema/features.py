"""The schema of a stored example; the types of each format derive from it.

A change of names, types, shapes or class orders is a new major version of the dataset.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bigearthnet.release import Release
from bigearthnet.release.bands import IMAGE_SIZE, BandGroup
from bigearthnet.release.splits import COUNTRIES, SEASONS

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

Kind = Literal["tensor", "image", "text", "integer", "bool", "class", "classes"]


@dataclass(frozen=True)
class Feature:
    """One typed column of an example.

    Attributes:
        name: Name of the feature; `a/b` is field `b` of the group `a`.
        kind: `tensor` (fixed shape, stored as little-endian bytes), `image` (a PNG or
            JPEG file), `text` (UTF-8), `integer`, `bool`, `class` (one class id) or
            `classes` (ascending class ids, any number of them).
        description: Meaning, with axes and unit.
        dtype: NumPy name of the element type.
        shape: Shape of a tensor or image.
        labels: Class names, in id order.
        bands: Names along the first axis of a tensor of bands.
    """

    name: str
    kind: Kind
    description: str
    dtype: str = "int64"
    shape: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    bands: tuple[str, ...] = ()


# All fields that a release may have beside bands and labels.
_FIELDS = (
    Feature("s1_name", "text", "the Sentinel-1 patch of the same place"),
    Feature("s2v1_name", "text", "the same patch in v1.0"),
    Feature("tile_source", "text", "name of the Level-1C product"),
    Feature("scene_source", "text", "name of the Sentinel-1 product"),
    Feature("acquisition_date", "text", "sensing time, YYYY-MM-DD HH:MM:SS, UTC"),
    Feature(
        "s1_acquisition_date",
        "text",
        "sensing time of the Sentinel-1 patch, YYYY-MM-DD HH:MM:SS, UTC",
    ),
    Feature("projection", "text", "coordinate reference system, WKT"),
    Feature("epsg", "integer", "EPSG code of the projection", dtype="int32"),
    Feature("coordinates/ulx", "integer", "west edge, metres in the UTM zone"),
    Feature("coordinates/uly", "integer", "north edge, metres in the UTM zone"),
    Feature("coordinates/lrx", "integer", "east edge, metres in the UTM zone"),
    Feature("coordinates/lry", "integer", "south edge, metres in the UTM zone"),
    Feature("country", "class", "country of the patch", labels=COUNTRIES),
    Feature("season", "class", "meteorological season of the patch", labels=SEASONS),
    Feature("contains_seasonal_snow", "bool", "on the official list", dtype="bool"),
    Feature("contains_cloud_or_shadow", "bool", "on the official list", dtype="bool"),
)


def make_schema(
    release: Release, groups: Iterable[BandGroup], fields: Collection[str]
) -> tuple[Feature, ...]:
    """Returns the features of an example that stores bands.

    Args:
        release: The release; says labels.
        groups: The bands.
        fields: Those of its fields that are stored.
    """
    bands = _band_features(groups)
    return (*bands, *_id_and_fields(release, fields), *_labels(release))


def make_columns(
    release: Release, groups: Iterable[BandGroup], fields: Collection[str]
) -> tuple[Feature, ...]:
    """Returns the features of the stores that are tables (Parquet, Arrow).

    A picture more than `make_schema`, where the bands have one, and first what people
    look at, since viewers show columns in this order.
    """
    groups = tuple(groups)
    patch_id, *facts = _id_and_fields(release, fields)
    names = {band.name for group in groups for band in group.bands}
    has_picture = bool(release.rgb) and names.issuperset(release.rgb)
    preview = [_picture(release, "preview", "JPEG")] if has_picture else []
    bands = _band_features(groups)
    return (patch_id, *preview, *_labels(release), *facts, *bands)


def make_rgb_schema(release: Release, fields: Collection[str]) -> tuple[Feature, ...]:
    """Returns the features of an example that stores a picture in place of bands."""
    picture = _picture(release, "image", "PNG")
    return (picture, *_id_and_fields(release, fields), *_labels(release))


def _band_features(groups: Iterable[BandGroup]) -> tuple[Feature, ...]:
    return tuple(
        Feature(
            group.name,
            "tensor",
            f"{', '.join(names)} as (band, y, x); {group.unit}",
            dtype=group.dtype,
            shape=group.shape,
            bands=names,
        )
        for group in groups
        for names in [tuple(band.name for band in group.bands)]
    )


def _id_and_fields(release: Release, fields: Collection[str]) -> tuple[Feature, ...]:
    text = f"patch id, for example {release.ids.example}"
    chosen = (f for f in _FIELDS if f.name.partition("/")[0] in fields)
    return (Feature("patch_id", "text", text), *chosen)


def _labels(release: Release) -> tuple[Feature, ...]:
    named = [
        (s, s.nomenclature, s.nomenclature.name.upper()) for s in release.label_sets
    ]
    ids = [
        Feature(s.ids, "classes", f"{title} class ids, ascending", labels=n.labels)
        for s, n, title in named
    ]
    vectors = [
        Feature(
            s.vector,
            "tensor",
            f"1 for each {title} class of the patch, else 0",
            dtype="uint8",
            shape=(len(n),),
        )
        for s, n, title in named
    ]
    return (*ids, *vectors)


def _picture(release: Release, name: str, encoding: str) -> Feature:
    return Feature(
        name,
        "image",
        f"{', '.join(release.rgb)} as (y, x, channel), stretched to 8 bits by "
        f"rgb.STRETCH; {encoding}",
        dtype="uint8",
        shape=(IMAGE_SIZE, IMAGE_SIZE, len(release.rgb)),
    )


def nest(values: Mapping[str, object]) -> dict[str, object]:
    """Turns `a/b` names into nested dicts, as TFDS and `datasets` take them."""
    nested: dict[str, object] = {}
    for name, value in values.items():
        group, _, field = name.rpartition("/")
        parent = nested.setdefault(group, {}) if group else nested
        assert isinstance(parent, dict)
        parent[field] = value
    return nested


def tfds_features(schema: tuple[Feature, ...]) -> tfds.features.FeaturesDict:
    """Returns a schema in the types of TensorFlow Datasets, stock ones only.

    Prepared data is thereby readable in a process that never imports this package.
    """
    import tensorflow_datasets as tfds

    return tfds.features.FeaturesDict(
        nest({feature.name: _tfds_feature(feature) for feature in schema})
    )


def _tfds_feature(feature: Feature) -> object:
    import numpy as np
    import tensorflow_datasets as tfds

    types, doc = tfds.features, feature.description
    dtype, shape = np.dtype(feature.dtype).type, feature.shape
    match feature.kind:
        case "tensor":
            return types.Tensor(shape=shape, dtype=dtype, encoding="bytes", doc=doc)
        case "image":
            return types.Image(shape=shape, dtype=dtype, encoding_format="png", doc=doc)
        case "text":
            return types.Text(doc=doc)
        case "class":
            return types.ClassLabel(names=list(feature.labels), doc=doc)
        case "classes":
            label = types.ClassLabel(names=list(feature.labels))
            return types.Sequence(label, doc=doc)
        case _:
            return types.Scalar(dtype=dtype, doc=doc)


def hf_types(schema: tuple[Feature, ...]) -> dict[str, object]:
    """Returns a schema in the JSON form that `datasets` keeps its types in.

    Shards carry it and are written without `datasets`, so that their bytes do not
    depend on its version; `datasets` is the oracle in the tests.

    Returns:
        Feature name → type; a group such as `coordinates` is a dict of its fields.
    """
    return nest({feature.name: _hf_type(feature) for feature in schema})


def _hf_type(feature: Feature) -> dict[str, object]:
    value: dict[str, object] = {"dtype": feature.dtype, "_type": "Value"}
    match feature.kind:
        case "tensor" if len(feature.shape) == 3:
            shape = list(feature.shape)
            return {"shape": shape, "dtype": feature.dtype, "_type": "Array3D"}
        case "tensor":
            (length,) = feature.shape
            return {"feature": value, "length": length, "_type": "List"}
        case "image":
            return {"_type": "Image"}
        case "text":
            return {"dtype": "string", "_type": "Value"}
        case "class":
            return {"names": list(feature.labels), "_type": "ClassLabel"}
        case "classes":
            label = {"names": list(feature.labels), "_type": "ClassLabel"}
            return {"feature": label, "_type": "List"}
        case _:
            return value
