from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from baselines.errors import WeightsError
from baselines.models import build_model
from baselines.models.preprocessing import choose_statistics
from baselines.models.released import load_released_weights, map_released_variables
from baselines.settings import Settings

Array = npt.NDArray[Any]
DrawWeight = Callable[[str, tuple[int, ...]], Array]
GOLDEN = Path(__file__).parents[2] / "data" / "released_golden.npz"
slow = pytest.mark.slow
# A fully connected layer of 43 classes after one of 1000, and 10 channels after 3.
HEAD, STEM = -1000 + 43, 10 - 3


def count_k_branch() -> int:
    """Numbers of K-Branch CNN that training changes, from its published graph."""
    convolutions = [
        *((5, 4, 32), (5, 32, 32), (3, 32, 64)),
        *((3, 6, 32), (3, 32, 32), (3, 32, 64)),
        *((2, 2, 32), (2, 32, 32), (2, 32, 32)),
    ]
    layers = [(k * k * i, o) for k, i, o in convolutions]
    layers += [(30 * 30 * 64, 128)] * 2 + [(20 * 20 * 32, 128), (3 * 128, 128)]
    # Kernel and bias, gamma and beta; the classifier has no batch normalization.
    return sum(i * o + 3 * o for i, o in layers) + 128 * 43 + 43


# Parameters of ResNet and VGG for ImageNet as torchvision publishes them (`num_params`
# of its weights), changed by other classes and bands.
COUNTS = {
    "resnet50": 25_557_032 + HEAD * 2049 + STEM * 49 * 64,
    "resnet101": 44_549_160 + HEAD * 2049 + STEM * 49 * 64,
    "resnet152": 60_192_808 + HEAD * 2049 + STEM * 49 * 64,
    "vgg16": 138_357_544 + HEAD * 4097 + STEM * 9 * 64,
    "vgg19": 143_667_240 + HEAD * 4097 + STEM * 9 * 64,
    "k_branch": count_k_branch(),
}


def make_settings(model: str, **changes: Any) -> Settings:
    """What decides a network as the authors' code has it."""
    return Settings(
        **{
            "model": model,
            "batch_norm": model == "k_branch",
            "dropout_fc": 0.5,
            "statistics": "published",
            "upsampling": "bicubic_tf1",
            **changes,
        }
    )


def build(model: str, **changes: Any) -> keras.Model:
    """One of the models."""
    settings = make_settings(model, **changes)
    return build_model(settings, choose_statistics("published", settings.bands, {}))


def make_arrays(model: keras.Model, draw_weight: DrawWeight) -> dict[str, Array]:
    """Name in a checkpoint → the array that its name draws."""
    variables = map_released_variables(model)
    return {name: draw_weight(name, tuple(v.shape)) for name, v in variables.items()}


def write_checkpoint(path: Path, arrays: dict[str, Array]) -> Path:
    """Writes an index and data, with what TensorFlow 1 saves of Adam beside."""
    first = next(iter(arrays))
    slots = {f"{first}/Adam": arrays[first], f"{first}/Adam_1": arrays[first]}
    slots |= {name: np.float32(0.9) for name in ("beta1_power", "beta2_power")}
    saved = arrays | slots | {"global_step": np.int64(7)}
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(saved),
        shape_and_slices=[""] * len(saved),
        tensors=[tf.constant(array) for array in saved.values()],
    )
    return path


@pytest.mark.parametrize(
    "model",
    [
        *("resnet50", "k_branch"),
        *(pytest.param(m, marks=slow) for m in COUNTS if m[:3] == "vgg"),
        *(pytest.param(f"resnet{depth}", marks=slow) for depth in (101, 152)),
    ],
)
def test_networks_are_those_of_the_authors(
    model: str, tmp_path: Path, draw_weight: DrawWeight, patches: dict[str, Array]
) -> None:
    """Parameters as published; a checkpoint gives the logits of the authors' graph."""
    network = build(model)
    checkpoint = write_checkpoint(tmp_path / model, make_arrays(network, draw_weight))

    load_released_weights(network, checkpoint)
    for file in tmp_path.iterdir():
        file.unlink()

    trained = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
    assert COUNTS[model] == trained
    with np.load(GOLDEN) as golden:
        expected = golden[model]
    inputs = {name: patches[name] for name in network.input}
    logits = network(inputs, training=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def k_branch() -> keras.Model:
    """K-Branch CNN of four units and 19 classes."""
    return build("k_branch", fc_units=4, labels="ben19")


KERNEL = "CNN_20m_branch/conv_block_1/conv_layer/kernel"
CLASSES = "classification/fc_layer/kernel"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({KERNEL: None}, f"lacks 1 of the 80 variables of k_branch: {KERNEL}"),
        ({"CNN_x/kernel": np.zeros(3, np.float32)}, "has 1 more .*: CNN_x/kernel"),
        ({"x/Momentum": np.zeros(3, np.float32)}, "has 1 more .*: x/Momentum"),
        (
            {CLASSES: np.zeros((4, 43), np.float32)},
            rf"shape \(4, 19\) for {CLASSES}, got float32 of shape \(4, 43\)",
        ),
        ({KERNEL: np.zeros((3, 3, 32, 32))}, f"float32 .* for {KERNEL}, got float64"),
        ({KERNEL: np.full((3, 3, 32, 32), np.nan, np.float32)}, f"{KERNEL} has .* nan"),
    ],
    ids=["missing", "extra", "other optimizer", "classes", "type", "value"],
)
def test_other_checkpoints_are_refused(
    k_branch: keras.Model,
    tmp_path: Path,
    draw_weight: DrawWeight,
    changes: dict[str, Array | None],
    message: str,
) -> None:
    """What is missing, too much or of another shape is named, and nothing is set."""
    arrays = make_arrays(k_branch, draw_weight) | changes
    kept = {name: array for name, array in arrays.items() if array is not None}
    before = [variable.numpy() for variable in k_branch.variables]
    checkpoint = write_checkpoint(tmp_path / "model", kept)

    with pytest.raises(WeightsError, match=message):
        load_released_weights(k_branch, checkpoint)

    for array, variable in zip(before, k_branch.variables, strict=True):
        np.testing.assert_array_equal(array, variable)


def test_a_network_without_batch_norm_is_another(
    k_branch: keras.Model, tmp_path: Path, draw_weight: DrawWeight
) -> None:
    """Settings that leave variables of the checkpoint out are refused."""
    arrays = make_arrays(k_branch, draw_weight)
    checkpoint = write_checkpoint(tmp_path / "model", arrays)
    other = build("k_branch", fc_units=4, labels="ben19", batch_norm=False)

    with pytest.raises(WeightsError, match=r"has 52 more .*: .*/batch_norm/beta"):
        load_released_weights(other, checkpoint)


def test_no_checkpoint_is_refused(k_branch: keras.Model, tmp_path: Path) -> None:
    """A path of nothing is named, with what is expected there."""
    with pytest.raises(WeightsError, match=r"no checkpoint .*model: .*--labels"):
        load_released_weights(k_branch, tmp_path / "model")
