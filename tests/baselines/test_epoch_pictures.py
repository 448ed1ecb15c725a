from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from baselines.epoch_pictures import draw_patches
from baselines.logs import Logs
from baselines.memory_data import MemoryData
from baselines.settings import Settings
from baselines.stored_rows import open_train_data
from bigearthnet.release.nomenclature import CLC43

SETTINGS = Settings(train_split="train+test", validation_split="none")


def test_pictures_of_patches_are_logged(all_stores: Path, tmp_path: Path) -> None:
    """Patches spread over the split are drawn, and TensorBoard gets size and PNG."""
    data, _ = open_train_data(SETTINGS, all_stores)
    scores = np.zeros((data.num_patches, len(CLC43)), np.float32)
    found = dict(draw_patches(data, scores, CLC43))
    png = next(iter(found.values()))
    with contextlib.closing(Logs(tmp_path)) as logs:
        logs.write_picture("validation", "patch", png, 7)
    [path] = (tmp_path / "validation").iterdir()
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    ]
    [value] = events[-1].summary.value
    width, height, content = tf.make_ndarray(value.tensor).tolist()

    assert [data.patch_ids[i] for i in (0, 2, 4)] == list(found)
    assert "images" == value.metadata.plugin_data.plugin_name
    assert png == content
    pixels = tf.io.decode_png(png).shape
    assert (int(height), int(width)) == tuple(pixels[:2])


def test_nothing_is_drawn_without_pixels_or_matplotlib(
    all_stores: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features have no picture, and a missing package is no error."""
    data, _ = open_train_data(SETTINGS, all_stores)
    scores = np.zeros((data.num_patches, len(CLC43)), np.float32)
    features = MemoryData(scores, scores.astype(np.uint8), data.patch_ids)

    assert [] == list(draw_patches(features, scores, CLC43))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert [] == list(draw_patches(data, scores, CLC43))
