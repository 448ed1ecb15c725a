from __future__ import annotations

import keras
import numpy as np
import pytest

from baselines.models import build_model, build_trained_part
from baselines.settings import Settings
from bigearthnet.release.bands import BANDS

STATISTICS = {band.name: {"mean": band.mean, "std": band.std} for band in BANDS}


def count_trainable(model: keras.Model) -> int:
    """Numbers that training changes."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def build(**changes: object) -> keras.Model:
    """S-CNN-RGB with some settings."""
    return build_model(Settings(**{"model": "s_cnn_rgb", **changes}), STATISTICS)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": "s_cnn_all"}, 7_432_235),
        ({"model": "s_cnn_rgb"}, 7_425_035),
        # A third pool leaves 15 × 15 × 64 inputs of the FC layer instead of 30 × 30.
        ({"third_pool": True}, 7_425_035 - 3 * 15 * 15 * 64 * 128),
        ({"labels": "ben19"}, 7_425_035 - 24 * 129),
        # gamma and beta of 32 + 32 + 64 filters and 128 units.
        ({"batch_norm": True}, 7_425_035 + 2 * 256),
        ({"fc_units": 64}, 7_425_035 - 64 * (57_601 + 43)),
    ],
)
def test_the_number_of_weights(changes: dict[str, object], expected: int) -> None:
    """Trained numbers are as many as the architecture has."""
    assert expected == count_trainable(build(**changes))


def test_the_layers_follow_the_paper() -> None:
    """Convolutions of 32, 32 and 64 filters keep the size; pools halve it twice."""
    model = build()
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}

    assert (120, 120, 32) == shapes["conv1"]
    assert (60, 60, 32) == shapes["conv2"]
    assert (30, 30, 64) == shapes["conv3"]
    assert (30 * 30 * 64,) == shapes["flatten"]
    assert [(5, 5), (5, 5), (3, 3)] == [
        model.get_layer(f"conv{number}").kernel_size for number in (1, 2, 3)
    ]
    assert not [name for name in shapes if "norm" in name or "dropout" in name]
    assert [] == model.losses


def test_the_authors_recipe_adds_its_layers() -> None:
    """Batch norm before each ReLU, dropout after each block and before the classes."""
    model = build(batch_norm=True, dropout_conv=0.25, dropout_fc=0.5, l2=2e-5)
    names = [layer.name for layer in model.layers]
    block = ["conv1", "conv1_norm", "conv1_relu", "conv1_pool", "conv1_dropout"]
    end = ["fc", "fc_norm", "fc_relu", "fc_dropout", "logits"]

    assert block == names[names.index("conv1") :][:5]
    assert end == names[-5:]
    assert [0.25, 0.25, 0.25, 0.5] == [
        layer.rate for layer in model.layers if "dropout" in layer.name
    ]


def test_the_penalty_is_half_the_squares_of_kernels() -> None:
    """L2 is weight · ½ · Σ kernel², of the five kernels and no bias."""
    model = build(l2=0.01)
    kernels = [v.numpy() for v in model.trainable_variables if v.name == "kernel"]
    expected = 0.01 / 2 * sum(float(np.sum(k.astype(float) ** 2)) for k in kernels)

    assert 5 == len(kernels) == len(model.losses)
    np.testing.assert_allclose(float(sum(model.losses)), expected, rtol=1e-5)


def test_weights_follow_from_the_seed() -> None:
    """The same seed gives the same weights, another one others, all layers differ."""
    one, same, other = (build(seed=seed) for seed in (3, 3, 4))

    for a, b, c in zip(
        *(m.trainable_variables for m in (one, same, other)), strict=True
    ):
        np.testing.assert_array_equal(a, b)
        if a.name == "kernel":
            assert not np.array_equal(a, c)
        else:
            assert not np.any(a)


def test_seed_generators_are_variables_of_the_model() -> None:
    """A state made of `model.variables` has those of dropout, one for each layer."""
    model = build(dropout_conv=0.25, dropout_fc=0.5)
    states = [v for v in model.variables if "seed_generator" in v.path]

    assert 4 == len(states)
    assert 4 == len({tuple(np.array(state)) for state in states})


def test_mixed_precision_keeps_weights_and_ends_in_float32() -> None:
    """Convolutions compute in bfloat16; preprocessing, weights and logits do not."""
    model = build_model(
        Settings(model="s_cnn_all"), STATISTICS, policy="mixed_bfloat16"
    )
    dtypes = {layer.name: layer.compute_dtype for layer in model.layers}

    assert ("float32", "bfloat16", "bfloat16", "float32") == tuple(
        dtypes[name] for name in ("standardise", "conv1", "fc", "logits")
    )
    assert {"float32"} == {variable.dtype for variable in model.trainable_variables}


def test_only_the_head_of_inception_is_trained() -> None:
    """The whole model has the head's weights to train, and the head alone as many."""
    settings = Settings(model="inception_v2", weights="random", inception_size=32)
    whole = build_model(settings, {})
    head = build_trained_part(settings, {})

    assert 1024 * 128 + 128 + 128 * 43 + 43 == count_trainable(head)
    assert count_trainable(head) == count_trainable(whole)
    assert (None, 1024) == head.input.shape
    assert ["bands_10m"] == list(whole.input)
