from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.release.nomenclature import BEN19, CLC43
from bigearthnet.report.given import take_patch, walk_patches

pytest.importorskip("tensorflow")

LAKE = "S2B_MSIL2A_20170924T93020_69_24"


def from_reader(data_dir: Path) -> Any:
    """Patches of a reader."""
    return bigearthnet.open_reader("train", data_dir)


def from_single_bands(data_dir: Path) -> Iterator[Any]:
    """Batches of columns and single bands."""
    reader = bigearthnet.open_reader("train", data_dir)
    return reader.batches(3, ["patch_id", "labels", "multi_hot_43", "B04", "B8A"])


def from_datasets(data_dir: Path) -> Any:
    """Rows of `datasets`."""
    return bigearthnet.load_dataset("s2-43", data_dir=data_dir, split="train")


def from_datasets_as_numpy(data_dir: Path) -> Any:
    """The same, as arrays."""
    return from_datasets(data_dir).with_format("numpy")


def from_tfds(data_dir: Path) -> Any:
    """Examples of TFDS."""
    import tensorflow_datasets as tfds

    return tfds.load("bigearthnet", split="train", data_dir=data_dir)


def from_tfds_batches(data_dir: Path) -> Any:
    """The same in batches, in which class ids are padded with zeros."""
    return from_tfds(data_dir).padded_batch(3)


def from_to_tf(data_dir: Path) -> Any:
    """Batches of all columns."""
    return bigearthnet.to_tf(bigearthnet.open_reader("train", data_dir), batch_size=3)


def from_load(data_dir: Path) -> Any:
    """Batches of images and vectors."""
    return bigearthnet.load("train", data_dir, batch_size=3)


def from_load_groups(data_dir: Path) -> Any:
    """The same with bands as they are stored."""
    return bigearthnet.load("train", data_dir, image_size=None, batch_size=3)


@pytest.mark.parametrize(
    "open_data",
    [
        from_reader,
        from_single_bands,
        from_datasets,
        from_datasets_as_numpy,
        from_tfds,
        from_tfds_batches,
        from_to_tf,
        from_load,
        from_load_groups,
    ],
)
def test_every_library_gives_the_same_patches(
    all_stores: Path, open_data: Callable[[Path], Any]
) -> None:
    """Bands and labels are those that the reader has, batches or not."""
    expected = [take_patch(patch) for patch in from_reader(all_stores)]
    found = [take_patch(patch) for patch in walk_patches(open_data(all_stores))]

    def key(given: Any) -> tuple[Any, ...]:
        return int(given.bands["B04"].astype(int).sum()), given.labels

    assert 4 == len(found)
    assert sorted(map(key, expected)) == sorted(map(key, found))
    with_id = [given for given in found if given.facts]
    for given in with_id:
        same = next(
            e for e in expected if e.facts["patch_id"] == given.facts["patch_id"]
        )
        assert same.labels == given.labels
        assert given.facts.items() <= same.facts.items()
        np.testing.assert_array_equal(same.bands["B8A"], given.bands["B8A"])


@pytest.mark.parametrize(
    ("channels", "bands", "names"),
    [
        (2, None, ["VV", "VH"]),
        (3, None, ["B04", "B03", "B02"]),
        (3, ["B08", "B04", "B03"], ["B08", "B04", "B03"]),
        (14, None, [*(band.name for band in bigearthnet.BANDS), "VV", "VH"]),
    ],
)
@pytest.mark.parametrize("is_torch", [False, True])
def test_channels_of_an_image_are_bands(
    channels: int, bands: list[str] | None, names: list[str], is_torch: bool
) -> None:
    """In the order of `load`, or the one that is said; in either layout of axes."""
    image = np.zeros((8, 8, channels), np.float32) + np.arange(channels)
    found = take_patch(np.moveaxis(image, -1, 0) if is_torch else image, bands).bands

    assert names == list(found)
    assert list(range(channels)) == [band[3, 4] for band in found.values()]


def test_vectors_of_labels_are_named() -> None:
    """By their length, or by the nomenclature that is said: orders differ."""
    image, vector = np.zeros((4, 4, 3), np.float32), np.eye(19, dtype=np.uint8)[3]

    assert (BEN19.labels[3],) == take_patch((image, vector)).labels
    other = take_patch((image, vector), nomenclature="ben19_alphabetical").labels
    assert (sorted(BEN19.labels)[3],) == other
    both = take_patch({"labels": [3], "labels_19": [0]})
    assert (CLC43.labels[3],) == both.labels


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (np.zeros((5, 8, 8, 3)), "shape .5, 8, 8, 3.*show"),
        (np.zeros((8, 8, 5)), "5 channels"),
        ({"bands_10m": np.zeros((2, 4, 120, 120))}, "got a batch"),
        ("patch", "expected a patch"),
        ((np.zeros((8, 8, 3)), np.zeros(7)), "expected a vector of 43, 19, 15 or 5"),
    ],
)
def test_what_is_no_patch_is_refused(example: Any, message: str) -> None:
    """The error says what came and what to pass."""
    with pytest.raises(OptionError, match=message):
        take_patch(example)


@pytest.mark.parametrize("source", [{"train": []}, 7])
def test_what_is_no_data_set_is_refused(source: Any) -> None:
    """A mapping of splits, or a number, is no data set."""
    with pytest.raises(OptionError, match="expected a data set or a reader"):
        list(walk_patches(source))
