"""`load` against a reference: rasterio, Pillow, and labels by name."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import bigearthnet
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.rgb import to_rgb

SPLITS = V1.splits

ALL = [
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B11",
    "B12",
]
GROUPS = {
    "bands_10m": ["B02", "B03", "B04", "B08"],
    "bands_20m": ["B05", "B06", "B07", "B8A", "B11", "B12"],
    "bands_60m": ["B01", "B09"],
}
# What is asked for → the channels.
BANDS: list[tuple[str | list[str], list[str]]] = [
    ("all", ALL),
    ("rgb", ["B04", "B03", "B02"]),
    ("B8A", ["B8A"]),
    (["B09"], ["B09"]),
    (["B05", "B02", "B09"], ["B05", "B02", "B09"]),
    (ALL[::-1], ALL[::-1]),
]
# Name of the labels → column of the class table, and whether sorted by name.
LABELS = {
    "clc43": ("level3_label", False),
    "ben19": ("ben19_label", False),
    "clc_level2": ("level2_label", False),
    "clc_level1": ("level1_label", False),
    "clc43_alphabetical": ("level3_label", True),
    "ben19_alphabetical": ("ben19_label", True),
}
STORES = ("tfrecord", "arrow", "parquet")
# Digital numbers.
TOLERANCE = 0.01


@dataclass
class Reference:
    """One patch: band → stored pixels, band → resampled pixels, label names."""

    pixels: dict[str, np.ndarray]
    images: dict[str, np.ndarray]
    labels: list[str]


def read_reference(folder: Path) -> Reference:
    """Reads the folder of a patch, slowly and obviously."""
    import rasterio
    from PIL import Image

    pixels, images = {}, {}
    for band in ALL:
        with rasterio.open(folder / f"{folder.name}_{band}.tif") as file:
            pixels[band] = file.read(1)
        image = Image.fromarray(pixels[band].astype(np.float32))
        images[band] = np.asarray(image.resize((120, 120), Image.Resampling.BICUBIC))
    text = (folder / f"{folder.name}_labels_metadata.json").read_text()
    return Reference(pixels, images, json.loads(text)["labels"])


def read_split(folder: Path, index: PatchIndex, split: str) -> list[Reference]:
    """Reads the patches of a split, in the order of TFDS: by md5 of split and id."""
    found = []
    for patch in folder.iterdir():
        row = index.find(patch.name)
        if row is not None and SPLITS[index.splits[row]] == split:
            key = hashlib.md5(f"{split}{patch.name}".encode()).digest()
            found.append((key, read_reference(patch)))
    return [reference for _, reference in sorted(found, key=lambda item: item[0])]


@pytest.fixture(scope="module")
def train(sample_folder: Path, patch_index: PatchIndex) -> list[Reference]:
    """The four train patches of the real sample."""
    found = read_split(sample_folder, patch_index, "train")
    assert 4 == len(found)
    return found


def make_vectors(
    table: list[dict[str, str]], patches: list[list[str]], labels: str
) -> list[list[int]]:
    """Makes the vectors of some patches' label names, name by name."""
    column, is_sorted = LABELS[labels]
    becomes = {row["level3_label"]: row[column] for row in table}
    classes = [name for name in dict.fromkeys(becomes.values()) if name]
    if is_sorted:
        classes.sort()
    return [
        [int(name in {becomes[label] for label in patch}) for name in classes]
        for patch in patches
    ]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("labels", LABELS)
def test_images_and_labels_equal_the_reference(
    store: str,
    labels: str,
    train: list[Reference],
    class_table: list[dict[str, str]],
    all_stores: Path,
) -> None:
    """Images of 120 pixels and their labels are those of rasterio, Pillow and JSON."""
    vectors = make_vectors(class_table, [patch.labels for patch in train], labels)
    for asked, channels in BANDS:
        expected = np.stack(
            [np.stack([patch.images[b] for b in channels], axis=-1) for patch in train]
        )
        ((images, found),) = bigearthnet.load(
            "train", all_stores, bands=asked, labels=labels, store=store
        ).as_numpy_iterator()

        assert expected.shape == images.shape
        assert np.float32 == images.dtype
        assert TOLERANCE > np.abs(expected - images).max()
        assert vectors == found.tolist()
        assert np.uint8 == found.dtype


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("labels", LABELS)
def test_stored_pixels_and_labels_equal_the_reference(
    store: str,
    labels: str,
    train: list[Reference],
    class_table: list[dict[str, str]],
    all_stores: Path,
) -> None:
    """Stored pixels are those that rasterio reads, by group for all, else by band."""
    vectors = make_vectors(class_table, [patch.labels for patch in train], labels)
    for asked, channels in BANDS:
        named = {band: [patch.pixels[band] for patch in train] for band in channels}
        expected = (
            {
                group: np.stack([named[band] for band in names], axis=1)
                for group, names in GROUPS.items()
            }
            if asked == "all"
            else {band: np.stack(pixels) for band, pixels in named.items()}
        )
        ((images, found),) = bigearthnet.load(
            "train",
            all_stores,
            bands=asked,
            labels=labels,
            image_size=None,
            store=store,
        ).as_numpy_iterator()

        assert set(expected) == set(images)
        for name, pixels in expected.items():
            assert np.uint16 == images[name].dtype
            np.testing.assert_array_equal(pixels, images[name])
        assert vectors == found.tolist()


@pytest.mark.parametrize("split", ["test", "excluded"])
def test_the_other_splits_equal_the_reference(
    split: str, sample_folder: Path, patch_index: PatchIndex, all_stores: Path
) -> None:
    """The splits `test` and `excluded` hold the patches of the official lists."""
    patches = read_split(sample_folder, patch_index, split)
    expected = np.stack([patch.pixels["B12"] for patch in patches])
    ((images, _),) = bigearthnet.load(
        split, all_stores, bands="B12", image_size=None
    ).as_numpy_iterator()

    np.testing.assert_array_equal(expected, images["B12"])


@pytest.mark.parametrize("store", STORES)
def test_fake_bands_and_labels_are_where_they_were_asked(
    store: str,
    many_dir: Path,
    many_train: list[tuple[int, list[str]]],
    class_table: list[dict[str, str]],
) -> None:
    """Ramps that tell patch, band, row and column come out at their own place."""
    rows, columns = np.indices((60, 60))
    asked = ["B12", "B8A", "B05", "B11", "B06"]
    expected = {
        band: [
            5000 * (k % 6) + 400 * ALL.index(band) + 2 * rows + columns + k
            for k, _ in many_train
        ]
        for band in asked
    }
    vectors = make_vectors(class_table, [names for _, names in many_train], "clc43")
    ((images, found),) = bigearthnet.load(
        "train", many_dir, bands=asked, image_size=None, store=store
    ).as_numpy_iterator()

    assert set(asked) == set(images)
    for band in asked:
        np.testing.assert_array_equal(expected[band], images[band])
    assert vectors == found.tolist()


@pytest.mark.parametrize("store", STORES)
def test_fake_channels_stand_in_the_order_asked(
    store: str, many_dir: Path, many_train: list[tuple[int, list[str]]]
) -> None:
    """Away from the edges a resampled ramp is the ramp, in the channel of its band."""
    asked = ["B09", "B03", "B8A", "B01", "B12", "B02"]
    rows, columns = np.indices((120, 120))
    # Centres of the output's pixels in pixels of the input.
    scales = {"B09": 6, "B03": 1, "B8A": 2, "B01": 6, "B12": 2, "B02": 1}
    expected = np.stack(
        [
            np.stack(
                [
                    5000 * (k % 6)
                    + 400 * ALL.index(band)
                    + (2 * (rows + 0.5) + columns + 0.5) / scale
                    - 1.5
                    + k
                    for band, scale in scales.items()
                ],
                axis=-1,
            )
            for k, _ in many_train
        ]
    )
    inside = slice(12, -12)
    ((images, _),) = bigearthnet.load(
        "train", many_dir, bands=asked, store=store
    ).as_numpy_iterator()

    np.testing.assert_allclose(
        expected[:, inside, inside], images[:, inside, inside], rtol=0, atol=TOLERANCE
    )


def test_pictures_equal_the_stretched_bands(
    many_dir: Path,
    many_train: list[tuple[int, list[str]]],
    class_table: list[dict[str, str]],
) -> None:
    """The config s2-rgb gives the stretched B04, B03, B02 of each patch, as uint8."""
    vectors = make_vectors(class_table, [names for _, names in many_train], "ben19")
    ((groups, _),) = bigearthnet.load(
        "train", many_dir, image_size=None
    ).as_numpy_iterator()
    expected = np.stack(
        [to_rgb([red, green, blue]) for blue, green, red, _ in groups["bands_10m"]]
    )
    ((pictures, found),) = bigearthnet.load(
        "train",
        many_dir,
        config="s2-rgb",
        bands="rgb",
        labels="ben19",
        keep_empty=True,
    ).as_numpy_iterator()

    assert np.uint8 == pictures.dtype
    np.testing.assert_array_equal(expected, pictures)
    assert vectors == found.tolist()
