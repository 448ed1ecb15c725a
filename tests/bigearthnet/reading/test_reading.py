"""`open_reader`: a split of whichever store is there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.formats import FORMATS
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.parquet import ParquetReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from builder.verify import verify

# Format → its reader, and the folder of its store.
READERS = {
    "tfrecord": (TFRecordReader, "bigearthnet"),
    "arrow": (ArrowReader, "arrow"),
    "parquet": (ParquetReader, "huggingface"),
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_store_gives_the_same_patches(form: str, all_stores: Path) -> None:
    """The store that is named is read, with the values that all others have."""
    columns = ["patch_id", "bands_20m", "B04", "multi_hot_19"]
    expected = next(ArrowReader.open("train", all_stores).batches(4, columns))
    reader = bigearthnet.open_reader("train", str(all_stores), store=form)
    (found,) = reader.batches(4, columns)

    assert isinstance(reader, READERS[form][0])
    assert 4 == len(reader)
    for name in columns:
        assert expected[name].dtype == found[name].dtype
        np.testing.assert_array_equal(expected[name], found[name])


def test_the_first_store_that_is_there_is_read(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name it is TFRecord, Arrow, Parquet, below $TFDS_DATA_DIR."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    for _, folder in READERS.values():
        shutil.copytree(all_stores / folder, tmp_path / folder)
    for kind, folder in READERS.values():
        assert isinstance(bigearthnet.open_reader("test"), kind)
        shutil.rmtree(tmp_path / folder)

    with pytest.raises(StoreError, match="no store of config s2"):
        bigearthnet.open_reader("test")


@pytest.mark.parametrize("form", FORMATS)
def test_the_folder_of_a_store_is_read(
    form: str, all_stores: Path, tmp_path: Path
) -> None:
    """A store that was moved is read like its data directory, and so by its reader."""
    kind, _ = READERS[form]
    config = get_config("s2", RELEASES)
    folder = FORMATS[form].store_folder(all_stores, config)
    shutil.copytree(folder, moved := tmp_path / "my-ben")
    readers = [bigearthnet.open_reader("train", moved)]
    if form != "parquet":
        readers.append(kind.open("train", moved))

    assert [(kind, 4)] * len(readers) == [(type(r), len(r)) for r in readers]


def test_the_snapshot_of_a_hub_is_read(all_stores: Path, tmp_path: Path) -> None:
    """Files may be links to blobs, and a store may have no provenance.json."""
    pytest.importorskip("tensorflow")
    snapshot = tmp_path / "datasets--me--ben" / "snapshots" / "0123abc"
    blobs = tmp_path / "datasets--me--ben" / "blobs"
    blobs.mkdir(parents=True)
    for number, path in enumerate(sorted((all_stores / "huggingface").rglob("*.*"))):
        if path.name != "provenance.json":
            link = snapshot / path.relative_to(all_stores / "huggingface")
            link.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, blobs / str(number))
            link.symlink_to(os.path.relpath(blobs / str(number), link.parent))
    (batch,) = bigearthnet.load("train", snapshot, labels="ben19")
    differences = [r for r in verify(snapshot, quiet=True) if r.num_differences]

    assert (4, 19) == batch[1].shape
    assert [] == differences


def test_what_is_not_there_is_refused(all_stores: Path) -> None:
    """The error says what there is: of splits, formats and configurations."""
    with pytest.raises(OptionError, match=r"'validation'.*train, test, excluded"):
        bigearthnet.open_reader("validation", all_stores)
    with pytest.raises(OptionError, match="tfrecord, parquet, arrow, got 'lmdb'"):
        bigearthnet.open_reader("train", all_stores, store="lmdb")
    with pytest.raises(OptionError, match=r"unknown config.*s2-rgb, got 's3'"):
        bigearthnet.open_reader("train", all_stores, config="s3")
    with pytest.raises(StoreError, match="no store of config s2-random"):
        bigearthnet.open_reader("train", all_stores, config="s2-random")


def test_a_store_of_another_release_is_refused(all_stores: Path) -> None:
    """The release that is passed is the one that a store must be of."""
    v1 = bigearthnet.V1
    other = dataclasses.replace(v1, name="v9")

    assert 4 == len(bigearthnet.open_reader("train", all_stores, release=v1))
    with pytest.raises(StoreError, match=r"unknown release 'v1\.0': expected v9"):
        bigearthnet.open_reader("train", all_stores, release=other)


@pytest.mark.parametrize("form", FORMATS)
def test_neither_tensorflow_nor_datasets_is_needed(form: str, all_stores: Path) -> None:
    """Every store is read where neither can be imported."""
    code = """
        import sys
        for name in ("datasets", "tensorflow", "tensorflow_datasets"):
            sys.modules[name] = None
        import bigearthnet
        reader = bigearthnet.open_reader("test", sys.argv[1], store=sys.argv[2])
        print(next(reader.batches(4))["bands_20m"].shape)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(all_stores), form],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "(1, 6, 60, 60)" == done.stdout.strip()


@pytest.mark.parametrize(
    "open_split",
    [bigearthnet.open_reader, ArrowReader.open, TFRecordReader.open, bigearthnet.load],
)
def test_data_directories_are_paths_of_this_machine(
    open_split: Callable[..., Any], all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`file://` is understood, a bucket refused, also in $TFDS_DATA_DIR."""
    assert open_split("train", all_stores.as_uri()) is not None
    for url in ("ftp://bucket/data", Path("s3://bucket/data")):
        message = r"expected a path on this machine|only Parquet stores are streamed"
        with pytest.raises(OptionError, match=message):
            open_split("train", url)
    monkeypatch.setenv("TFDS_DATA_DIR", "gs://bucket/data")
    with pytest.raises(OptionError, match=r"^TFDS_DATA_DIR: expected a path on this"):
        open_split("train")
