from __future__ import annotations

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.release import RELEASES
from bigearthnet.release.splits import SCHEMES
from bigearthnet.schema import configs as config
from bigearthnet.schema.configs import get_config

RGB_SCHEMA = get_config("s2-rgb", RELEASES).schema


S2_COLUMNS = get_config("s2", RELEASES).columns

S2_SCHEMA = get_config("s2", RELEASES).schema


def test_configs_are_the_published_ones() -> None:
    """Each configuration has its scheme and schema; none has a name of the built-in."""
    actual = {c.name: (c.scheme, c.schema) for c in config.CONFIGS.values()}

    assert {
        "s2": ("official", S2_SCHEMA),
        "s2-random": ("random", S2_SCHEMA),
        "s2-rgb": ("official", RGB_SCHEMA),
    } == actual
    assert list(actual) == list(config.CONFIGS)
    assert not {"rgb", "all"} & set(actual)


def test_schemes_exist() -> None:
    """Every configuration names a split scheme that can be loaded."""
    assert set(SCHEMES) == {c.scheme for c in config.CONFIGS.values()}


@pytest.mark.parametrize("name", config.CONFIGS)
def test_supervised_keys_are_features(name: str) -> None:
    """What `as_supervised` returns is stored in the configuration."""
    chosen = config.get_config(name, RELEASES)
    names = {feature.name for feature in chosen.schema}

    assert set(chosen.supervised_keys or ()) <= names


def test_the_version_is_not_that_of_the_built_in() -> None:
    """Versions start at 2.0.0, so that nobody takes our data for TFDS's 1.0.0."""
    assert (2, 0, 0) <= tuple(map(int, config.DATA_VERSION.split(".")))


@pytest.mark.parametrize("name", config.CONFIGS)
def test_a_config_is_found_by_name(name: str) -> None:
    """`get_config` gives the configuration of that name."""
    assert name == config.get_config(name, RELEASES).name


@pytest.mark.parametrize("name", ["rgb", "", "S2"])
def test_an_unknown_config_is_refused(name: str) -> None:
    """A name that does not exist is an error that shows it and all that do."""
    with pytest.raises(OptionError, match=f"s2, s2-random, s2-rgb, got '{name}'"):
        config.get_config(name, RELEASES)


def test_only_bands_are_stored_as_columns() -> None:
    """The configurations with bands have S2_COLUMNS, that of pictures has none."""
    assert {"s2": S2_COLUMNS, "s2-random": S2_COLUMNS, "s2-rgb": ()} == {
        name: chosen.columns for name, chosen in config.CONFIGS.items()
    }


def test_schemes_have_one_config_with_columns() -> None:
    """No two configurations claim the same folder of tables."""
    schemes = [c.scheme for c in config.CONFIGS.values() if c.columns]

    assert len(schemes) == len(set(schemes))


METADATA = [
    *("s1_name", "tile_source", "acquisition_date", "projection", "epsg"),
    *("coordinates", "country", "season"),
    *("contains_seasonal_snow", "contains_cloud_or_shadow"),
]
BANDS = ["bands_10m", "bands_20m", "bands_60m"]


def test_views_are_the_published_ones() -> None:
    """Each view has its columns, in the order of S2_COLUMNS; the first is s2-43."""
    assert {
        "s2-43": ["patch_id", "preview", "labels", "multi_hot_43", *METADATA, *BANDS],
        "s2-19": [
            *("patch_id", "preview", "labels_19", "multi_hot_19"),
            *METADATA,
            *BANDS,
        ],
        "s2-10m": ["patch_id", "labels", "multi_hot_43", "bands_10m"],
        "preview": [
            *("patch_id", "preview", "labels", "labels_19"),
            *("multi_hot_43", "multi_hot_19"),
            *METADATA,
        ],
    } == {name: list(columns) for name, columns in config.VIEWS.items()}
    assert ["s2-43", "s2-19", "s2-10m", "preview"] == list(config.VIEWS)


def test_views_leave_no_column_out() -> None:
    """Every column is in one of the views."""
    names = {feature.name.partition("/")[0] for feature in S2_COLUMNS}

    assert names == {name for columns in config.VIEWS.values() for name in columns}
