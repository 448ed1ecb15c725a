"""Parts of a training with an optimizer each: a new classifier alone, then all."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from baselines.input_pipeline import PatchData
from baselines.models.augmentation import augment
from baselines.models.head import CLASSIFIER
from baselines.optimizers import choose_jit, make_optimizers
from baselines.settings import Settings
from baselines.steps import Steps

if TYPE_CHECKING:
    import keras
    import numpy as np
    import numpy.typing as npt
    import tensorflow as tf


class Phase(NamedTuple):
    """Epochs that train the same variables."""

    optimizer: keras.Optimizer
    steps: Steps


class Phases:
    """The phases of a training.

    Attributes:
        optimizers: Those of all phases, built.
    """

    def __init__(
        self,
        settings: Settings,
        model: keras.Model,
        train: PatchData,
        strategy: tf.distribute.Strategy,
        class_weights: npt.NDArray[np.float32] | None,
    ) -> None:
        """Makes optimizers and steps; see `training.Trainer`."""
        with strategy.scope():
            whole, frozen = make_optimizers(settings, count_batches(settings, train))
        make_steps = functools.partial(
            Steps,
            model,
            strategy=strategy,
            data=train,
            jit_compile=choose_jit(settings, strategy),
            augment=_make_augment(settings),
            class_weights=class_weights,
        )
        self._frozen_epochs = settings.frozen_epochs
        self._body = _list_body(model)
        self._whole = Phase(whole, make_steps(whole))
        self._frozen = None
        if frozen is not None:
            self._set_body(trainable=False)
            self._frozen = Phase(frozen, make_steps(frozen))
            self._set_body(trainable=True)
        phases = (self._whole, self._frozen)
        self.optimizers = [phase.optimizer for phase in phases if phase is not None]

    def begin(self, epoch: int) -> Phase:
        """Freezes all but the classifier, or trains it again.

        Args:
            epoch: Epochs done.

        Returns:
            The phase of the next one.
        """
        if self._frozen is None:
            return self._whole
        is_frozen = epoch < self._frozen_epochs
        self._set_body(trainable=not is_frozen)
        return self._frozen if is_frozen else self._whole

    def _set_body(self, *, trainable: bool) -> None:
        for layer in self._body:
            layer.trainable = trainable


def count_batches(settings: Settings, train: PatchData) -> int:
    """Returns the steps of an epoch."""
    return -(-train.num_patches // settings.batch_size)


def _make_augment(settings: Settings) -> Callable[..., Any] | None:
    if not settings.augment:
        return None
    seed, batch_size = settings.seed, settings.batch_size
    return functools.partial(augment, seed=seed, batch_size=batch_size)


def _list_body(model: keras.Model) -> list[keras.Layer]:
    """Returns the layers that are trained, but for the classifier."""
    return [
        layer
        for layer in model.layers
        if layer.trainable and layer.weights and layer.name != CLASSIFIER
    ]
