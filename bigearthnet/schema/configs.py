"""The configurations that can be built: which features are stored, in which splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigearthnet.release.bands import GROUPS
from bigearthnet.schema.features import RGB_SCHEMA, S2_COLUMNS, S2_SCHEMA, Feature
from bigearthnet.util.options import look_up

# Version of the stored data: a new major version when existing examples change.
# Starts at 2.0.0 so that nobody takes it for TFDS's built-in 1.0.0.
DATA_VERSION = "2.0.0"


@dataclass(frozen=True)
class Config:
    """One configuration of the dataset.

    Attributes:
        name: Name of the configuration, also in paths.
        scheme: Split scheme; one of `splits.SCHEMES`.
        schema: The features of an example.
        columns: The features of the stores that are tables (Parquet and Arrow); empty
            where the configuration has none.
        supervised_keys: Features of `as_supervised=True`, or None.
        description: One sentence for people.
    """

    name: str
    scheme: str
    schema: tuple[Feature, ...]
    columns: tuple[Feature, ...]
    supervised_keys: tuple[str, str] | None
    description: str


def _columns_without(*names: str) -> tuple[str, ...]:
    """Returns the columns of S2_COLUMNS but for some, groups of fields as one."""
    columns = dict.fromkeys(f.name.partition("/")[0] for f in S2_COLUMNS)
    return tuple(column for column in columns if column not in names)


CONFIGS: Mapping[str, Config] = {
    config.name: config
    for config in (
        Config(
            "s2",
            "official",
            S2_SCHEMA,
            S2_COLUMNS,
            None,
            "12 Sentinel-2 bands at native resolution, official splits.",
        ),
        Config(
            "s2-random",
            "random",
            S2_SCHEMA,
            S2_COLUMNS,
            None,
            "12 Sentinel-2 bands at native resolution, a seeded random 60/20/20 split "
            "of the patches without snow and cloud, which is the paper's protocol.",
        ),
        Config(
            "s2-rgb",
            "official",
            RGB_SCHEMA,
            (),
            ("image", "multi_hot_43"),
            "8-bit RGB images (B04, B03, B02), official splits.",
        ),
    )
}


# Choices of columns that share the files of a Parquet store, by the name that
# `datasets.load_dataset` takes; the first is the default.
VIEWS: Mapping[str, tuple[str, ...]] = {
    "s2-43": _columns_without("labels_19", "multi_hot_19"),
    "s2-19": _columns_without("labels", "multi_hot_43"),
    "s2-10m": ("patch_id", "labels", "multi_hot_43", "bands_10m"),
    "preview": _columns_without(*(group.name for group in GROUPS)),
}


def get_config(name: str) -> Config:
    """Returns a configuration by name.

    Raises:
        OptionError: If there is none of that name.
    """
    return look_up(CONFIGS, name, "config")
