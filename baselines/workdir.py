"""The folder of a run: what it is, and the weights of its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines.errors import WeightsError
from baselines.models.preprocessing import choose_statistics, describe_scaling
from baselines.models.weights import describe_weights
from baselines.schemas import find_problem
from baselines.settings import Settings
from bigearthnet.util.files import hash_file, read_json_object, sync_folder, write_json

if TYPE_CHECKING:
    import keras

    from baselines.stored_rows import StoreData

SETTINGS = "settings.json"
WEIGHTS = "weights.weights.h5"
TRAINING = "training.json"
CHECKPOINTS = "checkpoints"
LOGS = "logs"
EVALUATIONS = "evaluations"
FEATURES = "features"

# Fields of settings.json whose order the weights depend on.
_ORDERS = ("classes", "bands", "groups")

# Keras tells the format of a file of weights by the end of its name.
UNFINISHED_WEIGHTS = f"unfinished.{WEIGHTS}"
# Packages whose versions change the bits of a training; and all that are kept.
DECISIVE_PACKAGES = ("keras", "numpy", "tensorflow")
PACKAGES = ("bigearthnet", *DECISIVE_PACKAGES)


@dataclass(frozen=True)
class Run:
    """What a run is, as settings.json says it.

    Attributes:
        settings: The flags that decide the model.
        data: Split, number of patches and ids_sha256 under `train` and `validation`;
            the latter is None for training without one.
        scaling: What the model does to digital numbers; of an S-CNN, with the mean and
            deviation of each band under `statistics`.
        frozen_weights: What `models.weights.describe_weights` says, or
            `models.released` of imported ones; None for models that are trained as a
            whole.
        initial_weights: What `initial_weights.InitialWeights.record` says of those that
            training starts from; None for drawn ones.
    """

    settings: Settings
    data: Mapping[str, Any]
    scaling: Mapping[str, Any]
    frozen_weights: Mapping[str, Any] | None
    initial_weights: Mapping[str, Any] | None = None

    @property
    def statistics(self) -> Mapping[str, Mapping[str, float]]:
        """Mean and deviation of each band; none for inception_v2."""
        found: Mapping[str, Mapping[str, float]] = self.scaling.get("statistics", {})
        return found

    @property
    def title(self) -> str:
        """Model, seed and classes, for people."""
        classes = self.settings.nomenclature
        return (
            f"{self.settings.model}, seed {self.settings.seed}, "
            f"{len(classes)} classes ({classes.name})"
        )

    def to_json(self) -> dict[str, Any]:
        """Returns the content of settings.json."""
        return {
            "settings": self.settings.to_json(),
            "data": self.data,
            "classes": list(self.settings.nomenclature.labels),
            "bands": list(self.settings.bands),
            "groups": list(self.settings.groups),
            "scaling": self.scaling,
            "frozen_weights": self.frozen_weights,
            "initial_weights": self.initial_weights,
            "packages": {name: metadata.version(name) for name in PACKAGES},
        }


def describe_run(
    chosen: Settings,
    train_data: StoreData,
    validation_data: StoreData | None,
    *,
    weights_path: Path | None,
) -> Run:
    """Returns the description of a run that settings.json holds.

    Args:
        chosen: What to train, and how.
        train_data: The patches to train on.
        validation_data: Those whose loss is shown, if any.
        weights_path: Checkpoint of inception_v2.

    Raises:
        OptionError: If the store has no statistics.
        WeightsError: If the weights are missing.
    """
    data = {
        "train": _describe_data(train_data),
        "validation": validation_data and _describe_data(validation_data),
    }
    if chosen.uses_features:
        weights = describe_weights(chosen.weights, weights_path, chosen.seed)
        clipped = {"formula": "2 * clip(DN / rgb_max, 0, 1) - 1"}
        return Run(chosen, data, {**clipped, "rgb_max": chosen.rgb_max}, weights)
    statistics = choose_statistics(
        chosen.statistics, chosen.bands, train_data.stores.statistics
    )
    formula = describe_scaling(chosen.band_groups)
    scaling = {"formula": formula, "statistics": statistics}
    return Run(chosen, data, scaling, None)


def _describe_data(data: StoreData) -> dict[str, Any]:
    return {
        "split": data.split,
        "patches": data.num_patches,
        "ids_sha256": data.ids_sha256,
        "synthetic_patches": data.synthetic_patches,
    }


def read_run(folder: Path) -> Run:
    """Reads what a run is.

    Raises:
        WeightsError: If there is none, or its classes or bands have another order than
            ours.
        OptionError: If its settings are of another version.
    """
    content = read_json(folder / SETTINGS)
    if problem := find_problem(content, "settings"):
        raise WeightsError(f"{folder / SETTINGS} is damaged ({problem}): train again.")
    run = Run(
        Settings.from_json(content["settings"]),
        content["data"],
        content["scaling"],
        content["frozen_weights"],
        content.get("initial_weights"),
    )
    ours = run.to_json()
    for name in _ORDERS:
        if content[name] != ours[name]:
            raise WeightsError(
                f"{folder}: the {name} of these weights are not in our order: expected "
                f"{', '.join(ours[name][:3])}, ... got "
                f"{', '.join(content[name][:3])}, ... Train again, or use the version "
                "that trained them."
            )
    return run


def save_training(
    model: keras.Model, folder: Path, content: Mapping[str, Any] | None = None
) -> str:
    """Writes the weights of what was trained, and what is said of it.

    Args:
        model: What was trained.
        folder: The workdir.
        content: Of training.json, which makes the training a finished one.

    Returns:
        The sha256 of the file of weights.
    """
    unfinished, path = folder / UNFINISHED_WEIGHTS, folder / WEIGHTS
    model.save_weights(unfinished)
    sync_folder(unfinished)
    unfinished.rename(path)
    sync_folder(folder)
    digest = hash_file(path)
    write_json({"weights_sha256": digest, **(content or {})}, folder / TRAINING)
    return digest


def load_trained_weights(model: keras.Model, folder: Path) -> str:
    """Loads the final weights of a run.

    Args:
        model: What `models.build_trained_part` returned, or the part `head` of what
            `models.build_model` did for inception_v2.
        folder: The workdir.

    Returns:
        The sha256 of the file.

    Raises:
        WeightsError: If training has not finished, or the weights are damaged.
    """
    path, training = folder / WEIGHTS, folder / TRAINING
    if not training.is_file() or not path.is_file():
        raise WeightsError(
            f"{folder} has no finished training: expected {TRAINING} and {WEIGHTS}. "
            "Train first, or resume: python -m baselines.train --help."
        )
    expected, found = read_json(training).get("weights_sha256"), hash_file(path)
    if found != expected:
        raise WeightsError(
            f"{path} is damaged: its sha256 is {found}, {TRAINING} says {expected}. "
            "Train again."
        )
    try:
        model.load_weights(path)
    except ValueError as cause:
        raise WeightsError(f"{path} is of another model: {cause}") from None
    return found


def read_json(path: Path) -> dict[str, Any]:
    """Reads a file of a workdir.

    Raises:
        WeightsError: If it is missing, or no object of JSON.
    """
    try:
        return read_json_object(path)
    except FileNotFoundError:
        raise WeightsError(
            f"{path.parent} is no workdir of baselines.train: {path.name} is missing."
        ) from None
    except (OSError, ValueError) as cause:
        raise WeightsError(f"{path} cannot be read ({cause}): train again.") from None
