from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from baselines.models import inception_v2
from bigearthnet.errors import OptionError

Array = npt.NDArray[Any]

# Of rtol 1e-4 and atol 1e-3, a right port needs a tenth; tests/data/README.md.
RTOL, ATOL = 1e-4, 1e-3


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A small model with random weights; not to be changed."""
    model = inception_v2.build_inception_v2(32)
    inception_v2.initialize_random(model, 0)
    return model


def read_variables(model: keras.Model) -> dict[str, Array]:
    """TF-Slim's name → value."""
    named = inception_v2.map_slim_variables(model)
    return {name: variable.numpy() for name, variable in named.items()}


def measure(array: Array, figures: dict[str, Array], prefix: str) -> list[str]:
    """Which figures of an end point an array (batch, y, x, channel) does not have."""
    actual = {
        "channel_mean": array.mean((1, 2), np.float64),
        "top_left": array[:, :2, :2, :8],
        "bottom_right": array[:, -2:, -2:, -8:],
    }
    if tuple(figures[f"{prefix}/shape"]) != array.shape:
        return ["shape"]
    return [
        name
        for name, values in actual.items()
        if not np.allclose(values, figures[f"{prefix}/{name}"], RTOL, ATOL)
    ]


@pytest.mark.parametrize("size", [224, 120])
def test_it_computes_what_tf_slim_computes(
    size: int,
    golden: dict[str, Array],
    golden_weights: dict[str, Array],
    make_pictures: Callable[[int], Array],
) -> None:
    """From the same weights and pictures, end points and features are TF-Slim's."""
    pictures = make_pictures(size)
    digest = hashlib.sha256(pictures.tobytes()).digest()
    assert golden[f"{size}/images_sha256"].tobytes() == digest
    model = inception_v2.build_inception_v2(size)
    for name, variable in inception_v2.map_slim_variables(model).items():
        variable.assign(golden_weights[name])
    names = inception_v2.END_POINTS
    outputs = [model.get_layer(name).output for name in names]

    *ends, features = keras.Model(model.input, [*outputs, model.output])(
        pictures.astype(np.float32) / 127.5 - 1
    )

    wrong = [
        (name, figures)
        for name, end in zip(names, ends, strict=True)
        if (figures := measure(np.array(end), golden, f"{size}/{name}"))
    ]
    assert 15 == len(names)
    assert not wrong, f"off from end point {wrong[0]} on"
    np.testing.assert_allclose(features, golden[f"{size}/features"], RTOL, ATOL)


def test_the_recipe_gives_the_weights_of_the_figures(
    slim_variables: list[dict[str, Any]], golden_weights: dict[str, Array]
) -> None:
    """Every array that is drawn has the checksum of the one TF-Slim was given."""
    wrong = [
        row["name"]
        for row in slim_variables
        if row["sha256_float32_le"]
        != hashlib.sha256(golden_weights[row["name"]].astype("<f4")).hexdigest()
    ]

    assert 277 == len(slim_variables)
    assert [] == wrong


def test_every_variable_is_mapped_to_its_slim_name(
    model: keras.Model, slim_variables: list[dict[str, Any]]
) -> None:
    """The map has TF-Slim's names and shapes, but for the classifier's, each once."""
    variables = inception_v2.map_slim_variables(model)

    expected = {
        row["name"]: tuple(row["shape"])
        for row in slim_variables
        if "/Logits/" not in row["name"]
    }
    assert expected == {name: var.shape for name, var in variables.items()}
    assert {id(var) for var in variables.values()} == {id(v) for v in model.weights}
    assert inception_v2.NUM_PARAMETERS == model.count_params() == 10_173_112


def test_it_is_frozen(model: keras.Model) -> None:
    """A step that trains a head on it changes neither kernels nor moments."""
    head = keras.layers.Dense(2, name="head")
    whole = keras.Sequential([model, head])
    whole.compile("sgd", "mse")
    before = read_variables(model)
    pictures = np.random.default_rng(1).uniform(-1, 1, (4, 32, 32, 3))

    whole.fit(pictures, np.ones((4, 2)), epochs=1, verbose=0)

    after = read_variables(model)
    assert [head.kernel.path, head.bias.path] == [
        variable.path for variable in whole.trainable_variables
    ]
    assert [] == [
        name for name in before if not np.array_equal(before[name], after[name])
    ]


def test_random_weights_follow_from_the_seed(model: keras.Model) -> None:
    """The same seed gives the same weights, another seed others."""
    same, other = (inception_v2.build_inception_v2(32) for _ in range(2))
    inception_v2.initialize_random(same, 0)
    inception_v2.initialize_random(other, 1)

    expected, again, others = map(read_variables, (model, same, other))
    assert [] == [n for n in expected if not np.array_equal(expected[n], again[n])]
    for name in expected:
        if name.endswith("weights"):
            assert not np.array_equal(expected[name], others[name]), name


def test_random_weights_are_he_normal(model: keras.Model) -> None:
    """Kernels have mean 0 and variance 2 / fan-in; moments are 0 and 1, the rest 0."""
    for name, values in read_variables(model).items():
        kind = name.rpartition("/")[2]
        if not kind.endswith("weights"):
            assert (1 if kind == "moving_variance" else 0) == np.unique(values)
            continue
        fan_in = values[..., 0, 0].size if "depthwise" in kind else values[..., 0].size
        deviation = np.sqrt(2 / fan_in)
        # Five standard errors of a normal sample's mean and deviation.
        error = 5 * deviation / np.sqrt(values.size)
        assert abs(values.mean()) < error, name
        assert abs(values.std() - deviation) < error, name


def test_random_features_tell_pictures_apart(model: keras.Model) -> None:
    """Features of random weights are finite, and differ between pictures."""
    pictures = np.random.default_rng(2).uniform(-1, 1, (2, 32, 32, 3))

    features = np.array(model(pictures))

    assert (2, inception_v2.NUM_FEATURES) == features.shape
    assert np.isfinite(features).all()
    assert np.abs(features[0] - features[1]).max() > 0.01


def test_features_are_float32_whatever_the_policy(model: keras.Model) -> None:
    """Mixed precision changes no feature."""
    pictures = np.random.default_rng(3).uniform(-1, 1, (2, 32, 32, 3))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = inception_v2.build_inception_v2(32)
    finally:
        keras.config.set_dtype_policy("float32")
    inception_v2.initialize_random(mixed, 0)

    features = np.array(mixed(pictures))

    assert np.float32 == features.dtype
    np.testing.assert_array_equal(np.array(model(pictures)), features)


def test_a_picture_that_vanishes_is_refused() -> None:
    """A size below 32 pixels is an error of ours."""
    with pytest.raises(OptionError, match=r"at least 32 pixels, got 31"):
        inception_v2.build_inception_v2(31)
