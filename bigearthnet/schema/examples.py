"""Patch → example: the one definition of what is stored, whatever the store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import BEN19, CLC43, remap_ids
from bigearthnet.release.patch_index import PatchFacts
from bigearthnet.schema import rgb
from bigearthnet.schema.features import RGB_SCHEMA, S2_COLUMNS, S2_SCHEMA, Feature
from bigearthnet.source.patch import Patch

Value: TypeAlias = (
    "str | bytes | int | bool | tuple[int, ...]"
    " | npt.NDArray[np.uint16] | npt.NDArray[np.uint8]"
)
# Feature name → value; the names and types are those of a schema in `features`.
Example: TypeAlias = "dict[str, Value]"
MakeExample: TypeAlias = "Callable[[Patch, PatchFacts], Example]"


def make_s2_example(patch: Patch, facts: PatchFacts) -> Example:
    """Returns the example of a patch in `features.S2_SCHEMA`.

    Args:
        patch: The patch; labels are CLC43 class ids.
        facts: What the official lists say of it.
    """
    return {**patch.groups(), **_make_metadata(patch, facts)}


def make_s2_row(patch: Patch, facts: PatchFacts) -> Example:
    """Returns the example in `features.S2_COLUMNS`; `preview` is JPEG bytes."""
    example = make_s2_example(patch, facts)
    preview = rgb.encode_jpeg(rgb.to_rgb(patch.groups()["bands_10m"]))
    return {**example, "preview": preview}


def make_rgb_example(patch: Patch, facts: PatchFacts) -> Example:
    """Returns the example of a patch in `features.RGB_SCHEMA`; `image` is PNG bytes."""
    image = rgb.encode_png(rgb.to_rgb(patch.groups()["bands_10m"]))
    return {"image": image, **_make_metadata(patch, facts)}


def get_make_example(schema: tuple[Feature, ...]) -> MakeExample:
    """Returns the function that makes examples of a schema.

    Raises:
        OptionError: If a package that the schema needs is not installed.
    """
    has_image = any(feature.kind == "image" for feature in schema)
    if has_image and find_spec("PIL") is None:
        raise OptionError("8-bit images need Pillow: install the extra [tfds] or [hf].")
    makers: dict[tuple[Feature, ...], MakeExample] = {
        S2_SCHEMA: make_s2_example,
        S2_COLUMNS: make_s2_row,
        RGB_SCHEMA: make_rgb_example,
    }
    return makers[schema]


def _make_metadata(patch: Patch, facts: PatchFacts) -> Example:
    metadata = patch.metadata
    ulx, uly, lrx, lry = metadata.coordinates
    labels_19, multi_hot_43, multi_hot_19 = _derive_labels(metadata.labels)
    return {
        "patch_id": patch.patch_id,
        "s1_name": facts.s1_name,
        "tile_source": metadata.tile_source,
        "acquisition_date": metadata.acquisition_date,
        "projection": metadata.projection,
        "epsg": metadata.epsg,
        "coordinates/ulx": ulx,
        "coordinates/uly": uly,
        "coordinates/lrx": lrx,
        "coordinates/lry": lry,
        "country": facts.country,
        "season": facts.season,
        "contains_seasonal_snow": facts.contains_seasonal_snow,
        "contains_cloud_or_shadow": facts.contains_cloud_or_shadow,
        "labels": metadata.labels,
        "labels_19": labels_19,
        "multi_hot_43": multi_hot_43,
        "multi_hot_19": multi_hot_19,
    }


@functools.lru_cache(maxsize=4096)
def _derive_labels(
    labels: tuple[int, ...],
) -> tuple[tuple[int, ...], npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Returns BEN19 ids and both vectors, read-only; most label sets come often."""
    labels_19 = remap_ids(labels, CLC43, BEN19)
    vectors = CLC43.multi_hot(labels), BEN19.multi_hot(labels_19)
    for vector in vectors:
        vector.flags.writeable = False
    return labels_19, *vectors


def nest(example: Mapping[str, object]) -> dict[str, object]:
    """Turns `a/b` names into nested dicts, as TensorFlow Datasets takes examples."""
    nested: dict[str, object] = {}
    for name, value in example.items():
        group, _, field = name.rpartition("/")
        parent = nested.setdefault(group, {}) if group else nested
        assert isinstance(parent, dict)
        parent[field] = value
    return nested
