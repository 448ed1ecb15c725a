from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bigearthnet import store as stores
from bigearthnet.errors import OptionError, ShardError, StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, V1
from bigearthnet.schema.configs import get_config
from bigearthnet.store import Store, search
from bigearthnet.store.compatibility import describe_meaning

S2 = get_config("s2", RELEASES)

DATA_VERSION = V1.data_version

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
CONTENTS = {"a-0": b"four", "a-1": b"sixsix", "b-0": b""}
ROWS = {"a-0": 3, "a-1": 4, "b-0": 3}


def make_manifest(form: str, config: str) -> dict[str, Any]:
    """A manifest of CONTENTS: splits `a` of two shards and `b` of one."""
    return {
        "release": "v1.0",
        "config": config,
        "format": form,
        "splits": {"a": {"rows": 7}, "b": {"rows": 3}},
        "files": [
            {
                "name": name,
                "split": name[0],
                "rows": ROWS[name],
                "bytes": len(content),
                "data_bytes": 0,
                "sha256": "0",
            }
            for name, content in CONTENTS.items()
        ],
        "patches": {"sha256": "1", "quarantined": 0},
        "version": DATA_VERSION,
        "facts": describe_meaning(S2),
    }


FILES = make_manifest("parquet", "s2")["files"]


def make_store(
    data_dir: Path, form: str, config: str = "s2", said: str | None = None
) -> Path:
    """Makes the store of a format and config; its manifest may say another config."""
    folder = data_dir / FOLDERS[form, config]
    folder.mkdir(parents=True)
    manifest = make_manifest(form, said or config)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "statistics.json").write_text(
        '{"bands": {}, "split": "a", "num_patches": 7}'
    )
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def open_made(tmp_path: Path) -> Store:
    """A Parquet store of CONTENTS."""
    return stores.read_store(make_store(tmp_path, "parquet"), RELEASES)


def test_every_finished_store_is_found(tmp_path: Path) -> None:
    """All formats and configs of a data directory are found, unfinished ones not."""
    made = {make_store(tmp_path, form, config) for form, config in FOLDERS}
    (tmp_path / "arrow" / "manifest.json").unlink()

    found = search.find_stores(tmp_path, RELEASES)

    assert made - {tmp_path / "arrow"} == {store.folder for store in found}
    assert len(found) == len({store.folder for store in found})


def test_nothing_found_is_an_error(tmp_path: Path) -> None:
    """A directory without a finished store is an error that names it."""
    (tmp_path / "huggingface").mkdir()

    with pytest.raises(StoreError, match=f"no store in {re.escape(str(tmp_path))}"):
        search.find_stores(tmp_path, RELEASES)


def test_the_first_format_that_is_there_is_opened(tmp_path: Path) -> None:
    """TFRecord is preferred to Arrow, and Arrow, which is faster, to Parquet."""
    opened = []
    for form in ("parquet", "arrow", "tfrecord"):
        make_store(tmp_path, form)
        opened.append(search.open_store(tmp_path, S2).format.name)

    assert ["parquet", "arrow", "tfrecord"] == opened


@pytest.mark.parametrize("form", FORMATS)
def test_a_chosen_format_is_opened(form: str, tmp_path: Path) -> None:
    """A format that is asked for is opened, whatever else is there."""
    for other in FORMATS:
        make_store(tmp_path, other)
    store = search.open_store(tmp_path, S2, form)

    assert form == store.format.name
    assert tmp_path / FOLDERS[form, "s2"] == store.folder


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    """A format that does not exist is an error that names it."""
    with pytest.raises(OptionError, match="got 'lmdb'"):
        search.open_store(tmp_path, S2, "lmdb")


@pytest.mark.parametrize("form", [None, "parquet"])
def test_nothing_there_is_an_error_that_names_the_folders(
    form: str | None, tmp_path: Path
) -> None:
    """The error says config, every folder that was looked into, and the command."""
    if form:
        make_store(tmp_path, "tfrecord")
    forms = [form] if form else ["tfrecord", "arrow", "parquet"]
    folders = [FOLDERS[name, "s2"] for name in forms]

    with pytest.raises(StoreError) as caught:
        search.open_store(tmp_path, S2, form)

    message = str(caught.value)
    assert f"no store of config s2 in {tmp_path}" in message
    assert f"in {', '.join(str(tmp_path / folder) for folder in folders)}." in message
    assert f"--data_dir={tmp_path} --config=s2" in message
    assert (form is not None) == ("--formats=" in message)


def test_a_store_of_another_config_is_not_opened(tmp_path: Path) -> None:
    """A folder that says it holds another config is passed over."""
    make_store(tmp_path, "parquet", said="s2-random")

    with pytest.raises(StoreError, match="no store of config s2 in"):
        search.open_store(tmp_path, S2)

    make_store(tmp_path, "arrow")

    assert "arrow" == search.open_store(tmp_path, S2).format.name


@pytest.mark.parametrize(("form", "config"), FOLDERS)
def test_the_folder_of_a_store_is_as_good_as_its_data_directory(
    form: str, config: str, tmp_path: Path
) -> None:
    """A store is opened where it was moved to, with its format named or not."""
    chosen = get_config(config, RELEASES)
    moved = make_store(tmp_path, form, config).rename(tmp_path / "my-ben")

    assert moved == search.open_store(moved, chosen).folder
    assert form == search.open_store(moved, chosen, form).format.name
    assert [moved] == [store.folder for store in search.find_stores(moved, RELEASES)]


def test_a_store_that_was_not_asked_for_is_named(tmp_path: Path) -> None:
    """The error says config and format of the folder, and how to read it."""
    folder = make_store(tmp_path, "parquet", "s2-random").rename(tmp_path / "my-ben")
    found = f"{folder} is a store of config s2-random in the format parquet: expected"

    with pytest.raises(StoreError, match=f'{found} config s2.*config="s2-random"'):
        search.open_store(folder, S2)
    with pytest.raises(StoreError, match=f"{found} .*format arrow.*as parquet"):
        search.open_store(folder, get_config("s2-random", RELEASES), "arrow")


def test_stores_nearby_are_named(tmp_path: Path) -> None:
    """Where there is no store, the error names those of other configs and places."""
    folder = make_store(tmp_path / "data", "parquet", "s2-random")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | {"dataset": "bigearthnet"}
    path.write_text(json.dumps(manifest))

    for data_dir in (tmp_path / "data", tmp_path / "dta"):
        with pytest.raises(StoreError, match=f"{folder} .config s2-random, parquet"):
            search.open_store(data_dir, S2)
    with pytest.raises(StoreError, match=f"{folder} .config s2-random, parquet"):
        search.find_stores(tmp_path / "dta", RELEASES)


def test_a_manifest_of_another_program_is_no_store(tmp_path: Path) -> None:
    """A data directory may hold a manifest.json that is none of ours."""
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    folder = make_store(tmp_path, "arrow")

    assert folder == search.open_store(tmp_path, S2).folder
    assert [folder] == [s.folder for s in search.find_stores(tmp_path, RELEASES)]


def test_a_config_without_columns_has_no_column_store(tmp_path: Path) -> None:
    """The config s2-rgb is not looked for where s2 is stored as columns."""
    make_store(tmp_path, "parquet")

    with pytest.raises(StoreError) as caught:
        search.open_store(tmp_path, get_config("s2-rgb", RELEASES))
    with pytest.raises(OptionError, match="s2-rgb has no parquet store: expected tfr"):
        search.open_store(tmp_path, get_config("s2-rgb", RELEASES), "parquet")

    assert f"in {tmp_path / FOLDERS['tfrecord', 's2-rgb']}." in str(caught.value)
    assert str(tmp_path / "huggingface") not in str(caught.value)


def test_a_store_says_what_it_holds(tmp_path: Path) -> None:
    """Name, splits, files and numbers of patches are those of the manifest."""
    store = open_made(tmp_path)

    assert ("s2", "parquet", ("a", "b")) == (
        store.config.name,
        store.format.name,
        store.splits,
    )
    assert [["a-0", "a-1"], ["b-0"], []] == [
        [file["name"] for file in store.files(split)] for split in "abc"
    ]
    assert [7, 3, 0] == [store.num_patches(split) for split in "abc"]
    assert {"bands": {}, "split": "a", "num_patches": 7} == store.statistics


def test_shards_are_the_files_of_a_split(tmp_path: Path) -> None:
    """The shards of a split come in order, as paths."""
    store = open_made(tmp_path)

    assert [store.folder / "a-0", store.folder / "a-1"] == store.shards("a")


def test_a_missing_shard_is_an_error(tmp_path: Path) -> None:
    """A shard that is gone is named, with the size it had; other splits are good."""
    store = open_made(tmp_path)
    (store.folder / "a-1").unlink()

    with pytest.raises(StoreError, match="a-1 is missing: expected 6 bytes"):
        store.shards("a")

    assert [store.folder / "b-0"] == store.shards("b")


def test_a_shard_of_another_size_is_an_error(tmp_path: Path) -> None:
    """A shard that was cut is named, with both sizes."""
    store = open_made(tmp_path)
    (store.folder / "a-0").write_bytes(b"fou")

    with pytest.raises(StoreError, match="a-0 has 3 bytes: expected 4 bytes"):
        store.shards("a")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    """A split that has no patch is an error that names it and those that have."""
    with pytest.raises(
        OptionError, match=r"no split 'c' in .*: expected one of a, b\."
    ):
        open_made(tmp_path).shards("c")


@pytest.mark.parametrize(
    "change",
    [
        {"release": None},
        {"config": "rgb"},
        {"format": "lmdb"},
        {"splits": ["a"]},
        {"splits": {"a": {"rows": "7"}}},
        {"patches": {}},
        {"patches": {"sha256": 1}},
        {"files": None},
        {"files": FILES[1:]},
        {"splits": {"a": {"rows": 7}}},
        *(
            {"files": [FILES[0] | wrong, *FILES[1:]]}
            for wrong in (
                {"name": "/etc/passwd"},
                {"name": "../a-0"},
                {"name": "s2/../../a-0"},
                {"name": ".."},
                {"name": None},
                {"split": 1},
                {"bytes": "4"},
                {"data_bytes": 0.5},
                {"rows": None},
            )
        ),
    ],
)
def test_a_foreign_manifest_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    """A manifest that says what ours never says is an error that names it."""
    folder = make_store(tmp_path, "parquet")
    path = folder / "manifest.json"
    path.write_text(json.dumps(make_manifest("parquet", "s2") | change))

    with pytest.raises(ShardError, match=r"manifest\.json is damaged"):
        stores.read_store(folder, RELEASES)


def test_a_store_of_an_unknown_release_is_refused(tmp_path: Path) -> None:
    """A release that was not asked for is an error that names it and the store."""
    folder = make_store(tmp_path, "parquet")
    path = folder / "manifest.json"
    path.write_text(json.dumps(make_manifest("parquet", "s2") | {"release": "v9"}))

    for read in (
        lambda: stores.read_store(folder, RELEASES),
        lambda: search.find_stores(tmp_path, RELEASES),
    ):
        with pytest.raises(StoreError, match=f"{folder} is a store of .*release 'v9'"):
            read()


@pytest.mark.parametrize("name", ["manifest.json", "statistics.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b"3"])
def test_damaged_json_is_an_error(
    name: str, content: bytes | None, tmp_path: Path
) -> None:
    """A JSON file that is gone, cut or something else is an error that names it."""
    folder = make_store(tmp_path, "parquet")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)

    with pytest.raises(ShardError, match=re.escape(str(folder / name))):
        stores.read_store(folder, RELEASES)


def test_the_default_directory_is_that_of_tfds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """$TFDS_DATA_DIR is honoured, ~ in it too; else it is TFDS's folder of the home."""
    monkeypatch.setenv("HOME", "/home/someone")
    found = []
    for value in ("/data", "~/data"):
        monkeypatch.setenv("TFDS_DATA_DIR", value)
        found.append(search.default_data_dir())
    monkeypatch.delenv("TFDS_DATA_DIR")
    found.append(search.default_data_dir())

    home = Path("/home/someone")
    assert [Path("/data"), home / "data", home / "tensorflow_datasets"] == found
