from __future__ import annotations

import dataclasses

import pytest

from bigearthnet.errors import OptionError
from bigearthnet.formats import tables_suffix
from bigearthnet.release import RELEASES, V1, V2
from bigearthnet.release.bands import GROUPS, RADAR
from bigearthnet.release.splits import get_split, read_table
from bigearthnet.schema.configs import Config, get_config, list_configs
from bigearthnet.schema.features import make_columns, make_rgb_schema, make_schema

CONFIGS = list_configs(RELEASES)
S2_FIELDS = set(V1.fields) - {"scene_source", "s1_acquisition_date"}
S1_FIELDS = set(V1.fields) - {"tile_source", "acquisition_date"}
S2_SCHEMA = make_schema(V1, GROUPS, S2_FIELDS)
S2_COLUMNS = make_columns(V1, GROUPS, S2_FIELDS)
S1_COLUMNS = make_columns(V1, (RADAR,), S1_FIELDS)


def test_configs_are_the_published_ones() -> None:
    """Each configuration has its scheme and schema; none has a name of the built-in."""
    actual = {c.name: (c.choice.scheme, c.schema) for c in CONFIGS.values()}
    s2, s1, maps = (archive.groups for archive in V2.archives)

    assert {
        "s2": ("official", S2_SCHEMA),
        "s2-random": ("random", S2_SCHEMA),
        "s2-rgb": ("official", make_rgb_schema(V1, S2_FIELDS)),
        "s1": ("official", radar := make_schema(V1, (RADAR,), S1_FIELDS)),
        "s1-random": ("random", radar),
        "s1s2": ("official", both := make_schema(V1, (*GROUPS, RADAR), V1.fields)),
        "s1s2-random": ("random", both),
        "v2-s2": ("official", make_schema(V2, s2 + maps, V2.fields)),
        "v2-s1": ("official", make_schema(V2, s1, V2.fields)),
        "v2-s1s2": ("official", make_schema(V2, s2 + s1 + maps, V2.fields)),
        "v2-s2-rgb": ("official", make_rgb_schema(V2, V2.fields)),
    } == actual
    assert list(actual) == list(CONFIGS)
    assert not {"rgb", "all"} & set(actual)


def test_schemes_exist() -> None:
    """Every configuration names a split scheme that can be loaded."""
    for chosen in CONFIGS.values():
        splits = get_split(read_table(chosen.release), chosen.choice.scheme)

        assert chosen.release.num_patches == len(splits)
    assert {"official", "random"} == {c.choice.scheme for c in CONFIGS.values()}


@pytest.mark.parametrize("name", CONFIGS)
def test_supervised_keys_are_features(name: str) -> None:
    """What `as_supervised` returns is stored in the configuration."""
    chosen = get_config(name, RELEASES)
    names = {feature.name for feature in chosen.schema}

    assert set(chosen.supervised_keys or ()) <= names


def test_the_version_is_not_that_of_the_built_in() -> None:
    """Nobody takes our data for TFDS's 1.0.0: by its version, or by its names."""
    for config in CONFIGS.values():
        version = tuple(map(int, config.release.data_version.split(".")))
        assert (2, 0, 0) <= version or config.name.startswith("v2-")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_is_found_by_name(name: str) -> None:
    """`get_config` gives the configuration of that name."""
    assert name == get_config(name, RELEASES).name


@pytest.mark.parametrize("name", ["rgb", "", "S3"])
def test_an_unknown_config_is_refused(name: str) -> None:
    """A name that does not exist is an error that shows it and all that do."""
    with pytest.raises(OptionError, match=f"s2, s2-random, s2-rgb, .*got '{name}'"):
        get_config(name, RELEASES)


def test_configs_are_those_of_the_releases_given() -> None:
    """A configuration belongs to its release; of no release there is none."""
    other = dataclasses.replace(V1, name="v9", choices=V1.choices[:1])

    assert Config(other, V1.choices[0]) == get_config("s2", (other,))
    assert ["s2"] == list(list_configs((other,)))
    with pytest.raises(OptionError, match="got 's2'"):
        get_config("s2", ())


def test_a_config_has_the_bands_of_its_archives() -> None:
    """Also that of pictures, which are made of them."""
    for release in RELEASES:
        for chosen in list_configs([release]).values():
            assert set(chosen.archives) <= set(release.archives)
    for name in ("s2", "s2-random", "s2-rgb"):
        assert V1.archives[:1] == get_config(name, [V1]).archives
        assert GROUPS == get_config(name, [V1]).groups
    assert GROUPS == get_config("v2-s2-rgb", [V2]).groups


def test_only_bands_are_stored_as_columns() -> None:
    """The configurations of one sensor have columns, those of pictures have none."""
    found = {name: chosen.columns for name, chosen in list_configs([V1]).items()}
    assert {
        **{"s2": S2_COLUMNS, "s2-random": S2_COLUMNS, "s2-rgb": ()},
        **{"s1": S1_COLUMNS, "s1-random": S1_COLUMNS, "s1s2": (), "s1s2-random": ()},
    } == found
    assert ["v2-s2", "v2-s1"] == [
        c.name for c in list_configs([V2]).values() if c.columns
    ]


def test_folders_of_tables_have_one_config() -> None:
    """No two configurations claim the same folder of tables, or part of one."""
    names = [
        (tables_suffix(config), config.choice.part)
        for config in CONFIGS.values()
        if config.columns
    ]

    assert len(names) == len(set(names))


METADATA = [
    *("s1_name", "tile_source", "acquisition_date", "projection", "epsg"),
    *("coordinates", "country", "season"),
    *("contains_seasonal_snow", "contains_cloud_or_shadow"),
]
BANDS = ["bands_10m", "bands_20m", "bands_60m"]
VIEWS = get_config("s2", RELEASES).views


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
    } == {name: list(columns) for name, columns in VIEWS.items()}
    assert ["s2-43", "s2-19", "s2-10m", "preview"] == list(VIEWS)


def test_views_leave_no_column_out() -> None:
    """Every column is in one of the views."""
    names = {feature.name.partition("/")[0] for feature in S2_COLUMNS}

    assert names == {name for columns in VIEWS.values() for name in columns}
