"""What a training says of itself: at its start, after each epoch, and at its end."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines import workdir
from baselines.pace import Pace
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras


# Names of numbers that are no metrics of the validation split alone.
_NAMES = {"validation_loss": "validation loss"}


def describe_start(
    run: workdir.Run, model: keras.Model, *, store: object, device: str
) -> str:
    """Says what will be trained.

    Args:
        run: What it is.
        model: What is trained.
        store: Where patches are read.
        device: What `backend.describe_device` says.
    """
    settings, data = run.settings, run.data
    count = sum(int(v.shape.num_elements()) for v in model.trainable_variables)
    validation = data["validation"]
    against = (
        f"{validation['patches']:,} of {validation['split']} to validate on"
        if validation
        else "none to validate on"
    )
    train, size = data["train"], settings.batch_size
    steps = -(-train["patches"] // size)
    classes = len(settings.nomenclature)
    return "\n".join(
        [
            f"model: {settings.model}, {count:,} trained parameters, {classes} classes",
            f"patches: {train['patches']:,} of {train['split']} to train on, {against}",
            f"store: {store}",
            f"epochs: {settings.epochs} of {steps:,} steps of {size} patches",
            device,
        ]
    )


def describe_epoch(
    numbers: Mapping[str, Any], settings: Settings, pace: Pace, seconds_left: float
) -> str:
    """Says in a line how an epoch went.

    Args:
        numbers: What training.json says of it.
        settings: How it is trained.
        pace: How fast it was.
        seconds_left: Time that the epochs left will take.
    """
    texts = [
        f"{_NAMES.get(name, name.removeprefix('validation_'))} {value:.4f}"
        for name, value in numbers.items()
        if name != "epoch" and value is not None
    ]
    found = pace.to_json()
    texts += [
        f"{found['patches_per_second']:,.0f} patches/s",
        f"{found['waiting']:.0%} waiting",
    ]
    if pace.memory is not None:
        texts.append(f"{pace.memory / 1e9:.1f} GB of GPU memory")
    if numbers["epoch"] < settings.epochs:
        texts.append(f"{format_seconds(seconds_left)} left")
    return f"epoch {numbers['epoch']}/{settings.epochs}: {', '.join(texts)}"


def describe_end(
    folder: Path,
    data_dir: Path,
    needs: Mapping[str, Path | None],
) -> str:
    """Says where the results are, and what comes next.

    Args:
        folder: The workdir.
        data_dir: The data directory.
        needs: Flag → value of what an evaluation needs besides.
    """
    flags = {"workdir": folder, "data_dir": data_dir, **needs}
    given = " ".join(
        f"--{name}={shlex.quote(str(value))}"
        for name, value in flags.items()
        if value is not None
    )
    logs = shlex.quote(str(folder / workdir.LOGS))
    return (
        f"{folder}: {workdir.WEIGHTS}, {workdir.TRAINING}\n"
        f"curves: tensorboard --logdir={logs}\n"
        f"next: python -m baselines.evaluate {given} --split=test"
    )


def format_seconds(seconds: float) -> str:
    """Writes a length of time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
