"""Which store `load` reads, and what it says when one is missing or damaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import bigearthnet
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ShardError, StoreError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store
from builder.build import build

S2 = get_config("s2", RELEASES)

STORES = ("tfrecord", "arrow", "parquet")
Train = list[tuple[int, list[str]]]


def read_batches(data_dir: Path | str | None, **options: Any) -> list[Any]:
    """Loads all batches of (images, labels) of the split train."""
    return list(bigearthnet.load("train", data_dir, **options).as_numpy_iterator())


def read_numbers(data_dir: Path | str | None, **options: Any) -> list[int]:
    """Loads the numbers of all patches; see `many_train`."""
    batches = read_batches(data_dir, bands="B01", image_size=None, **options)
    return [
        n for images, _ in batches for n in (images["B01"][:, 0, 0] % 5000).tolist()
    ]


def test_a_missing_store_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """The error names the folders of all formats, or of the one asked for."""
    folder = tmp_path / "data"  # not beside the stores of other tests
    with pytest.raises(StoreError) as any_store:
        bigearthnet.load("train", folder, config="s2-random")
    with pytest.raises(StoreError) as arrow:
        bigearthnet.load("train", folder, store="arrow")

    for name in ("bigearthnet/s2-random/2.0.0", "huggingface-random", "arrow-random"):
        assert str(folder / name) in str(any_store.value)
    assert str(folder / "arrow") in str(arrow.value)
    assert "huggingface" not in str(arrow.value)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_missing_or_short_shard_is_found_at_once(
    store: str, damage: str, many_dir: Path, tmp_path: Path
) -> None:
    """A shard that was deleted or cut is an error before anything is read."""
    shutil.copytree(many_dir, tmp_path / "data")
    suffix = {"tfrecord": "s2/2.0.0/*train.*", "arrow": "train/*.arrow"}
    pattern = suffix.get(store, "train-*.parquet")
    shard = sorted((tmp_path / "data").rglob(pattern))[1]
    size = shard.stat().st_size
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:-1])

    with pytest.raises(StoreError, match=f"{shard.name} .*expected {size:,} bytes"):
        bigearthnet.load("train", tmp_path / "data", store=store)


def test_a_store_without_its_table_of_patches_is_refused(
    many_dir: Path, tmp_path: Path
) -> None:
    """Labels that patches may lack need the table of patches, others do not."""
    shutil.copytree(many_dir / "arrow", tmp_path / "arrow")
    (tmp_path / "arrow" / "patches.parquet").unlink()

    assert 1 == len(read_batches(tmp_path, labels="clc_level1", bands="B01"))
    with pytest.raises(ShardError, match=r"arrow/patches\.parquet is missing"):
        bigearthnet.load("train", tmp_path, labels="ben19")


def test_a_damaged_manifest_is_refused(many_dir: Path, tmp_path: Path) -> None:
    """A manifest that cannot be read is an error that names it."""
    shutil.copytree(many_dir / "arrow", tmp_path / "arrow")
    (tmp_path / "arrow" / "manifest.json").write_text("{")

    with pytest.raises(ShardError, match=r"arrow/manifest\.json cannot be read"):
        bigearthnet.load("train", tmp_path)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_damaged_record_is_named(
    shuffle: bool, many_dir: Path, tmp_path: Path
) -> None:
    """A record with a changed byte is an error that says which, and of which file."""
    shutil.copytree(many_dir / "bigearthnet", tmp_path / "bigearthnet")
    path = open_store(tmp_path, S2).shards("train")[1]
    content = bytearray(path.read_bytes())
    content[200_000] ^= 1
    path.write_bytes(content)

    with pytest.raises(
        tf.errors.OpError, match=f"{path.name}: record 1 has a wrong checksum"
    ):
        read_numbers(tmp_path, shuffle=shuffle)


def test_the_data_directory_of_tfds_is_the_default(
    many_dir: Path, many_train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a data directory, $TFDS_DATA_DIR is read; text is a path, too."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(many_dir))
    expected = [number for number, _ in many_train]

    assert expected == read_numbers(None)
    assert expected == read_numbers(str(many_dir))


def test_tfrecord_comes_before_the_other_stores(
    many_dir: Path, many_train: Train, tmp_path: Path
) -> None:
    """With all stores there, TFRecord is read: here the only one that is whole."""
    shutil.copytree(many_dir, tmp_path / "data")
    for shard in (tmp_path / "data").rglob("*"):
        if shard.suffix in {".arrow", ".parquet"} and shard.stem != "patches":
            shard.unlink()

    assert 30 == len(read_numbers(tmp_path / "data"))
    with pytest.raises(StoreError, match="parquet is missing"):
        read_numbers(tmp_path / "data", store="parquet")


@pytest.mark.parametrize("store", STORES)
def test_the_store_that_is_there_is_read(
    store: str, sample_folder: Path, all_stores: Path, tmp_path: Path
) -> None:
    """Where only one format was built, it is read without being named."""
    options = BuildOptions(quiet=True, workers=1)
    build(
        sample_folder,
        tmp_path / "d",
        S2,
        options,
        formats=(store,),
    )
    ((expected, _),) = read_batches(all_stores, store=store, bands="rgb")
    ((found, _),) = read_batches(tmp_path / "d", bands="rgb")

    np.testing.assert_array_equal(expected, found)


def test_without_tensorflow_load_says_what_to_install() -> None:
    """Where TensorFlow is not installed, the package imports and load says so."""
    code = """
        import sys
        sys.modules["tensorflow"] = sys.modules["tensorflow_datasets"] = None
        import bigearthnet
        try:
            bigearthnet.load("train", "nowhere")
        except bigearthnet.OptionError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert "needs TensorFlow" in done.stdout
    assert "[tfds]" in done.stdout


@pytest.mark.parametrize("store", ["arrow", "parquet"])
def test_a_store_that_was_built_again_is_read_anew(
    store: str,
    all_stores: Path,
    fake_patches: dict[str, dict[str, bytes]],
    write_archive: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Files of the same names that were loaded before do not come back."""
    data_dir = tmp_path / "data"
    options = BuildOptions(quiet=True, workers=1)
    source = write_archive(tmp_path, fake_patches)
    build(source, data_dir, S2, options, formats=(store,))
    before = sum(len(labels) for _, labels in read_batches(data_dir, store=store))
    shutil.rmtree(data_dir)
    shutil.copytree(all_stores, data_dir)
    after = sum(len(labels) for _, labels in read_batches(data_dir, store=store))

    assert (2, 4) == (before, after)


def test_arrow_comes_before_parquet(all_stores: Path, tmp_path: Path) -> None:
    """Without TFRecord, the store that is faster to read is taken."""
    shutil.copytree(all_stores, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "bigearthnet")

    assert "arrow" == open_store(tmp_path / "data", S2).format.name
