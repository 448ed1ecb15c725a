"""Patches, or their features, in the memory of the host → batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import PatchData, ReadAhead


class MemoryData(PatchData):
    """Inputs and labels in memory; float16 is kept alone, and comes as float32."""

    def __init__(
        self,
        inputs: Any,
        labels: npt.NDArray[np.uint8],
        patch_ids: Sequence[str],
        ahead: ReadAhead | None = None,
    ) -> None:
        """Takes arrays in stored order, which are not copied.

        Args:
            inputs: Shape (patch, feature), float32 or float16; or as `PatchData.read`
                returns them.
            labels: Multi-hot, shape (patch, class).
            patch_ids: Ids of the patches.
            ahead: How far to read ahead.
        """
        super().__init__(patch_ids, ahead)
        self._inputs, self._labels = inputs, labels

    def read(self, rows: npt.NDArray[np.int64]) -> tuple[Any, npt.NDArray[np.uint8]]:
        """Looks up some patches; see `PatchData.read`."""
        import tensorflow as tf

        def look_up(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
            found = array[rows]
            return found.astype(np.float32) if found.dtype == np.float16 else found

        return tf.nest.map_structure(look_up, self._inputs), self._labels[rows]
