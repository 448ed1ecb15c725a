from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from baselines.input_pipeline import Order
from baselines.memory_data import MemoryData
from baselines.metrics import compute_epoch_metrics, compute_metrics
from baselines.models.head import build_head
from baselines.preparation import check_options
from baselines.settings import Settings
from baselines.training import Outputs, Trainer
from bigearthnet.errors import OptionError

FEATURES, PATCHES = 8, 21


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Only operations that give the same bits each time, as the command has them."""
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    yield
    config.disable_op_determinism()


def make_data(seed: int = 0, patches: int = PATCHES) -> MemoryData:
    """Features and labels of which the first depends on the first feature."""
    draws = np.random.default_rng(seed)
    features = draws.standard_normal((patches, FEATURES)).astype(np.float32)
    labels = (draws.random((patches, 43)) < 0.1).astype(np.uint8)
    labels[:, 0] = features[:, 0] > 0
    return MemoryData(features, labels, [f"patch-{i}" for i in range(patches)])


def make_trainer(
    validation: MemoryData | None = None,
    *,
    data: MemoryData | None = None,
    strategy: tf.distribute.Strategy | None = None,
    class_weights: np.ndarray | None = None,
    **changes: Any,
) -> Trainer:
    """A trainer of the head on few features, three batches an epoch."""
    settings = Settings(
        **{
            "batch_size": 8,
            "epochs": 3,
            "fc_units": 5,
            "validation_split": "validation" if validation else "none",
            **changes,
        }
    )
    return Trainer(
        settings,
        lambda: build_head(settings, FEATURES),
        data or make_data(),
        validation,
        strategy or tf.distribute.get_strategy(),
        class_weights,
    )


def run(trainer: Trainer, folder: Path, **options: Any) -> Trainer:
    """Trains to the end."""
    folder.mkdir(exist_ok=True)
    trainer.run(Outputs(folder / "states", folder / "logs", quiet=True, **options))
    return trainer


def score(trainer: Trainer, data: MemoryData) -> tuple[float, Any, Any]:
    """Loss, labels and probabilities of patches."""
    return trainer._phase.steps.score(data, 8)


def weights(trainer: Trainer) -> list[np.ndarray]:
    """All variables of the model."""
    return [v.numpy() for v in trainer.model.variables]


def compute_loss(model: keras.Model, data: MemoryData) -> float:
    """Mean binary cross entropy over patches and classes, by its definition."""
    inputs, labels = next(iter(data.batches(Order(PATCHES))))
    p = 1 / (1 + np.exp(-model(inputs).numpy().astype(float)))
    y = labels.numpy()
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def test_batches_copied_ahead_to_one_device_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a single GPU is given ahead of its steps has order and content of before."""
    strategy, data = tf.distribute.get_strategy(), make_data()

    def read() -> list[list[bytes]]:
        batches = data.feed(strategy, Order(8, seed=1))
        return [[tensor.numpy().tobytes() for tensor in batch] for batch in batches]

    before = read()
    [cpu] = tf.config.list_logical_devices("CPU")
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [cpu])

    assert before == read()
    assert 3 == len(before)


def test_the_loss_is_that_of_its_definition(tmp_path: Path) -> None:
    """The validation loss is the mean over patches and classes, of all batches."""
    validation = make_data(seed=5)
    trainer = run(make_trainer(validation, l2=0.1), tmp_path / "run")

    found = trainer.state.history[-1]["validation_loss"]

    assert pytest.approx(compute_loss(trainer.model, validation), rel=1e-5) == found
    assert pytest.approx(found, rel=1e-12) == score(trainer, validation)[0]


def test_a_step_is_plain_gradient_descent(tmp_path: Path) -> None:
    """One batch of all patches with SGD is w - rate · gradient of loss and penalty."""
    changes = {"batch_size": PATCHES, "epochs": 1, "momentum": 0.0, "l2": 0.3}
    trainer = make_trainer(learning_rate=0.5, **changes)
    before = weights(trainer)
    inputs, labels = next(iter(make_data().batches(Order(PATCHES, seed=0))))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            keras.losses.binary_crossentropy(
                tf.cast(labels, tf.float32), trainer.model(inputs), from_logits=True
            )
        )
        kernels = [v for v in trainer.model.trainable_variables if v.name == "kernel"]
        penalty = 0.3 / 2 * sum(tf.reduce_sum(kernel.value**2) for kernel in kernels)
        variables = [v.value for v in trainer.model.trainable_variables]
        objective = loss + penalty
    gradients = tape.gradient(objective, variables)

    run(trainer, tmp_path / "run")

    for old, gradient, new in zip(before, gradients, weights(trainer), strict=True):
        np.testing.assert_allclose(old - 0.5 * gradient, new, rtol=1e-4, atol=1e-6)
    assert pytest.approx(float(loss), rel=1e-5) == trainer.state.history[0]["loss"]


def test_class_weights_weigh_the_labels_that_patches_have(tmp_path: Path) -> None:
    """The loss is the cross entropy whose part of labels is weighted by class."""
    validation = make_data(seed=5)
    weights = np.linspace(0.5, 9, 43).astype(np.float32)
    trainer = run(make_trainer(validation, class_weights=weights), tmp_path / "run")
    inputs, labels = next(iter(validation.batches(Order(PATCHES))))
    p = 1 / (1 + np.exp(-trainer.model(inputs).numpy().astype(float)))
    y = labels.numpy()
    expected = -np.mean(weights * y * np.log(p) + (1 - y) * np.log(1 - p))

    found = trainer.state.history[-1]["validation_loss"]
    assert pytest.approx(float(expected), rel=1e-5) == found


@pytest.mark.usefixtures("deterministic")
def test_training_learns_and_can_be_repeated(tmp_path: Path) -> None:
    """The loss falls; the same settings give the same losses, another seed others."""
    changes = {"epochs": 20, "optimizer": "adam", "dropout_fc": 0.2}
    first, second = (
        run(make_trainer(**changes), tmp_path / name).state.history for name in "ab"
    )
    other = run(make_trainer(seed=1, **changes), tmp_path / "c").state.history

    assert first == second
    assert first != other
    assert first[-1]["loss"] < 0.8 * first[0]["loss"]
    assert list(range(1, 21)) == [epoch["epoch"] for epoch in first]


@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_going_on_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Stopped after any step, training goes on as if it never had, with dropout too."""
    changes = {
        "dropout_fc": 0.5,
        "batch_norm": True,
        "optimizer": "adam",
        "schedule": "cosine",
        "early_stopping_patience": 2,
        "frozen_epochs": 1,
    }
    whole = run(make_trainer(make_data(5), **changes), tmp_path / "whole")
    stopped = make_trainer(make_data(5), **changes)
    save = stopped._save

    def save_and_stop(outputs: Outputs) -> None:
        save(outputs)
        if stopped.state.step >= stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(stopped, "_save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path / "part", every_steps=1)

    resumed = run(make_trainer(make_data(5), **changes), tmp_path / "part")

    assert whole.state.history == resumed.state.history
    assert whole.state.step == resumed.state.step
    for one, two in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, two)


def test_frozen_epochs_train_the_classifier_alone(tmp_path: Path) -> None:
    """Nothing but the classifier changes then, averages of batches included."""
    changes = {"batch_norm": True, "l2": 0.1, "frozen_epochs": 1}
    frozen, both = make_trainer(epochs=1, **changes), make_trainer(**changes)
    before = {v.path: v.numpy() for v in frozen.model.variables}
    run(frozen, tmp_path / "frozen")
    run(both, tmp_path / "both")

    def changed(trainer: Trainer) -> set[str]:
        pairs = ((v.path, v.numpy()) for v in trainer.model.variables)
        return {path for path, v in pairs if not np.array_equal(before[path], v)}

    assert {"logits/kernel", "logits/bias"} == changed(frozen)
    assert {"fc/kernel", "fc_norm/gamma", "fc_norm/moving_mean"} <= changed(both)


def test_early_stopping_keeps_the_best_weights(tmp_path: Path) -> None:
    """Training ends some epochs after the lowest validation loss, with its weights."""
    validation = make_data(seed=5)
    trainer = run(
        make_trainer(
            validation,
            early_stopping_patience=3,
            epochs=200,
            optimizer="adam",
            learning_rate=0.05,
        ),
        tmp_path / "run",
    )
    losses = [epoch["validation_loss"] for epoch in trainer.state.history]
    best = int(np.argmin(losses))

    assert best + 4 == len(losses) < 200
    assert pytest.approx(losses[best], rel=1e-6) == compute_loss(
        trainer.model, validation
    )
    assert best + 1 == trainer.to_json()["weights_of_epoch"]


def test_metrics_of_epochs_are_those_of_an_evaluation(tmp_path: Path) -> None:
    """F1, F2 and average precision are what all metrics say of the same scores."""
    validation = make_data(seed=5)
    trainer = run(make_trainer(validation), tmp_path / "run")
    inputs, labels = validation.read(np.arange(PATCHES))
    logits = tf.constant(trainer.model(inputs))
    expected = compute_metrics(labels, tf.sigmoid(logits).numpy())

    found = trainer.state.history[-1]
    assert pytest.approx(expected.per_patch.f1) == found["validation_f1"]
    assert pytest.approx(expected.per_patch.f2) == found["validation_f2"]
    assert (
        pytest.approx(expected.average_precision_macro) == found["validation_ap_macro"]
    )
    assert (
        pytest.approx(expected.average_precision_micro) == found["validation_ap_micro"]
    )


@pytest.mark.parametrize("metric", ["f1", "ap_macro"])
def test_early_stopping_on_a_metric_keeps_its_best_epoch(
    tmp_path: Path, metric: str
) -> None:
    """The weights kept are those of the epoch whose metric is the highest."""
    changes = {"optimizer": "adam", "learning_rate": 0.05, "epochs": 60}
    trainer = run(
        make_trainer(
            make_data(seed=5),
            early_stopping_patience=4,
            early_stopping_metric=metric,
            **changes,
        ),
        tmp_path / "run",
    )
    values = [epoch[f"validation_{metric}"] for epoch in trainer.state.history]

    assert int(np.argmax(values)) + 1 == trainer.to_json()["weights_of_epoch"]
    assert min(60, int(np.argmax(values)) + 5) == len(values)
    found = compute_epoch_metrics(*score(trainer, make_data(seed=5))[1:])
    assert pytest.approx(max(values)) == found[metric]


def test_a_metric_without_meaning_stops_nothing_early(tmp_path: Path) -> None:
    """Without a label on the validation patches, average precision is refused."""
    inputs, labels = make_data(5).read(np.arange(PATCHES))
    unlabelled = MemoryData(inputs, 0 * labels, [str(i) for i in range(PATCHES)])
    changes = {"early_stopping_patience": 1, "early_stopping_metric": "ap_micro"}

    with pytest.raises(OptionError, match="early_stopping_metric: ap_micro"):
        run(make_trainer(unlabelled, **changes), tmp_path / "run")


def test_a_diverging_training_is_an_error(tmp_path: Path) -> None:
    """A loss that is no number ends training, and no state of it is saved."""
    trainer = make_trainer(learning_rate=1e30, epochs=9)

    with pytest.raises(OptionError, match=r"diverged.*lower --learning_rate"):
        run(trainer, tmp_path / "run")
    assert len(trainer.state.history) < 9


def read_events(folder: Path) -> dict[str, dict[int, Any]]:
    """Tag → step → what the event file of a folder holds."""
    [path] = folder.iterdir()
    found: dict[str, dict[int, Any]] = {}
    for record in tf.data.TFRecordDataset(str(path)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            contents = found.setdefault(value.tag, {})
            contents[event.step] = tf.make_ndarray(value.tensor)
    return found


def test_losses_and_metrics_are_logged(tmp_path: Path) -> None:
    """Both splits have an event file, and their losses of epochs the same name."""
    trainer = run(make_trainer(make_data(5), epochs=20), tmp_path / "run")
    train, validation = (
        read_events(tmp_path / "run" / "logs" / name)
        for name in ("train", "validation")
    )

    assert [50] == list(train["learning_rate"]) == list(train["loss/batch"])
    assert pytest.approx(0.01) == train["learning_rate"][50]
    history = trainer.state.history
    losses = [float(value) for value in train["loss/epoch"].values()]
    assert pytest.approx([epoch["loss"] for epoch in history]) == losses
    for name in ("loss", "f1", "f2", "ap_macro", "ap_micro"):
        expected = [epoch[f"validation_{name}"] for epoch in history]
        found = [float(value) for value in validation[f"{name}/epoch"].values()]
        assert pytest.approx(expected) == found


def test_paces_are_kept(tmp_path: Path) -> None:
    """training.json says how fast each epoch was, and which part of it was waiting."""
    times = run(make_trainer(), tmp_path / "run").to_json()["times"]

    assert 3 == len(times["paces"]) == len(times["epoch_seconds"])
    for pace, seconds in zip(times["paces"], times["epoch_seconds"], strict=True):
        assert 0 <= pace["waiting"] <= 1
        assert pytest.approx(PATCHES / seconds, rel=0.05) == pace["patches_per_second"]


def test_a_device_without_patches_is_refused() -> None:
    """Batch normalization is refused where a device would have no patch."""
    settings = Settings(batch_size=20, batch_norm=True, validation_split="none")

    class Two:
        num_replicas_in_sync = 2

    with pytest.raises(OptionError, match=r"last batch of 21 patches has 1, fewer"):
        check_options(settings, make_data(), Two())


_TWO_DEVICES = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
import tensorflow as tf
[cpu] = tf.config.list_physical_devices("CPU")
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
sys.path.insert(0, sys.argv[1])
from test_training import make_data, make_trainer, run
from baselines.steps import compute_outputs
changes = json.loads(sys.argv[2])
for strategy in (
    tf.distribute.get_strategy(),
    tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]),
):
    trainer = make_trainer(make_data(5), strategy=strategy, **changes)
    with tempfile.TemporaryDirectory() as folder:
        run(trainer, Path(folder))
    batches = list(compute_outputs(strategy, trainer.model, make_data(), 5))
    outputs, labels = (np.concatenate(each).tolist() for each in zip(*batches))
    print("found", json.dumps([trainer.state.history, outputs, labels]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [8, 5])
def test_two_devices_give_the_loss_of_one(batch_size: int) -> None:
    """Losses and outputs agree to 1e-5, where the last batch has fewer patches, too."""
    changes = {"batch_size": batch_size, "l2": 0.1, "optimizer": "adam"}
    line = [sys.executable, "-c", _TWO_DEVICES, str(Path(__file__).parent)]
    done = subprocess.run(
        [*line, json.dumps(changes)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == done.returncode, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    one, two = (json.loads(line.removeprefix("found ")) for line in lines)

    assert 3 == len(one[0])
    for first, second in zip(one[0], two[0], strict=True):
        assert pytest.approx(first, rel=0, abs=1e-5) == second
    np.testing.assert_allclose(one[1], two[1], rtol=0, atol=1e-5)
    assert make_data().read(np.arange(PATCHES))[1].tolist() == one[2] == two[2]
