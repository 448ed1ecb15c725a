"""Compiled steps of training and validation, on one device, several, or several hosts.

Each device takes its part of every batch, and reads nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.decisions import Labels, Probabilities
from baselines.devices import call_model, distribute
from baselines.input_pipeline import Order, PatchData, unwrap_errors

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


def compute_outputs(
    strategy: tf.distribute.Strategy,
    model: keras.Model,
    data: PatchData,
    batch_size: int,
) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]]:
    """Yields what a model says of every patch, in stored order, on every host.

    Args:
        strategy: Where to compute.
        model: Made in its scope.
        data: The patches.
        batch_size: Patches of a forward pass on one device.

    Yields:
        Outputs of a batch of all devices, and multi-hot labels, shape (batch, class).

    Raises:
        ShardError: If a shard is damaged.
    """
    import tensorflow as tf

    devices = strategy.num_replicas_in_sync

    def forward(inputs: Any, labels: tf.Tensor) -> tf.Tensor:
        return call_model(model, inputs, labels, several=devices > 1, training=False)

    def run(inputs: Any, labels: Any) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = strategy.run(forward, (inputs, labels))
        # NCCL adds up and gathers no uint8.
        counts = strategy.run(lambda part: tf.cast(part, tf.int32), (labels,))
        return strategy.gather(outputs, 0), strategy.gather(counts, 0)

    compiled = tf.function(run, reduce_retracing=True)
    with unwrap_errors():
        for batch in data.feed(strategy, Order(batch_size * devices)):
            outputs, labels = compiled(*batch)
            yield outputs.numpy(), labels.numpy().astype(np.uint8)


class Steps:
    """Steps of one model; losses are means of the sigmoid cross entropy.

    On several devices each takes its part of a batch; losses and gradients are summed.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        strategy: tf.distribute.Strategy,
        data: PatchData,
        *,
        jit_compile: bool,
        augment: Callable[..., Any] | None = None,
        class_weights: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Traces nothing yet.

        Args:
            model: From inputs to logits; made in the strategy's scope, like the
                optimizer.
            optimizer: Its learning rate is a schedule or constant.
            strategy: Where to compute.
            data: Makes batches as they will come.
            jit_compile: Compiles passes through the model by XLA.
            augment: Changes the inputs of a step of training; takes them, and `step`
                and `first` as `models.augmentation.augment` does.
            class_weights: Weights of the labels that a patch has, shape (class,).
        """
        import tensorflow as tf

        with strategy.scope():
            optimizer.build(model.trainable_variables)
        self._model, self._optimizer, self._strategy = model, optimizer, strategy
        self._augment, self._class_weights = augment, class_weights
        # Of several devices only the passes: XLA cannot compile sums over them.
        self._run_backward = tf.function(self._differentiate, jit_compile=jit_compile)
        self._run_forward = tf.function(self._score, jit_compile=jit_compile)
        # Of any size of batch: bits must not depend on which one came first.
        batches = distribute(strategy, functools.partial(data.batches, Order(1)))
        spec = batches.element_spec
        count, total = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.float64)
        self.train = tf.function(self._train, [spec, count, total])
        self.validate = tf.function(self._validate, [spec, total])

    def score(
        self, data: PatchData, batch_size: int
    ) -> tuple[float, Labels, Probabilities]:
        """Computes the mean loss of patches, and what the model says of them.

        Args:
            data: The patches.
            batch_size: Patches of a batch, over all devices.

        Returns:
            Loss, without penalties and dropout; labels and probabilities, shape
            (patch, class), in stored order.
        """
        import tensorflow as tf

        total, scores, labels = tf.constant(0, tf.float64), [], []
        for batch in data.feed(self._strategy, Order(batch_size)):
            total, probability, truth = self.validate(batch, total)
            scores.append(probability.numpy())
            labels.append(truth.numpy().astype(np.uint8))
        loss = float(total) / data.num_patches
        return loss, np.concatenate(labels), np.concatenate(scores)

    def _train(
        self, batch: tuple[Any, tf.Tensor], count: tf.Tensor, total: tf.Tensor
    ) -> tf.Tensor:
        """Trains on a batch.

        Args:
            batch: Inputs, and multi-hot labels of shape (batch, class), uint8.
            count: Patches of the batch, over all devices, float32.
            total: Sum of the losses of earlier patches, float64.

        Returns:
            The total with the losses of these patches, without penalties, before the
            weights were changed.
        """
        import tensorflow as tf

        losses = self._strategy.run(self._train_replica, args=(*batch, count))
        return total + tf.cast(self._sum(losses), tf.float64)

    def _validate(
        self, batch: tuple[Any, tf.Tensor], total: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Adds the losses of a batch to a total; see `_train`.

        Returns:
            The total; probabilities and labels of the batch, shape (patch, class).
        """
        import tensorflow as tf

        losses, logits = self._strategy.run(self._run_forward, args=batch)
        # NCCL adds up and gathers no uint8.
        cast = functools.partial(tf.cast, dtype=tf.int32)
        labels = self._strategy.run(cast, (batch[1],))
        gathered = [self._strategy.gather(part, 0) for part in (logits, labels)]
        total += tf.cast(self._sum(losses), tf.float64)
        return total, tf.sigmoid(tf.cast(gathered[0], tf.float32)), gathered[1]

    def _train_replica(
        self, inputs: Any, labels: tf.Tensor, count: tf.Tensor
    ) -> tf.Tensor:
        if self._augment is not None:
            first = self._find_first(count)
            step = self._optimizer.iterations
            inputs = self._augment(inputs, step=step, first=first)
        loss, gradients = self._run_backward(inputs, labels, count)
        self._optimizer.apply(gradients, self._model.trainable_variables)
        return loss

    def _find_first(self, count: tf.Tensor) -> tf.Tensor:
        """Returns the number of this device's first patch, of `count` in a batch."""
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        index, devices = context.replica_id_in_sync_group, context.num_replicas_in_sync
        whole = tf.cast(count, tf.int32)
        return whole // devices * index + tf.minimum(index, whole % devices)

    def _differentiate(
        self, inputs: Any, labels: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the sum of losses of one device's patches, and its gradients."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss, _ = self._compute_loss(inputs, labels, training=True)
            penalty = sum(self._model.losses, tf.constant(0.0))
            replicas = self._strategy.num_replicas_in_sync
            objective = self._optimizer.scale_loss(loss / count + penalty / replicas)
        return loss, tape.gradient(objective, self._model.trainable_variables)

    def _score(self, inputs: Any, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self._compute_loss(inputs, labels, training=False)

    def _compute_loss(
        self, inputs: Any, labels: tf.Tensor, *, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the sum of losses, and logits."""
        several = self._strategy.num_replicas_in_sync > 1
        logits = call_model(
            self._model, inputs, labels, several=several, training=training
        )
        return _sum_losses(labels, logits, self._class_weights), logits

    def _sum(self, values: Any) -> tf.Tensor:
        import tensorflow as tf

        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)


def _sum_losses(
    labels: tf.Tensor, logits: tf.Tensor, weights: npt.NDArray[np.float32] | None
) -> tf.Tensor:
    """Sums over patches the mean over classes of the sigmoid cross entropy."""
    import tensorflow as tf

    pair = tf.cast(labels, tf.float32), tf.cast(logits, tf.float32)
    losses = (
        tf.nn.sigmoid_cross_entropy_with_logits(*pair)
        if weights is None
        else tf.nn.weighted_cross_entropy_with_logits(*pair, weights)
    )
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1))
