from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from baselines.errors import CheckpointError
from baselines.training_states import (
    State,
    copy_weights,
    load_state,
    save_state,
    set_weights,
)


def make_pair(units: int = 3, seed: int = 1) -> tuple[keras.Model, keras.Optimizer]:
    """A model with batch norm and dropout, and its optimizer after a step."""
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(units, name="a"),
        keras.layers.BatchNormalization(name="b"),
        keras.layers.Dropout(0.5, seed=seed, name="c"),
    ]
    model = keras.Sequential(layers, name="model")
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    draws = np.random.default_rng(seed)
    model(draws.random((5, 4)), training=True)
    gradients = [draws.random(v.shape) for v in model.trainable_variables]
    optimizer.apply([tf.constant(gradient, tf.float32) for gradient in gradients])
    return model, optimizer


def values(model: keras.Model, optimizer: keras.Optimizer) -> list[np.ndarray]:
    """All variables."""
    return [np.array(v.numpy()) for v in (*model.variables, *optimizer.variables)]


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    """Weights, moments, seeds, slots and the loop's own numbers are all restored."""
    model, optimizer = make_pair()
    state = State(
        step=7,
        epoch=2,
        batch=3,
        loss_total=0.1 + 0.2,
        history=[{"epoch": 1, "loss": 1 / 3}],
        seconds=[0.5],
        best_loss=1 / 7,
        best_epoch=1,
        best_weights=copy_weights(model),
    )
    expected = values(model, optimizer)
    save_state(tmp_path / "states", state, model, optimizer)
    other = make_pair(seed=2)

    found = load_state(tmp_path / "states", *other)

    assert found is not None
    for one, two in zip(state.best_weights, found.best_weights, strict=True):
        np.testing.assert_array_equal(one, two)
    state.best_weights = found.best_weights = []
    assert state == found
    for one, two in zip(expected, values(*other), strict=True):
        np.testing.assert_array_equal(one, two)
    assert any("seed" in v.path for v in model.variables)


def test_no_state_is_no_error(tmp_path: Path) -> None:
    """A run that begins finds nothing, and an unfinished file is nothing."""
    (tmp_path / "step-0000000001.npz.unfinished").touch()

    assert load_state(tmp_path, *make_pair()) is None


def test_the_last_two_states_are_kept(tmp_path: Path) -> None:
    """Older states are deleted; the last one is taken, ten after nine."""
    pair = make_pair()
    for step in (8, 9, 10):
        save_state(tmp_path, State(step=step), *pair)
    found = load_state(tmp_path, *pair)

    assert found is not None
    assert 10 == found.step
    assert ["step-0000000009.npz", "step-0000000010.npz"] == sorted(
        path.name for path in tmp_path.iterdir()
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_state_is_an_error(tmp_path: Path, damage: str) -> None:
    """A damaged state is named, nothing is set, and the one before it stays."""
    model, optimizer = make_pair()
    save_state(tmp_path, State(step=1), model, optimizer)
    save_state(tmp_path, State(step=2), model, optimizer)
    path = tmp_path / "step-0000000002.npz"
    content = bytearray(path.read_bytes())
    kernel = model.variables[0].numpy().tobytes()
    content[content.index(kernel) + 5] ^= 1
    changed = {"flip": content, "cut": content[:-50], "empty": b"", "text": b"no"}
    path.write_bytes(changed[damage])
    other = make_pair(seed=2)
    before = values(*other)

    with pytest.raises(
        CheckpointError, match=r"step-0000000002.npz is damaged.*Delete"
    ):
        load_state(tmp_path, *other)
    for one, two in zip(before, values(*other), strict=True):
        np.testing.assert_array_equal(one, two)
    path.unlink()
    found = load_state(tmp_path, *other)
    assert found is not None
    assert 1 == found.step


@pytest.mark.parametrize(
    "changes",
    [
        {"head": []},
        {"head": {"version": 1, "variables": []}},
        {"state": None},
        {"state": {"steps": 1}},
        {"v0": None},
        {"v0": np.zeros(1, np.float32)},
        {"best0": np.zeros((4, 3), np.float32)},
    ],
    ids=str,
)
def test_a_state_of_another_form_is_damaged(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Other names or shapes are one clear error, and nothing is set."""
    save_state(tmp_path, State(step=1), *make_pair())
    path = tmp_path / "step-0000000001.npz"
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    head = json.loads(str(arrays["head"]))
    ((name, value),) = changes.items()
    if name in head:
        head[name] = value
    elif name != "head":
        arrays[name] = value
    arrays["head"] = np.array(json.dumps(value if name == "head" else head))
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    other = make_pair(seed=2)
    before = values(*other)

    with pytest.raises(CheckpointError, match=r"step-0000000001.npz is damaged"):
        load_state(tmp_path, *other)
    for one, two in zip(before, values(*other), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    """Variables of other shapes are one clear error."""
    save_state(tmp_path, State(), *make_pair())

    with pytest.raises(CheckpointError, match="of another model"):
        load_state(tmp_path, *make_pair(units=4))


def test_weights_are_copies(tmp_path: Path) -> None:
    """What was copied does not follow the model, and can be set again."""
    model, optimizer = make_pair()
    kept = copy_weights(model)
    optimizer.apply([tf.ones(v.shape) for v in model.trainable_variables])
    moved = copy_weights(model)
    set_weights(model, kept)

    assert not np.array_equal(kept[0], moved[0])
    np.testing.assert_array_equal(kept[0], model.variables[0].numpy())
