"""`torch_dataset`, where PyTorch is installed: beside docs/recipes.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bigearthnet


def test_a_data_set_takes_what_readers_take(all_stores: Path) -> None:
    """A number counted from the end, a slice and a list give the same patches."""
    torch = pytest.importorskip("torch")
    patches = bigearthnet.torch_dataset("train", all_stores, labels="ben19")
    images, labels = patches[1:4]

    assert ((3, 12, 120, 120), (3, 19)) == (images.shape, labels.shape)
    for key in (-1, 3, np.int64(3), torch.tensor(3)):
        torch.testing.assert_close(images[2], patches[key][0])
    for several in ([3, 1], torch.tensor([3, 1])):
        torch.testing.assert_close(images[[2, 0]], patches[several][0])
    with pytest.raises(IndexError):
        patches[4]


def test_a_data_set_says_what_it_gives(all_stores: Path) -> None:
    """Its text is a short line with patches, bands and labels."""
    pytest.importorskip("torch")
    patches = bigearthnet.torch_dataset("train", all_stores, bands="rgb")
    expected = "<TorchPatches of s2: 4 patches, bands='rgb', labels='clc43'>"

    assert expected == repr(patches)


def test_transforms_turn_images_and_maps_together(v2_tables: Path) -> None:
    """A transform gets both; maps are int64, as losses take them."""
    torch = pytest.importorskip("torch")
    bands, target = ["VH", "B03", "VV"], "reference_map"

    def open_patches(transform: Any = None) -> Any:
        return bigearthnet.torch_dataset(
            *("train", v2_tables),
            config="v2-s1s2",
            bands=bands,
            target=target,
            transform=transform,
        )

    patches = open_patches()
    flipped = open_patches(lambda images, maps: (images.flip(-1), maps.flip(-1)))
    images, maps = patches[0:3]
    reader = bigearthnet.open_reader("train", v2_tables, config="v2-s1s2")
    stored = reader.gather(range(3), [*bands, target])

    assert ((3, 3, 120, 120), torch.float32) == (images.shape, images.dtype)
    assert ((3, 120, 120), torch.int64) == (maps.shape, maps.dtype)
    for channel, band in enumerate(bands):
        np.testing.assert_array_equal(stored[band], images[:, channel])
    assert flipped[1][0].equal(images[1].flip(-1))
    assert flipped[1][1].equal(maps[1].flip(-1))
