"""Pictures of a few validation patches, with what a model says of them so far."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from baselines.decisions import DEFAULT_THRESHOLD, Probabilities
from baselines.input_pipeline import PatchData
from baselines.prediction_picture import Prediction, draw_prediction
from bigearthnet.release.nomenclature import Nomenclature

# Pictures after an epoch; one takes a third of a second.
_NUM_PICTURES = 3
# The group that a picture is made of.
_PICTURE = "bands_10m"


def draw_patches(
    data: PatchData, probability: Probabilities, nomenclature: Nomenclature
) -> Iterator[tuple[str, bytes]]:
    """Draws some patches, the same each time, spread over all of them.

    Args:
        data: The patches.
        probability: Shape (patch, class), float32.
        nomenclature: The classes.

    Yields:
        Patch id and PNG; nothing where the patches have no picture (features, radar),
        or matplotlib is not installed.
    """
    rows = np.unique(np.linspace(0, data.num_patches - 1, _NUM_PICTURES).astype(int))
    inputs, labels = data.read(rows)
    if not isinstance(inputs, dict) or _PICTURE not in inputs:
        return
    if importlib.util.find_spec("matplotlib") is None:
        return
    for i, row in enumerate(rows.tolist()):
        prediction = Prediction(
            patch_id=data.patch_ids[row],
            labels=nomenclature.labels,
            is_true=labels[i],
            probability=probability[row],
            threshold=DEFAULT_THRESHOLD,
        )
        yield data.patch_ids[row], draw_prediction(prediction, inputs[_PICTURE][i])
