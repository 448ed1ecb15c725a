from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from baselines.input_pipeline import Order
from baselines.models import build_feature_model, build_model
from baselines.models.preprocessing import (
    choose_statistics,
    make_inputs,
    scale_pictures,
    standardise,
    upsampling_matrix,
)
from baselines.settings import Settings
from baselines.stored_rows import StoreData, open_random_access
from bigearthnet.errors import OptionError
from bigearthnet.loading import load
from bigearthnet.release.bands import BANDS, GROUPS, RGB

ALL = tuple(band.name for band in BANDS)
GROUP_NAMES = tuple(group.name for group in GROUPS)
# Another mean and deviation for each band, so that a swap shows.
STATISTICS = {
    band.name: {"mean": 300.0 + 100 * number, "std": 500.0 + 30 * number}
    for number, band in enumerate(BANDS)
}
MEAN, STD = (
    np.array([values[key] for values in STATISTICS.values()]) for key in ("mean", "std")
)


@pytest.fixture(scope="module")
def groups(all_stores: Path) -> dict[str, tf.Tensor]:
    """The stored groups of the four real train patches."""
    data = StoreData(open_random_access(all_stores, "s2"), Settings(), "train")
    inputs, _ = next(iter(data.batches(Order(4))))
    return dict(inputs)


def make_standardise(bands: tuple[str, ...], upsampling: str) -> keras.Model:
    """A model of the preprocessing of S-CNN alone."""
    groups = GROUPS if len(bands) > 3 else GROUPS[:1]
    inputs = make_inputs(groups)
    images = standardise(inputs, groups, bands, STATISTICS, upsampling)
    return keras.Model(inputs, images)


@pytest.mark.parametrize("bands", [ALL, RGB], ids=["all", "rgb"])
def test_images_are_those_of_load_standardised(
    all_stores: Path, groups: dict[str, tf.Tensor], bands: tuple[str, ...]
) -> None:
    """Within 0.01 DN, channels are the resampled bands in the order that is asked."""
    expected, _ = next(iter(load("train", all_stores, bands=bands, batch_size=4)))
    index = [ALL.index(name) for name in bands]
    model = make_standardise(bands, "bicubic")
    inputs = {name: groups[name] for name in model.input}

    found = model(inputs).numpy() * STD[index] + MEAN[index]

    assert (4, 120, 120, len(bands)) == found.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)
    assert [] == model.trainable_variables


def test_tf1_upsampling_is_that_of_tensorflow(groups: dict[str, tf.Tensor]) -> None:
    """`bicubic_tf1` is what TensorFlow 1's kernel computes, its shift included."""
    found = make_standardise(ALL, "bicubic_tf1")(groups).numpy() * STD + MEAN

    for group in GROUPS[1:]:
        pixels = tf.transpose(tf.cast(groups[group.name], tf.float32), (0, 2, 3, 1))
        expected = tf.raw_ops.ResizeBicubic(
            images=pixels, size=(120, 120), half_pixel_centers=False
        )
        channels = [ALL.index(band.name) for band in group.bands]
        np.testing.assert_allclose(found[..., channels], expected, rtol=0, atol=0.01)


def test_upsampling_weights_sum_to_one() -> None:
    """Both ways keep a constant line constant, and differ by a shift."""
    ramp = np.arange(60)
    for upsampling in ("bicubic", "bicubic_tf1"):
        matrix = upsampling_matrix(60, upsampling)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
    shift = (
        upsampling_matrix(60, "bicubic_tf1") @ ramp
        - upsampling_matrix(60, "bicubic") @ ramp
    )

    np.testing.assert_allclose(np.median(shift), 0.25, atol=0.1)


def test_pictures_are_clipped_and_centred(groups: dict[str, tf.Tensor]) -> None:
    """Pictures are red, green, blue in [-1, 1]: 2 · clip(DN / rgb_max, 0, 1) - 1."""
    inputs = make_inputs(GROUPS[:1])
    model = keras.Model(inputs, scale_pictures(inputs, GROUPS[:1], RGB, 1500, 120))
    small = {"bands_10m": groups["bands_10m"]}
    rgb = groups["bands_10m"].numpy()[:, [2, 1, 0]].transpose(0, 2, 3, 1)

    expected = 2 * np.clip(rgb / 1500, 0, 1) - 1

    np.testing.assert_allclose(model(small), expected, rtol=0, atol=1e-5)
    assert expected.max() == 1


def test_pictures_are_resized_bilinearly(groups: dict[str, tf.Tensor]) -> None:
    """Another size is TensorFlow's bilinear one, after clipping."""
    inputs = make_inputs(GROUPS[:1])
    made = {
        size: keras.Model(inputs, scale_pictures(inputs, GROUPS[:1], RGB, 2000, size))
        for size in (120, 224)
    }
    small = {"bands_10m": groups["bands_10m"]}

    expected = tf.image.resize(made[120](small), (224, 224), "bilinear")

    np.testing.assert_allclose(made[224](small), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(model="s_cnn_all", upsampling="bicubic_tf1"),
        Settings(model="s_cnn_rgb", batch_norm=True, dropout_conv=0.25, l2=2e-5),
    ],
    ids=["all", "rgb"],
)
def test_a_saved_model_loads_without_our_code(
    groups: dict[str, tf.Tensor], settings: Settings, tmp_path: Path
) -> None:
    """A `.keras` file loads in safe mode, and gives the same logits to the bit."""
    model = build_model(settings, STATISTICS)
    inputs = {name: groups[name] for name in settings.groups}
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(model(inputs), loaded(inputs))
    assert set(settings.groups) == set(loaded.input)
    assert {"uint16"} == {tensor.dtype for tensor in loaded.input.values()}


def test_the_feature_model_loads_without_our_code(
    groups: dict[str, tf.Tensor], tmp_path: Path
) -> None:
    """So does preprocessing with Inception-v2."""
    settings = Settings(model="inception_v2", weights="random", inception_size=32)
    model = build_feature_model(settings, None)
    inputs = {"bands_10m": groups["bands_10m"]}
    model.save(tmp_path / "model.keras")

    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(model(inputs), loaded(inputs))


def test_statistics_are_chosen() -> None:
    """Stored ones come from the store, published ones from the table of bands."""
    stored = {"bands": {name: {**v, "sum": "1"} for name, v in STATISTICS.items()}}

    assert {"B04": STATISTICS["B04"]} == choose_statistics("stored", ["B04"], stored)
    assert {"B04": {"mean": 590.23569706, "std": 675.88746967}} == choose_statistics(
        "published", ["B04"], {}
    )


@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        ({}, "the store has none"),
        ({"bands": {}}, "the store has none"),
        ({"bands": {"B04": {"mean": 7.0, "std": 0.0}}}, "deviation of B04 is 0"),
    ],
)
def test_useless_statistics_are_refused(
    stored: dict[str, object], problem: str
) -> None:
    """Nothing is divided by a deviation that is missing or 0."""
    with pytest.raises(OptionError, match=f"{problem}.*--statistics=published"):
        choose_statistics("stored", ["B04"], stored)
