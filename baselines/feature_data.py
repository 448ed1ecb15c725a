"""Features in memory → batches, as the training loop takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from baselines.input_pipeline import PatchData


class FeatureData(PatchData):
    """Features and labels in memory. Inputs: shape (batch, feature), float32."""

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
        super().__init__(patch_ids)
        self._features, self._labels = features, labels

    def read(
        self, rows: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Looks up some patches; see `PatchData.read`."""
        return self._features[rows].astype(np.float32), self._labels[rows]
