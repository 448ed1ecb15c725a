"""Exports a trained model for use without this project.

OUTPUT then has

  saved_model/  a SavedModel; its `serving_default` takes bands_10m, bands_20m and
                bands_60m (RGB models bands_10m alone), uint16 digital numbers, or
                bands_s1, float32 dB, of shape (batch, band, y, x) as they are stored,
                and gives `probabilities`,
                float32 of shape (batch, class), and `class_names`
  model.keras   the same model for Keras, which loads it with safe_mode=True
  labels.json   the classes, in the order of the probabilities
  README.md     the model card
  settings.json, evaluations/
                what was trained, and the results.json of each evaluation
  SHA256SUMS    checksums of all of these but the card, for `sha256sum -c`

and, with --also=tflite,onnx, model.tflite and model.onnx, which are the SavedModel's
signature in other formats (ONNX needs the extra [onnx]).

Scaling and resampling are part of the model. What was exported is loaded again, and has
to give the probabilities of the trained model.

Example:
  python -m baselines.export --workdir=runs/s_cnn_all --output=exported --also=onnx
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from absl import flags, logging

from baselines import workdir
from baselines.cluster import refuse_cluster
from baselines.converted import CONVERTED, check_formats
from baselines.errors import WeightsError
from baselines.exported import write_checksums
from baselines.model_card import (
    CARD,
    CLASS_NAMES,
    LABELS,
    MODEL,
    SAVED_MODEL,
    SIGNATURE,
    find_results,
    write_card,
)
from baselines.trained import PROBABILITIES, Trained, load_trained_model
from bigearthnet.errors import OptionError
from bigearthnet.store.outputs import check_output
from bigearthnet.util import command
from bigearthnet.util.files import sync_tree, write_json

if TYPE_CHECKING:
    import keras

# Group of bands → shape (batch, band, y, x), as stored.
Inputs: TypeAlias = "dict[str, npt.NDArray[Any]]"
# Gives the probabilities of patches, shape (batch, class), float32.
Score: TypeAlias = "Callable[[Inputs], npt.NDArray[np.float32]]"

# Largest difference of probabilities; the same operations in float32, which a graph may
# join and so round otherwise.
_TOLERANCE = 1e-4
# Made-up patches that an export is checked on, and the seed of their pixels.
_NUM_PATCHES, _SEED = 16, 0
# Digital numbers that they have at most: reflectance 0.4, brighter than most land; and
# backscatter that they have at least, in dB.
_MAX_DN, _LEAST_DB = 4000, -30.0


def export(
    folder: Path,
    output: Path,
    *,
    weights_path: Path | None = None,
    also: Sequence[str] = (),
) -> float:
    """Exports the model of a workdir.

    Args:
        folder: The workdir.
        output: Folder to make; it appears whole or not at all.
        weights_path: Checkpoint of inception_v2.
        also: Names of further formats, of `converted.CONVERTED`.

    Returns:
        Largest difference between probabilities of the exported and the trained model.

    Raises:
        OptionError: If the output exists, or must not be there; see
            `store.outputs.check_output`; or if a format is unknown, or cannot be
            written without a package.
        WeightsError: If the folder holds no trained model, weights are others, or what
            was exported gives other probabilities.
        ResultError: If an evaluation in the workdir is damaged or of other weights.
        OSError: If a file cannot be written.
    """
    check_output(output, "output")
    if output.exists():
        raise OptionError(
            f"output: {output} exists; expected the path of a new folder."
        )
    check_formats(also)
    trained = load_trained_model(folder, weights_path)
    unfinished = output.with_name(f"{output.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        write_saved_model(trained, unfinished / SAVED_MODEL)
        trained.model.save(unfinished / MODEL)
        for name in also:
            CONVERTED[name].write(unfinished / SAVED_MODEL, unfinished)
        labels = trained.run.settings.nomenclature.labels
        write_json({"labels": list(labels)}, unfinished / LABELS)
        difference = measure_difference(trained, unfinished, also)
        write_card(trained, folder, unfinished, difference)
        for path in (folder / workdir.SETTINGS, *find_results(folder)):
            copy = unfinished / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        write_checksums(unfinished)
        sync_tree(unfinished)
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return difference


def write_saved_model(trained: Trained, path: Path) -> None:
    """Writes a SavedModel with the signature that the module describes."""
    import tensorflow as tf

    model = trained.model
    names = tf.constant(trained.run.settings.nomenclature.labels)

    def serve(**bands: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = model(bands, training=False)
        return {PROBABILITIES: scores, CLASS_NAMES: tf.identity(names)}

    inputs = {
        name: tf.TensorSpec(bands.shape, bands.dtype, name)
        for name, bands in model.input.items()
    }
    # Keras's own writer stores each weight twice: as a variable, and of the model.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    signature = tf.function(serve).get_concrete_function(**inputs)
    tf.saved_model.save(module, str(path), signatures={SIGNATURE: signature})


def measure_difference(
    trained: Trained, folder: Path, also: Sequence[str] = ()
) -> float:
    """Loads what was exported, and returns how far its probabilities are off.

    Args:
        trained: The model.
        folder: Folder with the SavedModel and the file of Keras.
        also: Further formats that were written.

    Raises:
        WeightsError: If they are off by more than the order of sums explains, or the
            classes are others.
    """
    inputs = make_patches(trained.model)
    expected = np.asarray(trained.model(inputs, training=False))
    labels = trained.run.settings.nomenclature.labels
    scores: dict[str, Score] = {
        SAVED_MODEL: _load_saved_model(folder / SAVED_MODEL, labels),
        MODEL: _load_keras(folder / MODEL),
    }
    for name in also:
        scores[CONVERTED[name].file] = CONVERTED[name].load(folder)
    differences = {
        name: float(np.abs(score(inputs) - expected).max())
        for name, score in scores.items()
    }
    for name, difference in differences.items():
        if not difference <= _TOLERANCE:  # not a number, too
            raise WeightsError(
                f"{name} gives other probabilities than the trained model: they differ "
                f"by up to {difference}, expected at most {_TOLERANCE}. Nothing was "
                "exported."
            )
    return max(differences.values())


def _load_saved_model(path: Path, labels: Sequence[str]) -> Score:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))

    def score(inputs: Inputs) -> npt.NDArray[np.float32]:
        tensors = {name: tf.constant(bands) for name, bands in inputs.items()}
        found = loaded.signatures[SIGNATURE](**tensors)
        classes = [name.decode() for name in found[CLASS_NAMES].numpy()]
        if classes != list(labels):
            raise WeightsError(f"{SAVED_MODEL} has other classes: {classes}.")
        return np.asarray(found[PROBABILITIES])

    return score


def _load_keras(path: Path) -> Score:
    import keras

    model = keras.models.load_model(path, compile=False, safe_mode=True)
    return lambda inputs: np.asarray(model(inputs, training=False))


def make_patches(model: keras.Model) -> Inputs:
    """Makes patches up, of random values, in the groups that a model takes."""
    draws = np.random.default_rng(_SEED)

    def draw(bands: keras.KerasTensor) -> npt.NDArray[Any]:
        shape = (_NUM_PATCHES, *bands.shape[1:])
        if bands.dtype == "uint16":
            return draws.integers(_MAX_DN, size=shape, dtype=np.uint16)
        return draws.uniform(_LEAST_DB, 0, shape).astype(np.float32)

    return {name: draw(bands) for name, bands in model.input.items()}


def _define_flags() -> None:
    command.define_path("workdir", None, "Folder of the trained model.", required=True)
    command.define_path("output", None, "Folder to make.", required=True)
    command.define_path("weights_path", None, "TF-Slim checkpoint of inception_v2.")
    flags.DEFINE_list("also", [], f"Further formats: {', '.join(CONVERTED)}.")


def _main() -> None:
    refuse_cluster("baselines.export")
    command.check_packages("baselines", "tensorflow", "jsonschema", "pydantic")
    logging.set_verbosity(logging.WARNING)  # not each file that TensorFlow writes
    output, folder = flags.FLAGS.output, flags.FLAGS.workdir
    formats = ", ".join(["SavedModel", "Keras", *flags.FLAGS.also])
    print(
        f"exports {workdir.read_run(folder).title}, of {folder}, as {formats}",
        file=sys.stderr,
    )
    difference = export(
        folder,
        output,
        weights_path=flags.FLAGS.weights_path,
        also=flags.FLAGS.also,
    )
    files = [MODEL, *(CONVERTED[n].file for n in flags.FLAGS.also), LABELS, CARD]
    print(
        f"{output}: {SAVED_MODEL}/, {', '.join(files)}\nprobabilities differ "
        f"from the trained model's by up to {difference:.1e}, on {_NUM_PATCHES} "
        f"made-up patches\nnext: python -m baselines.publish --exported={output} "
        "--to=ORG/NAME --license=LICENSE"
    )


if __name__ == "__main__":
    command.run(
        _main, _define_flags, find_logs=lambda: flags.FLAGS.workdir / workdir.LOGS
    )
