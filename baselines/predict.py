r"""Predicts the classes of single patches, as JSON and as pictures.

Takes folders of patches as they are in the archive (12 TIFFs and a JSON). Prints a line
of JSON for each: its labels, the predicted classes, and the probability of each class;
and draws OUTPUT/PATCH_ID.png: the patch, and bars of probabilities.

Example:
  python -m baselines.predict --workdir=runs/s_cnn_all \
    BigEarthNet-v1.0/S2A_MSIL2A_20170613T101031_87_48
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from baselines.cluster import refuse_cluster
from baselines.decisions import DEFAULT_THRESHOLD
from baselines.model_card import find_warnings, read_evaluations
from baselines.patch_folders import PatchFolder, read_patch_folder
from baselines.prediction_picture import Prediction, draw_prediction
from baselines.trained import Trained, load_trained_model
from baselines.workdir import LOGS
from bigearthnet.errors import OptionError
from bigearthnet.release.bands import GROUPS
from bigearthnet.release.nomenclature import CLC43, remap_ids
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import write_bytes
from bigearthnet.util.paths import local_path

# Patches of a forward pass.
_BATCH_SIZE = 64


def predict(
    trained: Trained, folders: Sequence[Path], threshold: float = DEFAULT_THRESHOLD
) -> Iterator[tuple[Prediction, PatchFolder]]:
    """Reads patches and yields the prediction of each, in their order.

    Args:
        trained: A whole model; see `trained.load_trained_model`.
        folders: Folders of patches.
        threshold: A class is predicted where its probability is at least this.

    Raises:
        PatchError: If a folder is not that of a patch, or a file is damaged.
    """
    nomenclature = trained.run.settings.nomenclature
    for start in range(0, len(folders), _BATCH_SIZE):
        patches = [read_patch_folder(f) for f in folders[start : start + _BATCH_SIZE]]
        inputs = {
            name: np.stack([patch.groups[name] for patch in patches])
            for name in trained.run.settings.groups
        }
        scores = np.asarray(trained.model(inputs, training=False))
        for patch, probability in zip(patches, scores, strict=True):
            ids = remap_ids(patch.labels, CLC43, nomenclature)
            is_true = nomenclature.multi_hot(ids)
            prediction = Prediction(
                patch.patch_id, nomenclature.labels, is_true, probability, threshold
            )
            yield prediction, patch


def encode_prediction(prediction: Prediction) -> dict[str, Any]:
    """Returns a prediction as plain values, for JSON."""
    labels = prediction.labels
    pairs = list(zip(labels, prediction.probability.tolist(), strict=True))
    threshold = np.float32(prediction.threshold)
    return {
        "patch_id": prediction.patch_id,
        "labels": [n for n, t in zip(labels, prediction.is_true, strict=True) if t],
        "predicted": [label for label, value in pairs if value >= threshold],
        "threshold": prediction.threshold,
        "probabilities": {label: round(value, 6) for label, value in pairs},
    }


def _define_flags() -> None:
    command.define_path("workdir", None, "Folder of the trained model.", required=True)
    command.define_repeated_path(
        "patch", "Folder of a patch; --patch= may be left out."
    )
    command.define_path("output", "predictions", "Folder for the pictures.")
    flags.DEFINE_float(
        "threshold", DEFAULT_THRESHOLD, "Threshold of what is predicted."
    )
    command.define_path("weights_path", None, "TF-Slim checkpoint of inception_v2.")


def _main(arguments: Sequence[str]) -> None:
    refuse_cluster("baselines.predict")
    command.check_packages("baselines", "tensorflow", "jsonschema", "matplotlib")
    threshold = flags.FLAGS.threshold
    output = flags.FLAGS.output
    check_output(output, "output")
    folders = [*flags.FLAGS.patch, *(local_path(a, "patch") for a in arguments)]
    if not folders:
        raise OptionError("expected the folder of a patch, or of several.")
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold: expected in (0, 1], got {threshold!r}.")
    folder = flags.FLAGS.workdir
    trained = load_trained_model(folder, flags.FLAGS.weights_path)
    results = read_evaluations(folder, trained.weights_sha256)
    remarks = list(find_warnings(trained.run, results))
    output.mkdir(parents=True, exist_ok=True)
    for prediction, patch in predict(trained, folders, threshold):
        picture = draw_prediction(prediction, patch.groups[GROUPS[0].name], remarks)
        write_bytes(picture, output / f"{patch.patch_id}.png")
        content = {**encode_prediction(prediction), "remarks": remarks}
        print(json.dumps(content, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    command.run(
        _main,
        _define_flags,
        takes_arguments=True,
        find_logs=lambda: flags.FLAGS.workdir / LOGS,
    )
