"""The configurations that can be built: which features are stored, in which splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bigearthnet.errors import OptionError
from bigearthnet.features import RGB_SCHEMA, S2_SCHEMA, Feature

# Version of the stored data: a new major version when existing examples change.
# Starts at 2.0.0 so that nobody takes it for TFDS's built-in 1.0.0.
DATA_VERSION = "2.0.0"


@dataclass(frozen=True)
class Config:
    """One configuration of the dataset.

    Attributes:
        name: Name of the configuration, also in paths.
        scheme: Split scheme; one of `splits.SCHEMES`.
        schema: The stored features.
        supervised_keys: Features of `as_supervised=True`, or None.
        description: One sentence for people.
    """

    name: str
    scheme: str
    schema: tuple[Feature, ...]
    supervised_keys: tuple[str, str] | None
    description: str


CONFIGS: Mapping[str, Config] = {
    config.name: config
    for config in (
        Config(
            "s2",
            "official",
            S2_SCHEMA,
            None,
            "12 Sentinel-2 bands at native resolution, official splits.",
        ),
        Config(
            "s2-random",
            "random",
            S2_SCHEMA,
            None,
            "12 Sentinel-2 bands at native resolution, a seeded random 60/20/20 split "
            "of the patches without snow and cloud, which is the paper's protocol.",
        ),
        Config(
            "s2-rgb",
            "official",
            RGB_SCHEMA,
            ("image", "multi_hot_43"),
            "8-bit RGB images (B04, B03, B02), official splits.",
        ),
    )
}


def get_config(name: str) -> Config:
    """Returns a configuration by name.

    Raises:
        OptionError: If there is none of that name.
    """
    try:
        return CONFIGS[name]
    except KeyError:
        raise OptionError(
            f"unknown config: expected one of {', '.join(CONFIGS)}, got {name!r}."
        ) from None
