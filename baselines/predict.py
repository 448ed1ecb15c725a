r"""Predicts the classes of single patches, as JSON and as pictures.

Takes folders of Sentinel-2 patches as they are in the archives (12 TIFFs, in v1.0 a
JSON, too), or one's own: of any name, with 12 TIFFs of 1.2 km x 1.2 km whose names end
in those of the bands (x_B02.tif, x_B8A.tiff), with a JSON or without; or a folder that
holds such folders, or products of them, of which it takes all. Prints a line of JSON
for each: its labels (null if nobody says them in the model's classes), the predicted
classes, and the probability of each class; and draws OUTPUT/PATCH_ID.png: the patch,
and bars of probabilities. Models that take Sentinel-1 are evaluated on stores alone.

CAUTION: Level-2A products of processing baseline 04.00 and later (all since 25 January
2022, and older ones that were processed again) have 1000 added to every digital number,
which models did not see in training: give --dn_offset=-1000 for their patches.

Example:
  python -m baselines.predict --workdir=runs/s_cnn_all \
    BigEarthNet-v1.0/S2A_MSIL2A_20170613T101031_87_48
  python -m baselines.predict --workdir=runs/s_cnn_v2 \
    BigEarthNet-S2/S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP
  python -m baselines.predict --workdir=runs/s_cnn_all --dn_offset=-1000 my_patches
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from baselines.backend import describe_device
from baselines.cluster import refuse_cluster
from baselines.decisions import DEFAULT_THRESHOLD
from baselines.model_card import find_warnings, read_evaluations
from baselines.patch_folders import (
    MAX_DN,
    PatchFolder,
    find_patch_folders,
    read_patch_folder,
)
from baselines.prediction_picture import Prediction, draw_prediction
from baselines.settings import Settings
from baselines.trained import Trained, load_trained_model
from baselines.workdir import LOGS
from bigearthnet.errors import OptionError
from bigearthnet.release.bands import BY_NAME, GROUPS
from bigearthnet.release.nomenclature import CLC43, remap_ids
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import write_bytes
from bigearthnet.util.paths import local_path
from bigearthnet.util.progress import Progress
from bigearthnet.util.wording import count_of

# Patches of a forward pass.
_BATCH_SIZE = 64


def predict(
    trained: Trained,
    folders: Sequence[Path],
    threshold: float = DEFAULT_THRESHOLD,
    dn_offset: int = 0,
) -> Iterator[tuple[Prediction, PatchFolder]]:
    """Reads patches and yields the prediction of each, in their order.

    Args:
        trained: A whole model; see `trained.load_trained_model`.
        folders: Folders of patches.
        threshold: A class is predicted where its probability is at least this.
        dn_offset: What is added to all digital numbers; see `read_patch_folder`.

    Raises:
        PatchError: If a folder is not that of a patch, or a file is damaged.
        OptionError: If the offset is out of range, or the model takes bands that
            folders of patches do not have.
    """
    _check_bands(trained.run.settings)
    nomenclature = trained.run.settings.nomenclature
    for start in range(0, len(folders), _BATCH_SIZE):
        chosen = folders[start : start + _BATCH_SIZE]
        patches = [read_patch_folder(folder, dn_offset) for folder in chosen]
        inputs = {
            name: np.stack([patch.groups[name] for patch in patches])
            for name in trained.run.settings.groups
        }
        scores = np.asarray(trained.model(inputs, training=False))
        for patch, probability in zip(patches, scores, strict=True):
            is_true = None
            # Labels of v2.0 are no finer than its own classes.
            source = patch.nomenclature
            if patch.labels is not None and source in (CLC43, nomenclature):
                ids = remap_ids(patch.labels, source, nomenclature)
                is_true = nomenclature.multi_hot(ids)
            prediction = Prediction(
                patch.patch_id, nomenclature.labels, is_true, probability, threshold
            )
            yield prediction, patch


def _check_bands(settings: Settings) -> None:
    if others := [b for b in settings.bands if b not in BY_NAME]:
        raise OptionError(
            f"the model takes {', '.join(others)}, and folders of patches are read for "
            "the 12 bands of Sentinel-2 alone: expected a model of these. What others "
            "predict of a store, python -m baselines.evaluate says."
        )


def encode_prediction(prediction: Prediction) -> dict[str, Any]:
    """Returns a prediction as plain values, for JSON."""
    labels = prediction.labels
    pairs = list(zip(labels, prediction.probability.tolist(), strict=True))
    threshold, is_true = np.float32(prediction.threshold), prediction.is_true
    true = None
    if is_true is not None:
        true = [n for n, t in zip(labels, is_true, strict=True) if t]
    return {
        "patch_id": prediction.patch_id,
        "labels": true,
        "predicted": [label for label, value in pairs if value >= threshold],
        "threshold": prediction.threshold,
        "probabilities": {label: round(value, 6) for label, value in pairs},
    }


def _define_flags() -> None:
    command.define_path("workdir", None, "Folder of the trained model.", required=True)
    command.define_repeated_path(
        "patch", "Folder of a patch, or of several; --patch= may be left out."
    )
    command.define_path("output", "predictions", "Folder for the pictures.")
    flags.DEFINE_float(
        "threshold", DEFAULT_THRESHOLD, "Threshold of what is predicted."
    )
    flags.DEFINE_integer(
        "dn_offset",
        0,
        "Added to all digital numbers: -1000 for products of baseline 04.00 and later.",
        lower_bound=-MAX_DN,
        upper_bound=MAX_DN,
    )
    command.define_path("weights_path", None, "TF-Slim checkpoint of inception_v2.")


def _find_patches(given: Sequence[Path]) -> list[Path]:
    """Returns the folders of patches, and says what is passed over beside them."""
    folders: list[Path] = []
    for path in given:
        found, others = find_patch_folders(path)
        folders += found
        if others:
            names = ", ".join(other.name for other in others[:3])
            more = ", …" if len(others) > 3 else ""
            print(f"passed over in {path}: {names}{more}", file=sys.stderr)
    counts = Counter(folder.absolute().name for folder in folders)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise OptionError(
            f"several folders are called {twice[0]}, as their pictures would be. "
            "Predict them one after another, each with an --output of its own."
        )
    return folders


def _main(arguments: Sequence[str]) -> None:
    refuse_cluster("baselines.predict")
    command.check_packages(
        "baselines", "tensorflow", "jsonschema", "pydantic", "matplotlib"
    )
    threshold = flags.FLAGS.threshold
    output = flags.FLAGS.output
    check_output(output, "output")
    given = [*flags.FLAGS.patch, *(local_path(a, "patch") for a in arguments)]
    if not given:
        raise OptionError("expected the folder of a patch, or of several.")
    folders = _find_patches(given)
    if not 0 < threshold <= 1:
        raise OptionError(f"threshold: expected in (0, 1], got {threshold!r}.")
    folder = flags.FLAGS.workdir
    trained = load_trained_model(folder, flags.FLAGS.weights_path)
    _check_bands(trained.run.settings)
    results = read_evaluations(folder, trained.weights_sha256)
    remarks = list(find_warnings(trained.run, results))
    print(
        f"predicts {count_of(len(folders), 'patch')} with {trained.title}, of "
        f"{folder}, from a "
        f"probability of {threshold:g} on\n{describe_device()}",
        file=sys.stderr,
    )
    with Progress("predict", total_patches=len(folders)) as progress:
        offset = flags.FLAGS.dn_offset
        for prediction, patch in predict(trained, folders, threshold, offset):
            picture = draw_prediction(prediction, patch.groups[GROUPS[0].name], remarks)
            output.mkdir(parents=True, exist_ok=True)  # not before an error
            write_bytes(picture, output / f"{patch.patch_id}.png")
            content = {**encode_prediction(prediction), "remarks": remarks}
            print(json.dumps(content, ensure_ascii=False), flush=True)
            progress.add(1, sum(pixels.nbytes for pixels in patch.groups.values()))
    print(f"pictures: {output}", file=sys.stderr)


if __name__ == "__main__":
    command.run(
        _main,
        _define_flags,
        takes_arguments=True,
        find_logs=lambda: flags.FLAGS.workdir / LOGS,
    )
