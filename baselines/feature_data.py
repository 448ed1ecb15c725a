"""Features in memory → batches, as the training loop takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import draw_order, hash_ids
from bigearthnet.util.options import check_batch_size

if TYPE_CHECKING:
    import tensorflow as tf

# Batches that wait, of half a megabyte each.
_READ_AHEAD = 4


class FeatureData:
    """Features and labels in memory; see `input_pipeline.TrainingData`.

    Inputs: shape (batch, NUM_FEATURES), float32.

    Attributes:
        num_patches: How many patches there are.
        ids_sha256: What `hash_ids` makes of their ids.
        patch_ids: The ids, in stored order.
    """

    def __init__(
        self,
        features: npt.NDArray[Any],
        labels: npt.NDArray[np.uint8],
        patch_ids: Sequence[str],
    ) -> None:
        """Takes arrays in stored order, which are not copied.

        Args:
            features: Shape (patch, feature), float32 or float16.
            labels: Multi-hot, shape (patch, class).
            patch_ids: Ids of the patches.
        """
        self._features, self._labels = features, labels
        self.patch_ids = list(patch_ids)
        self.num_patches = len(self.patch_ids)
        self.ids_sha256 = hash_ids(self.patch_ids)

    def batches(
        self,
        batch_size: int,
        *,
        seed: int | None,
        epoch: int = 0,
        start_batch: int = 0,
    ) -> tf.data.Dataset:
        """Makes batches of every patch once; see `TrainingData`."""
        check_batch_size(batch_size)
        order = draw_order(self.num_patches, seed, epoch)
        return self._gather(order[start_batch * batch_size :], batch_size)

    def labelled_batches(self, batch_size: int) -> tf.data.Dataset:
        """Makes batches in stored order, with patch ids; see `TrainingData`."""
        import tensorflow as tf

        batches = self.batches(batch_size, seed=None)
        ids = tf.data.Dataset.from_tensor_slices(self.patch_ids).batch(batch_size)
        return tf.data.Dataset.zip(batches, ids).map(lambda batch, ids: (*batch, ids))

    def _gather(self, order: npt.NDArray[np.int64], batch_size: int) -> tf.data.Dataset:
        import tensorflow as tf

        def gather(rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
            return self._features[rows].astype(np.float32), self._labels[rows]

        def read(rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Not tf.gather, whose graph would keep a copy of all features.
            inputs, labels = tf.numpy_function(gather, [rows], (tf.float32, tf.uint8))
            inputs.set_shape((None, self._features.shape[1]))
            labels.set_shape((None, self._labels.shape[1]))
            return inputs, labels

        dataset = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
        return dataset.map(read).prefetch(_READ_AHEAD)
