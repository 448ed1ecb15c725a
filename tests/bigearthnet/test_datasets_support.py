"""What users of `datasets` call in place of a loading script."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest

import bigearthnet
from bigearthnet.errors import BigEarthNetError, OptionError, ShardError, StoreError
from bigearthnet.release import V1
from tests.hub import Hub
from tests.hub.published import URL, publish_folder, run_python

VIEWS = ["s2-43", "s2-19", "s2-10m", "preview", "patches"]
SIX = dataclasses.replace(V1, num_patches=6)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps what `datasets` writes out of the home folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def load(name: str | None, data_dir: Path | str, **options: Any) -> Any:
    """Loads a view."""
    return bigearthnet.load_dataset(name, data_dir=data_dir, **options)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("streaming", [False, True])
def test_it_is_what_datasets_returns(
    view: str, streaming: bool, all_stores: Path
) -> None:
    """Splits, columns, types and values are those of the store's card."""
    split = "patches" if view == "patches" else "train"
    folder = str(all_stores / "huggingface")
    expected = datasets.load_dataset(folder, view, split=split)
    found = load(view, all_stores, split=split, streaming=streaming)

    assert isinstance(found, datasets.IterableDataset) == streaming
    assert found.features == expected.features
    assert list(found) == list(expected)


def test_options_are_passed_on(all_stores: Path) -> None:
    """The first view is the default; slices of splits and columns are `datasets`'."""
    found = load(None, all_stores, split="train[:2]+test", columns=["patch_id"])
    assert found.column_names == ["patch_id"]
    assert len(found) == 3
    assert set(load("s2-19", all_stores)) == {"train", "test", "excluded"}
    folder = all_stores / "huggingface"
    assert len(load("s2-43", str(folder), split="test")) == 1


def test_it_is_built_of_the_archive(
    sample_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies in the manual folder is built once, and is a whole store then."""
    manual = tmp_path / "data/downloads/manual"
    manual.mkdir(parents=True)
    (manual / V1.archive("s2").folder).symlink_to(sample_folder)
    found = load("s2-43", tmp_path / "data", split="train", release=SIX)
    assert len(found) == 4
    assert (tmp_path / "data/huggingface/README.md").is_file()
    shutil.rmtree(manual)
    capsys.readouterr()
    assert len(load("s2-19", tmp_path / "data", split="test", release=SIX)) == 1
    assert capsys.readouterr().err.count("spool") == 0


def test_a_part_of_the_archive_is_not_taken_for_the_whole(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Patches are counted, as `tfds.load` counts them; nothing is left."""
    manual = tmp_path / "downloads/manual"
    manual.mkdir(parents=True)
    (manual / V1.archive("s2").folder).symlink_to(sample_folder)
    with pytest.raises(BigEarthNetError, match="expected 590,326 patches, found 6"):
        load("s2-43", tmp_path, split="train")
    assert [path.name for path in tmp_path.iterdir()] == ["downloads"]


@pytest.mark.parametrize("form", ["arrow", "bigearthnet"])
def test_another_store_spares_the_archive(
    form: str, all_stores: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Parquet is made of the store that is there, and says so."""
    shutil.copytree(all_stores / form, tmp_path / form)
    found = load("preview", tmp_path, split="excluded")

    assert len(found) == 1
    assert f"makes Parquet of {tmp_path / form}" in capsys.readouterr().err
    name = "huggingface/manifest.json"
    assert (tmp_path / name).read_bytes() == (all_stores / name).read_bytes()


def test_a_published_store_is_read_where_it_is(
    hub: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """Each view of a store at a URL has the columns and values of the local one."""
    publish_folder(hub, all_stores / "huggingface")
    code = f"""
import bigearthnet
for view in {VIEWS}:
    split = "patches" if view == "patches" else "train"
    expected, found = (
        bigearthnet.load_dataset(view, split=split, data_dir=place, streaming=True)
        for place in ({str(all_stores)!r}, {URL!r})
    )
    rows = list(expected.reshard())
    print(view, list(found.reshard()) == rows, len(rows), len(rows[0]))
"""
    lines = run_python(hub, tmp_path / "home", code).splitlines()
    expected = [f"{view} True {6 if view == 'patches' else 4}" for view in VIEWS]
    assert expected == [line.rpartition(" ")[0] for line in lines]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"name": "s3"}, OptionError, "of config='s2': expected one of s2-43, s2"),
        ({"name": "s2-43", "split": "tran"}, OptionError, "tran"),
        ({"name": "s2-43", "colums": ["a"]}, OptionError, "colums"),
        ({"name": "s2-43", "data_files": "x"}, OptionError, "data_files"),
        ({"name": "s2-43", "config": "s2-rgb"}, OptionError, "has no Parquet store"),
        ({"name": "s2-43", "config": "s4"}, OptionError, "unknown config"),
        ({"data_dir": "data/bigerthnet"}, OptionError, "no folder .*data/bigerthnet"),
    ],
)
def test_what_has_no_meaning_is_refused(
    options: dict[str, Any],
    kind: type[BigEarthNetError],
    text: str,
    all_stores: Path,
) -> None:
    """Errors are of this package, and name what was given."""
    with pytest.raises(kind, match=text):
        bigearthnet.load_dataset(**{"data_dir": all_stores, **options})


def test_a_damaged_store_is_named(all_stores: Path, tmp_path: Path) -> None:
    """A shard that is no Parquet, and a store of another format, are told apart."""
    store = shutil.copytree(all_stores / "huggingface", tmp_path / "store")
    (shard,) = (store / "s2").glob("train-*")
    shard.write_bytes(b"no Parquet")
    with pytest.raises(ShardError, match=str(store)):
        load("s2-43", store, split="train")
    with pytest.raises(StoreError, match="open it as arrow"):
        load("s2-43", all_stores / "arrow", split="train")
