"""What all readers offer: patches one by one, slices, and images in numpy."""

from __future__ import annotations

import base64
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.formats import FORMATS
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.patch import Patch
from bigearthnet.reading.reader import Reader
from bigearthnet.release import RELEASES
from bigearthnet.report.composites import make_picture
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.rgb import encode_png
from bigearthnet.store.search import find_store

PORTUGUESE = "S2A_MSIL2A_20171221T112501_56_35"


@pytest.fixture(params=FORMATS)
def reader(request: Any, all_stores: Path) -> Reader:
    """The four real patches of train, of each format."""
    return bigearthnet.open_reader("train", all_stores, store=request.param)


def test_a_reader_says_what_it_is(reader: Reader) -> None:
    """Its text names configuration, patches and columns."""
    assert "Reader of s2: 4 patches of " in repr(reader)
    assert "bands_10m" in repr(reader)


def test_patches_come_by_number_slice_and_one_after_another(reader: Reader) -> None:
    """All of these give the same values, in the same order."""
    (batch,) = reader.batches(4)
    ids = batch["patch_id"].tolist()

    assert ids == [patch["patch_id"] for patch in reader]
    assert ids == [reader[number]["patch_id"] for number in range(4)]
    assert ids[-1] == reader[-1]["patch_id"]
    assert ids[1:3] == reader[1:3]["patch_id"].tolist()
    assert ids[::-1] == reader[[3, 2, 1, 0]]["patch_id"].tolist()
    assert 0 == len(reader[4:]["bands_10m"])
    for patch, number in zip(reader, itertools.count()):
        for name, values in batch.items():
            np.testing.assert_array_equal(values[number], patch[name])


@pytest.mark.parametrize("key", [4, -5])
def test_a_number_out_of_range_is_refused(key: int, reader: Reader) -> None:
    """As with lists, the error is an IndexError."""
    with pytest.raises(IndexError):
        reader[key]


@pytest.mark.parametrize("key", ["B04", 1.5, None])
def test_what_is_no_number_is_refused(key: Any, reader: Reader) -> None:
    """The error says that integers are expected."""
    with pytest.raises(OptionError, match="expected a list of integers"):
        reader[key]


def test_one_name_is_one_column(reader: Reader) -> None:
    """A text is never taken apart into letters."""
    (batch,) = reader.batches(4, "B04")

    assert ["B04"] == list(batch) == list(reader.gather([0], "B04"))


@pytest.mark.parametrize("bands", ["all", "rgb", "B09", ["B08", "B01", "B02"]])
@pytest.mark.parametrize("image_size", [120, None])
def test_images_are_those_of_load(
    bands: Any, image_size: int | None, reader: Reader, all_stores: Path
) -> None:
    """In numpy, without TensorFlow, to the rounding of single precision."""
    options: Any = {"bands": bands, "image_size": image_size, "batch_size": 4}
    expected, _ = next(iter(bigearthnet.load("train", all_stores, **options)))
    found = reader.images([3, 2, 1, 0], bands, image_size)
    if image_size is None:
        assert list(expected) == list(found)
    else:
        expected, found = {"images": expected}, {"images": found}

    for name, values in expected.items():
        assert values.dtype.as_numpy_dtype == found[name].dtype
        np.testing.assert_allclose(values[::-1], found[name], rtol=1e-5, atol=0.01)


def test_images_need_a_configuration(all_stores: Path) -> None:
    """Files that were mapped by hand say how to open them instead."""
    store = find_store(all_stores, "s2", "arrow", None)
    mapped = ArrowReader.map_files(store.shards("train"), store.features)

    with pytest.raises(OptionError, match="open it with open_reader"):
        mapped.images([0])


def test_a_patch_shows_itself(reader: Reader) -> None:
    """A notebook gets a picture, and what is known by name; a terminal a line."""
    patch = next(p for p in reader if p["patch_id"] == PORTUGUESE)
    shown = patch._repr_html_()

    assert "data:image/png;base64," in shown
    assert "Portugal" in shown
    assert "winter" in shown
    for number in patch["labels"]:
        assert bigearthnet.CLC43.labels[number].replace("&", "&amp;") in shown
    assert "country='Portugal'" in repr(patch)
    assert "[[" not in repr(patch)


def test_a_patch_of_radar_shows_itself() -> None:
    """Its backscatter is the picture, as `plot` draws it."""
    config = get_config("v2-s1", RELEASES)
    (group,) = config.groups
    pixels = np.linspace(-30, 5, np.prod(group.shape)).reshape(group.shape)
    features = {feature.name: feature for feature in config.schema}
    patch = Patch({group.name: pixels}, features, config.release.rgb)

    picture = encode_png(
        make_picture(dict(zip(("VV", "VH"), pixels, strict=True)), "sar")
    )
    assert base64.b64encode(picture).decode() in patch._repr_html_()


def test_names_of_classes_stay_apart(reader: Reader) -> None:
    """A notebook separates them by what no name of a class has."""
    patch = next(p for p in reader if p["patch_id"] == PORTUGUESE)
    names = [bigearthnet.BEN19.labels[number] for number in patch["labels_19"]]

    assert any("," in name for name in names)
    assert f">{'; '.join(names)}<" in patch._repr_html_()


def test_a_training_goes_on_with_the_next_orders(thousand_patches: Path) -> None:
    """`first_epoch` begins where an earlier data set would have gone on."""
    options: Any = {"batch_size": 600, "shuffle": True, "seed": 3, "image_size": None}
    train = bigearthnet.load("train", thousand_patches, bands="B01", **options)
    orders = [np.array(next(iter(train))[0]["B01"]) for _ in range(3)]
    later = bigearthnet.load(
        "train", thousand_patches, bands="B01", first_epoch=2, **options
    )

    assert not np.array_equal(orders[0], orders[2])
    np.testing.assert_array_equal(orders[2], next(iter(later))[0]["B01"])
    with pytest.raises(OptionError, match="first_epoch: expected 0 or more, got -1"):
        bigearthnet.load("train", thousand_patches, first_epoch=-1)
