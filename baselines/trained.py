"""A trained model, read from its workdir: stored bands or features → probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baselines import workdir
from baselines.backend import check_keras, set_precision
from baselines.errors import WeightsError
from baselines.models import build_model, build_trained_part
from baselines.models.weights import describe_weights
from baselines.workdir import Run

if TYPE_CHECKING:
    import keras

# Name of the last layer, and of what an exported model gives.
PROBABILITIES = "probabilities"
# The head of inception_v2 within the whole model.
_HEAD = "head"


@dataclass(frozen=True)
class Trained:
    """A trained model, in float32 whatever it was trained in.

    Attributes:
        run: What it is.
        model: From inputs to probabilities, shape (batch, class), float32; classes in
            the order of `run.settings.nomenclature`.
        weights_sha256: Of the file of what was trained.
    """

    run: Run
    model: keras.Model
    weights_sha256: str

    @property
    def title(self) -> str:
        """Model and weights, for people."""
        return (
            f"{self.run.title}: {self.model.count_params():,} parameters, sha256 "
            f"{self.weights_sha256[:8]}"
        )


def load_trained_part(folder: Path) -> Trained:
    """Loads what was trained alone.

    Args:
        folder: The workdir.

    Returns:
        A model whose inputs are features, shape (batch, 1024), float32, for
        inception_v2; else those of `load_trained_model`.

    Raises:
        WeightsError: If the folder holds no finished training, or its weights are
            damaged or not in our order.
        OptionError: If its settings are of another version.
    """
    run = workdir.read_run(folder)
    check_keras("a trained model")
    _set_up(run)
    model = build_trained_part(run.settings, run.statistics)
    digest = workdir.load_trained_weights(model, folder)
    return Trained(run, _add_sigmoid(model), digest)


def load_trained_model(folder: Path, weights_path: Path | None = None) -> Trained:
    """Loads a whole model.

    Args:
        folder: The workdir.
        weights_path: Checkpoint of inception_v2; without meaning for other models.

    Returns:
        A model whose inputs are a dict of the groups in `run.settings.groups`, shape
        (batch, band, y, x), as stored.

    Raises:
        WeightsError: See `load_trained_part`; also if the weights of inception_v2 are
            missing, or are not those that the head was trained with.
        OptionError: If the settings are of another version.
    """
    run = workdir.read_run(folder)
    check_keras("a trained model")
    check_frozen_weights(run, folder, weights_path)
    _set_up(run)
    model = build_model(run.settings, run.statistics, weights_path=weights_path)
    part = model.get_layer(_HEAD) if run.settings.uses_features else model
    digest = workdir.load_trained_weights(part, folder)
    return Trained(run, _add_sigmoid(model), digest)


def check_frozen_weights(run: Run, folder: Path, weights_path: Path | None) -> None:
    """Refuses frozen weights other than those that a head was trained with.

    Args:
        run: What the model is.
        folder: The workdir, for the error.
        weights_path: Checkpoint of inception_v2.

    Raises:
        WeightsError: If they are others, or missing.
    """
    settings = run.settings
    if not settings.uses_features:
        return
    found = describe_weights(settings.weights, weights_path, settings.seed)
    if found != run.frozen_weights:
        raise WeightsError(
            f"{weights_path} is not what {folder} was trained with: expected "
            f"{run.frozen_weights}, got {found}."
        )


def _set_up(run: Run) -> None:
    import tensorflow as tf

    set_precision(run.settings)
    if run.settings.deterministic:
        tf.config.experimental.enable_op_determinism()


def _add_sigmoid(model: keras.Model) -> keras.Model:
    """Makes logits probabilities."""
    from keras import Model, layers

    sigmoid = layers.Activation("sigmoid", dtype="float32", name=PROBABILITIES)
    return Model(model.input, sigmoid(model.output), name=model.name)
