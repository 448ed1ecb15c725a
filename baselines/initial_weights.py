"""Weights that a training starts from: those of another run, or of an exported model.

Arrays are taken by name and shape; the classifier is new if the classes are others, and
so is what has no counterpart, such as the first kernels for other bands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from baselines import workdir
from baselines.errors import WeightsError
from baselines.exported import check_files
from baselines.hub import LABELS, MODEL
from baselines.models import build_trained_part
from baselines.models.head import CLASSIFIER
from baselines.settings import Settings
from baselines.workdir import Run
from bigearthnet.util.files import hash_file

if TYPE_CHECKING:
    import keras

# `layer/variable` → values.
_Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class InitialWeights:
    """Weights to start from.

    Attributes:
        arrays: `layer/variable` → values, of those that are taken.
        record: What settings.json says of them: `source` (`run` or `export`), `sha256`
            of its file, `new` arrays of the model that are not taken, `config` and
            `train_split` of what it was trained on, null for an export that does not
            say it, and `initial_weights`, the same of what that had started from.
    """

    arrays: Mapping[str, npt.NDArray[np.float32]]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class _Source:
    arrays: _Arrays
    labels: tuple[str, ...]
    record: dict[str, Any]


def read_initial_weights(
    path: Path, target: keras.Model, chosen: Settings
) -> InitialWeights:
    """Reads the weights of a run or of an export that a model can take.

    Args:
        path: The workdir of a finished run, or the folder of an export.
        target: What is to be trained; nothing is set.
        chosen: What it is.

    Returns:
        The weights.

    Raises:
        WeightsError: If the folder is neither, is damaged, or has no array of the
            model's names and shapes.
    """
    is_export = (path / MODEL).is_file()  # which may have the settings of its run
    is_run = not is_export and (path / workdir.SETTINGS).is_file()
    source = _read_run(path) if is_run else _read_export(path)
    same_classes = source.labels == tuple(chosen.nomenclature.labels)
    taken, new = {}, []
    for name, variable in list_arrays(target).items():
        found = source.arrays.get(name)
        is_known = same_classes or not name.startswith(f"{CLASSIFIER}/")
        if is_known and found is not None and found.shape == tuple(variable.shape):
            taken[name] = found
        else:
            new.append(name)
    if not taken:
        raise WeightsError(
            f"init_from: {path} has no array of the names and shapes of "
            f"{chosen.model}. Expected a run or an export of a similar model."
        )
    return InitialWeights(taken, {**source.record, "new": new})


def describe_initial_weights(initial: InitialWeights) -> str:
    """Says what is taken, and what is new."""
    new = ", ".join(initial.record["new"]) or "nothing"
    return (
        f"{len(initial.arrays)} arrays of weights from the {initial.record['source']} "
        f"with sha256 {initial.record['sha256'][:8]}…; new: {new}"
    )


def set_initial_weights(model: keras.Model, initial: InitialWeights) -> None:
    """Sets the arrays that were taken."""
    variables = list_arrays(model)
    for name, values in initial.arrays.items():
        variables[name].assign(values)


def list_arrays(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns `layer/variable` → variable, of all layers but fixed preprocessing."""
    import keras

    found: dict[str, keras.Variable] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= list_arrays(layer)
        elif layer.trainable:
            # Dropout has the state of its generator.
            weights = [v for v in layer.weights if "seed_generator" not in v.path]
            found |= {f"{layer.name}/{v.name}": v for v in weights}
    return found


def _copy(model: keras.Model) -> _Arrays:
    return {name: np.array(v.numpy()) for name, v in list_arrays(model).items()}


def _read_run(path: Path) -> _Source:
    run = workdir.read_run(path)
    model = build_trained_part(run.settings, run.statistics)
    digest = workdir.load_trained_weights(model, path)
    record = _describe("run", digest, run)
    return _Source(_copy(model), tuple(run.settings.nomenclature.labels), record)


def _describe(source: str, sha256: str, run: Run | None) -> dict[str, Any]:
    return {
        "source": source,
        "sha256": sha256,
        "config": run and run.settings.config,
        "train_split": run and run.settings.train_split,
        "initial_weights": run and run.initial_weights,
    }


def _read_export(path: Path) -> _Source:
    import keras

    if not (path / MODEL).is_file():
        raise WeightsError(
            f"init_from: {path} is neither a run nor an export: expected a folder with "
            f"{workdir.SETTINGS} and {workdir.WEIGHTS}, or with {MODEL} and {LABELS}."
        )
    check_files(path, LABELS, MODEL)
    try:
        model = keras.models.load_model(path / MODEL, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as cause:
        raise WeightsError(f"{path / MODEL} cannot be loaded: {cause}") from None
    labels = json.loads((path / LABELS).read_text(encoding="utf-8"))["labels"]
    run = None
    if (path / workdir.SETTINGS).is_file():
        check_files(path, workdir.SETTINGS)
        run = workdir.read_run(path)
    record = _describe("export", hash_file(path / MODEL), run)
    return _Source(_copy(model), tuple(labels), record)
