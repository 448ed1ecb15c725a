from __future__ import annotations

import pytest

from bigearthnet import config
from bigearthnet.errors import OptionError
from bigearthnet.features import RGB_SCHEMA, S2_SCHEMA
from bigearthnet.splits import SCHEMES


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
    chosen = config.get_config(name)
    names = {feature.name for feature in chosen.schema}

    assert set(chosen.supervised_keys or ()) <= names


def test_the_version_is_not_that_of_the_built_in() -> None:
    """Versions start at 2.0.0, so that nobody takes our data for TFDS's 1.0.0."""
    assert (2, 0, 0) <= tuple(map(int, config.DATA_VERSION.split(".")))


@pytest.mark.parametrize("name", config.CONFIGS)
def test_a_config_is_found_by_name(name: str) -> None:
    """`get_config` gives the configuration of that name."""
    assert name == config.get_config(name).name


@pytest.mark.parametrize("name", ["rgb", "", "S2"])
def test_an_unknown_config_is_refused(name: str) -> None:
    """A name that does not exist is an error that shows it and all that do."""
    with pytest.raises(OptionError, match=f"s2, s2-random, s2-rgb, got '{name}'"):
        config.get_config(name)
