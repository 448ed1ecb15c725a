"""Measures how long a device waits for batches, with steps of a given length.

A step is simulated: it sleeps, as a host does while its GPU computes. The pipeline is
that of baselines.train, with op determinism: all bands, in a drawn order. Beside it the
reader alone (steps of 0 ms), and a Keras `fit` over `tfds.load`, shuffled and batched,
whose model takes the batch and sleeps. Ways are measured turn by turn; medians count.
"""

from __future__ import annotations

import contextlib
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from baselines.input_pipeline import ChosenPatches, Order, PatchData, ReadAhead
from baselines.settings import Settings
from baselines.stored_rows import StoreData, Stores
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.store.search import open_store

TRAIN_SPLITS = "train+validation+test"
FORMATS = ("arrow", "tfrecord")
# Steps of a turn, so that few batches that lay ready do not hide that steps wait.
_LEAST_STEPS = 64


def open_data(
    data_dir: Path, settings: Settings, form: str, ahead: ReadAhead | None = None
) -> StoreData:
    """Opens the patches of a store of one format."""
    config = get_config("s2", RELEASES)
    stores = Stores(config, (open_store(data_dir, config, form),))
    return StoreData(stores, settings, ahead=ahead)


def repeat_patches(data: StoreData, patches: int) -> ChosenPatches:
    """Takes the patches of a small store again and again: an epoch of many batches."""
    return ChosenPatches(data, np.arange(patches) % data.num_patches)


def run_steps(
    batches: Iterator[Any], steps: int, step_s: float, unmeasured: int
) -> dict[str, float]:
    """Takes batches, and computes for a time after each.

    Args:
        batches: The batches.
        steps: Steps that are measured.
        step_s: Length of a step.
        unmeasured: Steps before: the first waits with nothing to overlap with, and
            those after it may take what was read meanwhile.

    Returns:
        `wait_ms`: mean time for which a step waits for its batch; `wall_s` of these
        steps.
    """
    for _ in range(unmeasured):
        next(batches)
        time.sleep(step_s)
    waited, start = 0.0, time.monotonic()
    for _ in range(steps):
        asked = time.monotonic()
        next(batches)
        waited += time.monotonic() - asked
        time.sleep(step_s)
    return {"wait_ms": 1000 * waited / steps, "wall_s": time.monotonic() - start}


def measure_fit(
    data_dir: Path, batch_size: int, steps: int, step_s: float
) -> dict[str, float]:
    """Returns the seconds of steps of a plain Keras `fit` over `tfds.load`."""
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    import bigearthnet  # noqa: F401  registers the data set

    dataset = tfds.load("bigearthnet/s2", split=TRAIN_SPLITS, data_dir=data_dir)
    groups = ("bands_10m", "bands_20m", "bands_60m")
    dataset = dataset.map(
        lambda row: (tuple(row[name] for name in groups), row["multi_hot_43"]),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    dataset = dataset.repeat().shuffle(1_000, seed=0).batch(batch_size).prefetch(2)

    def sleep(*_: Any) -> float:
        time.sleep(step_s)
        return 0.0

    class Sleep(keras.Model):  # type: ignore[misc]
        def train_step(self, data: Any) -> dict[str, Any]:
            return {"loss": tf.py_function(sleep, data[0], tf.float32)}

    model = Sleep()
    model.compile()
    times: list[float] = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: times.append(time.monotonic())
    )
    model.fit(dataset, steps_per_epoch=steps + 1, callbacks=[note], verbose=0)
    return {"wall_s": times[-1] - times[0]}


def measure_feeding(
    data_dir: Path,
    batch_size: int,
    step_ms: float,
    *,
    patches: int,
    turns: int,
    ahead: ReadAhead,
) -> dict[str, Any]:
    """Measures one size of batch and one length of a step.

    Args:
        data_dir: The data directory of a build in both formats.
        batch_size: Patches of a batch.
        step_ms: Length of a step.
        patches: Patches of a turn, about; there are at least 64 steps.
        turns: How often each way is measured.
        ahead: How far to read ahead.

    Returns:
        Name of each way → medians of what `run_steps` returns, and patches/s.
    """
    steps = max(_LEAST_STEPS, patches // batch_size)
    unmeasured = 1 + ahead.parallel_reads + ahead.batches_ahead
    settings = Settings(train_split=TRAIN_SPLITS, validation_split="none")
    found: dict[str, list[dict[str, float]]] = {}
    ways: dict[str, Callable[[int], dict[str, float]]] = {}
    for form in FORMATS:
        stored = open_data(data_dir, settings, form, ahead)
        data = repeat_patches(stored, (steps + unmeasured) * batch_size)
        run = functools.partial(_run_store, data, batch_size, steps, unmeasured)
        ways[form] = functools.partial(run, step_ms / 1000)
        ways[f"{form} alone"] = functools.partial(run, 0)
    ways["fit"] = lambda _: measure_fit(data_dir, batch_size, steps, step_ms / 1000)
    for turn in range(turns):
        for name, way in ways.items():
            found.setdefault(name, []).append(way(turn))
    summaries = {
        name: _summarise(values, batch_size * steps) for name, values in found.items()
    }
    return {"batch_size": batch_size, "step_ms": step_ms, "ways": summaries}


def _run_store(
    data: PatchData,
    batch_size: int,
    steps: int,
    unmeasured: int,
    step_s: float,
    turn: int,
) -> dict[str, float]:
    with op_determinism():
        batches = data.batches(Order(batch_size, seed=0, epoch=turn))
        return run_steps(iter(batches), steps, step_s, unmeasured)


@contextlib.contextmanager
def op_determinism() -> Iterator[None]:
    """What baselines.train switches on, for a while."""
    import keras
    import tensorflow as tf
    from tensorflow.python.framework import config

    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


def _summarise(turns: list[dict[str, float]], patches: int) -> dict[str, float]:
    found = {key: statistics.median(t[key] for t in turns) for key in turns[0]}
    return {**found, "patches_per_s": patches / found["wall_s"]}


def format_results(rows: list[dict[str, Any]]) -> str:
    """Returns the figures as a table in Markdown."""
    lines = [
        "| batch | step, ms | store | wall, s | patches/s | reader alone, patches/s | "
        "a step waits | share |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        head = f"| {row['batch_size']} | {row['step_ms']:g} |"
        for form in FORMATS:
            found, alone = row["ways"][form], row["ways"][f"{form} alone"]
            lines.append(
                f"{head} {form} | {found['wall_s']:.2f} | {found['patches_per_s']:,.0f}"
                f" | {alone['patches_per_s']:,.0f} | {found['wait_ms']:.2f} ms | "
                f"{found['wait_ms'] / row['step_ms']:.1%} |"
            )
        fit = row["ways"]["fit"]
        lines.append(
            f"{head} Keras `fit`, `tfds.load` | {fit['wall_s']:.2f} | "
            f"{fit['patches_per_s']:,.0f} | | | |"
        )
    return "\n".join(lines)
