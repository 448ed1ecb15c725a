"""Compiled steps of training and validation, on one device or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from baselines.input_pipeline import MakeBatches

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Steps:
    """Steps of one model; losses are means of the sigmoid cross entropy.

    On several devices each takes its part of a batch, and gradients are summed.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.Optimizer,
        strategy: tf.distribute.Strategy,
        make_batches: MakeBatches,
        *,
        jit_compile: bool,
    ) -> None:
        """Traces nothing yet.

        Args:
            model: From inputs to logits; made in the strategy's scope, like the
                optimizer.
            optimizer: Its learning rate is a schedule or constant.
            strategy: Where to compute.
            make_batches: Makes batches as they will come.
            jit_compile: Compiles passes through the model by XLA.
        """
        import tensorflow as tf

        with strategy.scope():
            optimizer.build(model.trainable_variables)
        self._model, self._optimizer, self._strategy = model, optimizer, strategy
        # Of several devices only the passes: XLA cannot compile sums over them.
        self._run_backward = tf.function(self._differentiate, jit_compile=jit_compile)
        self._run_forward = tf.function(self._score, jit_compile=jit_compile)
        # Of any size of batch: bits must not depend on which one came first.
        spec = self.distribute(make_batches).element_spec
        count, total = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.float64)
        self.train = tf.function(self._train, [spec, count, total])
        self.validate = tf.function(self._validate, [spec, total])

    def distribute(self, make_batches: MakeBatches) -> Any:
        """Returns batches, cut for the devices and copied there ahead of their step."""
        import tensorflow as tf

        dataset = make_batches(part=(0, 1))
        gpus = tf.config.list_logical_devices("GPU")
        if self._strategy.num_replicas_in_sync == 1 and gpus:
            # TensorFlow does this by itself for several devices alone.
            copy = tf.data.experimental.prefetch_to_device(gpus[0].name, 1)
            return dataset.apply(copy)
        return self._strategy.experimental_distribute_dataset(dataset)

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

    def _validate(self, batch: tuple[Any, tf.Tensor], total: tf.Tensor) -> tf.Tensor:
        """Adds the losses of a batch to a total; see `_train`."""
        import tensorflow as tf

        losses = self._strategy.run(self._run_forward, args=batch)
        return total + tf.cast(self._sum(losses), tf.float64)

    def _train_replica(
        self, inputs: Any, labels: tf.Tensor, count: tf.Tensor
    ) -> tf.Tensor:
        loss, gradients = self._run_backward(inputs, labels, count)
        self._optimizer.apply(gradients, self._model.trainable_variables)
        return loss

    def _differentiate(
        self, inputs: Any, labels: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Returns the sum of losses of one device's patches, and its gradients."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = _sum_losses(labels, self._model(inputs, training=True))
            penalty = sum(self._model.losses, tf.constant(0.0))
            replicas = self._strategy.num_replicas_in_sync
            objective = self._optimizer.scale_loss(loss / count + penalty / replicas)
        return loss, tape.gradient(objective, self._model.trainable_variables)

    def _score(self, inputs: Any, labels: tf.Tensor) -> tf.Tensor:
        return _sum_losses(labels, self._model(inputs, training=False))

    def _sum(self, values: Any) -> tf.Tensor:
        import tensorflow as tf

        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, values, axis=None)


def _sum_losses(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Sums over patches the mean over classes of the sigmoid cross entropy."""
    import tensorflow as tf

    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        tf.cast(labels, tf.float32), tf.cast(logits, tf.float32)
    )
    return tf.reduce_sum(tf.reduce_mean(losses, axis=1))
