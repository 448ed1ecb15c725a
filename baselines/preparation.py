"""What a training needs before its first step: options that fit, a model, its data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.cached_data import Place, cache_patches
from baselines.frequency import balance_classes
from baselines.initial_weights import InitialWeights, set_initial_weights
from baselines.input_pipeline import PatchData
from baselines.models import build_trained_part
from baselines.optimizers import choose_jit, choose_policy, make_optimizers
from baselines.phases import count_batches
from baselines.settings import Settings
from baselines.stored_rows import StoreData
from baselines.training import Trainer
from baselines.workdir import Run
from bigearthnet.errors import OptionError
from bigearthnet.util.wording import count_of

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def check_alone(
    chosen: Settings, every_steps: int, init_from: Path | None, cache: Place
) -> None:
    """Refuses options that have no meaning, whatever the data are; see `train.train`.

    Raises:
        OptionError: If one of them is.
    """
    if every_steps < 0:
        raise OptionError(
            f"checkpoint_every_steps: expected 0 or more, got {every_steps}."
        )
    if chosen.frozen_epochs and init_from is None:
        raise OptionError(
            "frozen_epochs: expected 0 without --init_from, as weights that were drawn "
            f"are worth nothing frozen, got {chosen.frozen_epochs}."
        )
    if chosen.uses_features and cache != "none":
        raise OptionError(
            f"cache: expected none for {chosen.model}, whose features are in memory "
            f"anyway, got {cache}."
        )


def check_options(
    settings: Settings, train: PatchData, strategy: tf.distribute.Strategy
) -> None:
    """Refuses what cannot be trained, before anything is built or written.

    Args:
        settings: How to train.
        train: What to train on.
        strategy: Where to compute.

    Raises:
        OptionError: If the settings and the data do not go together.
    """
    devices = strategy.num_replicas_in_sync
    last = train.num_patches % settings.batch_size or settings.batch_size
    if settings.batch_norm and last < devices:
        # Batch normalization has no mean on a device without patches.
        raise OptionError(
            f"batch_size: the last batch of {count_of(train.num_patches, 'patch')} "
            f"has {last}, "
            f"fewer than the {devices} devices, and batch normalization needs one for "
            "each. Expected another batch size."
        )
    make_optimizers(settings, count_batches(settings, train))
    choose_jit(settings, strategy)


def make_trainer(
    run: Run,
    data: tuple[StoreData, StoreData | None],
    load: Callable[[StoreData], PatchData],
    initial: InitialWeights | None,
    strategy: tf.distribute.Strategy,
    cache: Place,
) -> Trainer:
    """Builds what is trained, from patches or from features that `load` makes."""
    import keras
    import tensorflow as tf

    chosen, (train_data, validation_data) = run.settings, data
    class_weights = None
    if chosen.class_weights == "balanced":
        labels = train_data.read_labels(np.arange(train_data.num_patches))
        class_weights = balance_classes(labels)
    fed: tuple[PatchData, PatchData | None]
    if chosen.uses_features:
        fed = load(train_data), validation_data and load(validation_data)
    else:
        fed = cache_patches(train_data, cache, strategy), validation_data
    keras.utils.set_random_seed(chosen.seed)
    if chosen.deterministic:
        tf.config.experimental.enable_op_determinism()
    policy = choose_policy(chosen)

    def make_model() -> keras.Model:
        model = build_trained_part(chosen, run.statistics, policy=policy)
        if initial is not None:
            set_initial_weights(model, initial)
        return model

    return Trainer(chosen, make_model, *fed, strategy, class_weights)
