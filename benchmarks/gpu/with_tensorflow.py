"""Measures the baselines: steps as baselines.train takes them, from both stores.

Settings are those of the baselines by default, op determinism and XLA included. Of
inception_v2, whose weights are random, the features are measured.
"""

from __future__ import annotations

import functools
import gc
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baselines.backend import check_keras, set_precision
from baselines.cluster import refuse_cluster
from baselines.input_pipeline import ChosenPatches, Order, PatchData
from baselines.models import build_feature_model, build_trained_part
from baselines.models.preprocessing import choose_statistics
from baselines.optimizers import (
    choose_jit,
    choose_policy,
    choose_strategy,
    make_optimizer,
)
from baselines.settings import Settings
from baselines.steps import Steps, compute_outputs
from benchmarks.feeding import FORMATS, TRAIN_SPLITS, open_data, repeat_patches
from benchmarks.gpu.results import (
    HELD,
    PRECISIONS,
    Case,
    Result,
    list_cases,
    time_feed,
)
from benchmarks.sources import make_stores
from benchmarks.training import take_steps

if TYPE_CHECKING:
    import tensorflow as tf

# Most important first.
_MODELS = (
    *("s_cnn_all", "resnet50", "inception_v2", "s_cnn_rgb", "vgg16", "k_branch"),
    *("resnet101", "resnet152", "vgg19"),
)
# A run's bf16 is that of what it trains: features are fp32.
CASES = [c for c in list_cases(_MODELS) if c != Case("inception_v2", "bf16")]


class HeldBatch(ChosenPatches):
    """The first batch, on the device already, as often as there are batches."""

    def feed(self, strategy: tf.distribute.Strategy, order: Order) -> Iterator[Any]:
        """Yields it again and again."""
        batches = super().feed(strategy, order)
        count = self.num_patches // order.batch_size
        return itertools.repeat(next(iter(batches)), count)


def prepare(work: Path, num_patches: int, batch_size: int) -> Callable[[Case], Result]:
    """Makes the stores, and returns what measures a case.

    Args:
        work: Folder for the stores.
        num_patches: Synthetic patches of each.
        batch_size: Images of a step.

    Raises:
        OptionError: If Keras computes with something else, or `TF_CONFIG` is set.
    """
    import tensorflow as tf

    check_keras("benchmarks.gpu")
    refuse_cluster("benchmarks.gpu")
    # One GPU: several would share a batch.
    tf.config.set_visible_devices(tf.config.list_physical_devices("GPU")[:1], "GPU")
    tf.config.experimental.enable_op_determinism()
    data_dir = make_stores(work, num_patches, FORMATS)
    return functools.partial(_measure, data_dir, batch_size)


def describe_device() -> dict[str, str]:
    """Returns the name of the GPU, and versions."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus[:1]]
    names = [found.get("device_name", "an unknown GPU") for found in details]
    device = names[0] if names else "the CPU alone, no GPU"
    return {"device": device, "versions": f"TensorFlow {tf.__version__}"}


def _measure(data_dir: Path, batch_size: int, case: Case) -> Result:
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    gc.collect()  # of the model before
    keras.utils.set_random_seed(0)
    gpus = [f"GPU:{i}" for i, _ in enumerate(tf.config.list_logical_devices("GPU"))]
    for gpu in gpus:
        tf.config.experimental.reset_memory_stats(gpu)
    settings = Settings(
        model=case.model,  # type: ignore[arg-type]
        weights="random",
        train_split=TRAIN_SPLITS,
        validation_split="none",
        batch_size=batch_size,
        **PRECISIONS[case.precision],  # type: ignore[arg-type]
    )
    set_precision(settings)
    open_format = functools.partial(open_data, data_dir, settings)
    take = _build(settings, open_format("arrow"))

    def start(form: str, held: bool, steps: int) -> Iterator[Any]:
        data = repeat_patches(open_format(form), steps * batch_size)
        every = np.arange(data.num_patches)
        return take(HeldBatch(data, every) if held else data)

    step_s = {HELD: time_feed(functools.partial(start, "arrow", True))}
    for form in FORMATS:
        step_s[form] = time_feed(functools.partial(start, form, False))
    memory = [tf.config.experimental.get_memory_info(gpu)["peak"] for gpu in gpus]
    return Result(case, batch_size, step_s, memory[0] if memory else None)


def _build(settings: Settings, data: PatchData) -> Callable[[PatchData], Iterator[Any]]:
    """Builds a model; returns what takes steps, and yields a number after each."""
    strategy, batch_size = choose_strategy(), settings.batch_size
    if settings.uses_features:
        model = build_feature_model(settings, None)

        def compute(data: PatchData) -> Iterator[Any]:
            for features, _ in compute_outputs(strategy, model, data, batch_size):
                yield features[0, 0]

        return compute
    statistics = choose_statistics("published", settings.bands, {})
    steps = Steps(
        build_trained_part(settings, statistics, policy=choose_policy(settings)),
        make_optimizer(settings, 1),
        strategy,
        data,
        jit_compile=choose_jit(settings, strategy),
    )

    def train(data: PatchData) -> Iterator[Any]:
        return take_steps(steps, data.feed(strategy, Order(batch_size, seed=0)))

    return train
