from __future__ import annotations

from pathlib import Path

import keras
import pytest

from baselines.pace import Pace
from baselines.settings import Settings
from baselines.training_text import (
    describe_end,
    describe_epoch,
    describe_start,
    format_seconds,
)
from baselines.workdir import Run

PACE = Pace(patches=1000, seconds=4.0, waited=0.5, memory=None)


def test_a_line_says_how_an_epoch_went() -> None:
    """Losses, metrics, patches a second, share of waiting, and the time left."""
    numbers = {
        "epoch": 2,
        "loss": 0.5,
        "validation_loss": 0.25,
        "validation_f1": 0.125,
        "validation_ap_macro": None,
    }

    assert (
        "epoch 2/9: loss 0.5000, validation loss 0.2500, f1 0.1250, 250 patches/s, 12% "
        "waiting, 10 min left"
    ) == describe_epoch(numbers, Settings(epochs=9), PACE, 600.0)
    on_gpu = Pace(1000, 4.0, 0.5, memory=9_100_000_000)
    assert (
        "epoch 2/2: loss 0.5000, 250 patches/s, 12% waiting, 9.1 GB of GPU memory"
    ) == describe_epoch({"epoch": 2, "loss": 0.5}, Settings(epochs=2), on_gpu, 0.0)


def test_the_start_says_what_will_be_trained() -> None:
    """Model, parameters, patches, store, steps and device, before anything is done."""
    data = {"split": "train", "patches": 300}
    both = {"train": data, "validation": {"split": "validation", "patches": 90}}
    run = Run(Settings(epochs=4, batch_size=128), both, {}, None)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])

    assert [
        "model: s_cnn_all, 20 trained parameters, 43 classes",
        "patches: 300 of train to train on, 90 of validation to validate on",
        "store: data/arrow",
        "epochs: 4 of 3 steps of 128 patches",
        "device: CPU",
    ] == describe_start(
        run, model, store="data/arrow", device="device: CPU"
    ).splitlines()


def test_the_end_says_what_comes_next() -> None:
    """The command is whole, and quoted where a path has a space."""
    needs = {"weights_path": Path("w.ckpt"), "features_dir": None}
    text = describe_end(Path("my runs/a"), Path("data"), needs)

    assert (
        "next: python -m baselines.evaluate --workdir='my runs/a' --data_dir=data "
        "--weights_path=w.ckpt --split=test"
    ) == text.splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (90, "2 min"), (5400, "1.5 h")]
)
def test_times_are_in_a_unit_that_suits_them(seconds: float, text: str) -> None:
    """Seconds, minutes or hours."""
    assert text == format_seconds(seconds)
