from __future__ import annotations

from pathlib import Path

import pytest

from bigearthnet import formats
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2 = get_config("s2", RELEASES)

# Format and config → folder below the data directory.
FOLDERS = {
    ("tfrecord", "s2"): "bigearthnet/s2/2.0.0",
    ("tfrecord", "s2-random"): "bigearthnet/s2-random/2.0.0",
    ("tfrecord", "s2-rgb"): "bigearthnet/s2-rgb/2.0.0",
    ("parquet", "s2"): "huggingface",
    ("parquet", "s2-random"): "huggingface-random",
    ("arrow", "s2"): "arrow",
    ("arrow", "s2-random"): "arrow-random",
}


@pytest.mark.parametrize(("form", "config"), FOLDERS)
def test_folders_are_those_that_readers_expect(form: str, config: str) -> None:
    """Each format and split scheme has its folder of the data directory."""
    folder = FORMATS[form].store_folder(Path("/data"), get_config(config, RELEASES))

    assert Path("/data", FOLDERS[form, config]) == folder


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("tfrecord", "bigearthnet-test.tfrecord-00002-of-00032"),
        ("parquet", "s2/test-00002-of-00032.parquet"),
        ("arrow", "test/data-00002-of-00032.arrow"),
    ],
)
def test_shards_have_the_names_that_readers_expect(form: str, name: str) -> None:
    """Each format names its shards by split, number and count, below its folder."""
    assert name == FORMATS[form].shard_file(S2, "test", 2, 32)


def test_a_format_is_found_by_name() -> None:
    """`get_format` gives the format of a name; another name is an error with it."""
    assert ["tfrecord", "parquet", "arrow"] == list(FORMATS)
    assert ["tfrecord", "parquet", "arrow"] == [
        formats.get_format(name).name for name in FORMATS
    ]
    assert [False, True, True] == [form.has_columns for form in FORMATS.values()]
    with pytest.raises(OptionError, match="tfrecord, parquet, arrow, got 'lmdb'"):
        formats.get_format("lmdb")


@pytest.mark.parametrize(
    ("config", "suffix"), [("s2", ""), ("s2-rgb", ""), ("s2-random", "-random")]
)
def test_only_other_schemes_have_a_suffix(config: str, suffix: str) -> None:
    """Names of the official splits are plain, those of others end in the scheme."""
    assert suffix == formats.tables_suffix(get_config(config, RELEASES))
