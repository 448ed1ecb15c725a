from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError

STORES = ("tfrecord", "arrow", "parquet")
Train = list[tuple[int, list[str]]]


def read_batches(data_dir: Path, split: str = "train", **options: Any) -> list[Any]:
    """Loads all batches of (images, labels)."""
    return list(bigearthnet.load(split, data_dir, **options).as_numpy_iterator())


def read_numbers(data_dir: Path, split: str = "train", **options: Any) -> list[Any]:
    """Loads the numbers of the patches of each batch; see `many_train`."""
    batches = read_batches(data_dir, split, bands="B01", image_size=None, **options)
    return [(images["B01"][:, 0, 0] % 5000).tolist() for images, _ in batches]


def flatten(batches: list[list[int]]) -> list[int]:
    """Joins batches."""
    return [number for batch in batches for number in batch]


@pytest.mark.parametrize("store", STORES)
def test_every_patch_comes_once_in_the_order_of_the_store(
    store: str, many_dir: Path, many_train: Train
) -> None:
    """All stores give the same batches across shards, the last one short."""
    numbers = [number for number, _ in many_train]
    expected = [numbers[start : start + 8] for start in range(0, 30, 8)]

    assert expected == read_numbers(many_dir, store=store, batch_size=8)
    assert [numbers] == read_numbers(many_dir, store=store)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_all_stores_say_how_many_batches_there_are(
    store: str, shuffle: bool, many_dir: Path
) -> None:
    """The cardinality is the number of batches, the short one included."""
    dataset = bigearthnet.load(
        "train", many_dir, batch_size=8, shuffle=shuffle, store=store
    )

    assert 4 == dataset.cardinality().numpy()
    assert [8, 8, 8, 6] == [len(labels) for _, labels in dataset]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("labels", ["clc43", "ben19"])
def test_the_element_spec_says_shapes_and_types(
    store: str, labels: str, many_dir: Path
) -> None:
    """Only the number of patches of a batch is open in the shapes."""
    import tensorflow as tf

    def get_spec(**options: Any) -> Any:
        return bigearthnet.load(
            "train", many_dir, labels=labels, store=store, **options
        ).element_spec

    vectors = tf.TensorSpec((None, 43 if labels == "clc43" else 19), tf.uint8)
    image = tf.TensorSpec((None, 120, 120, 12), tf.float32)
    few = tf.TensorSpec((None, 120, 120, 2), tf.float32)
    groups = {
        "bands_10m": tf.TensorSpec((None, 4, 120, 120), tf.uint16),
        "bands_20m": tf.TensorSpec((None, 6, 60, 60), tf.uint16),
        "bands_60m": tf.TensorSpec((None, 2, 20, 20), tf.uint16),
    }
    bands = {
        "B09": tf.TensorSpec((None, 20, 20), tf.uint16),
        "B02": tf.TensorSpec((None, 120, 120), tf.uint16),
    }

    assert (image, vectors) == get_spec()
    assert (few, vectors) == get_spec(bands=["B09", "B02"])
    assert (groups, vectors) == get_spec(image_size=None)
    assert (bands, vectors) == get_spec(bands=["b09", "B02"], image_size=None)


def test_autotuning_is_off(many_dir: Path) -> None:
    """What pauses at the end of epochs does not run, unless it is asked for."""
    import tensorflow as tf

    dataset = bigearthnet.load("train", many_dir)
    options = tf.data.Options()
    options.autotune.enabled = True

    assert dataset.map(lambda x, y: y).options().autotune.enabled is False
    assert dataset.with_options(options).options().autotune.enabled is True


def test_the_element_spec_of_pictures(many_dir: Path) -> None:
    """The config s2-rgb gives pictures of 8 bits."""
    import tensorflow as tf

    dataset = bigearthnet.load("train", many_dir, config="s2-rgb", bands="rgb")

    assert (
        tf.TensorSpec((None, 120, 120, 3), tf.uint8),
        tf.TensorSpec((None, 43), tf.uint8),
    ) == dataset.element_spec
    assert 1 == dataset.cardinality().numpy()


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("labels", ["ben19", "ben19_alphabetical"])
def test_ben19_drops_patches_without_a_label_and_keeps_batches_whole(
    store: str,
    labels: str,
    many_dir: Path,
    many_train: Train,
    class_table: list[dict[str, str]],
) -> None:
    """Patches without a BEN19 label go; every batch but the last is full."""
    kept = {row["level3_label"] for row in class_table if row["ben19_label"]}
    numbers = [number for number, names in many_train if kept & set(names)]
    expected = [numbers[start : start + 8] for start in range(0, len(numbers), 8)]
    options: dict[str, Any] = {"labels": labels, "batch_size": 8, "store": store}
    dataset = bigearthnet.load("train", many_dir, **options)

    assert 20 == len(numbers)
    assert expected == read_numbers(many_dir, **options)
    assert 3 == dataset.cardinality().numpy()
    assert all(y.any(axis=1).all() for _, y in read_batches(many_dir, **options))


@pytest.mark.parametrize("store", STORES)
def test_keep_empty_keeps_patches_without_a_label(
    store: str, many_dir: Path, many_train: Train
) -> None:
    """With keep_empty, patches without a BEN19 label have a vector of zeros."""
    options: dict[str, Any] = {
        "labels": "ben19",
        "batch_size": 8,
        "store": store,
        "keep_empty": True,
    }
    expected = [number for number, _ in many_train]
    vectors = np.concatenate(
        [labels for _, labels in read_batches(many_dir, **options)]
    )

    assert expected == flatten(read_numbers(many_dir, **options))
    assert 10 == (~vectors.any(axis=1)).sum()
    assert 4 == bigearthnet.load("train", many_dir, **options).cardinality().numpy()


def test_ben19_drops_pictures_without_a_label(many_dir: Path) -> None:
    """Pictures are dropped like bands, whole batches of them too."""
    batches = read_batches(
        many_dir,
        "validation",
        config="s2-rgb",
        bands="rgb",
        labels="ben19",
        batch_size=1,
    )

    assert [(1, 120, 120, 3)] == [images.shape for images, _ in batches]
    assert [1] == [labels.any(axis=1).sum() for _, labels in batches]


@pytest.mark.parametrize("store", STORES)
def test_a_split_without_any_label_is_empty(store: str, many_shards: Path) -> None:
    """Where no patch has a BEN19 label there are no batches."""
    options: dict[str, Any] = {"labels": "ben19", "store": store}
    dataset = bigearthnet.load("excluded", many_shards, **options)

    assert 0 == dataset.cardinality().numpy()
    assert [] == read_batches(many_shards, "excluded", **options)
    assert 1 == len(read_batches(many_shards, "excluded", store=store))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": "B10"}, "unknown band.*'B10'"),
        ({"bands": ["B02", "b03", "b2"]}, "unknown band.*B8A.*'b2'"),
        ({"bands": ["B02", "b02"]}, "each once.*b02"),
        ({"bands": ["B02", "B8A", "B02"]}, "each once.*B8A"),
        ({"bands": []}, r"at least one.*got \[\]"),
        ({"bands": None}, "unknown band.*all, rgb, or a list.*got None"),
        ({"bands": 3}, "unknown band.*got 3"),
        ({"labels": ""}, "unknown labels.*got ''"),
        ({"labels": "clc"}, "unknown labels.*ben19_alphabetical.*'clc'"),
        ({"image_size": 64}, "120 or None, got 64"),
        ({"batch_size": 0}, "at least 1, got 0"),
        ({"batch_size": -1}, "at least 1, got -1"),
        ({"config": "s3"}, "unknown config.*s2-rgb.*'s3'"),
        ({"store": "zarr"}, "expected one of tfrecord, parquet, arrow, got 'zarr'"),
        ({"split": "ALL"}, "'ALL'.*expected one of train, validation"),
        ({"split": "excluded"}, "'excluded'.*expected one of train, validation"),
        ({"config": "s2-rgb", "bands": ["B04"]}, "bands='rgb' and image_size=120, got"),
        ({"config": "s2-rgb", "store": "arrow"}, "has no arrow store"),
        ({"batch_size": 2.5}, "batch_size: expected at least 1, got 2.5"),
        ({"batch_size": True}, "batch_size: expected at least 1, got True"),
        ({"seed": -1}, "seed: expected 0 or more, or None, got -1"),
        ({"config": "s2-rgb", "bands": ["B04", "B03", "B02"]}, "bands='rgb'"),
        (
            {"config": "s2-rgb", "bands": "rgb", "image_size": None},
            "got 'rgb' and None",
        ),
    ],
)
def test_an_option_without_meaning_is_refused(
    options: dict[str, Any], message: str, many_dir: Path
) -> None:
    """The error names the option, what came and what is expected."""
    with pytest.raises(OptionError, match=message):
        bigearthnet.load(**{"split": "train", "data_dir": many_dir, **options})
