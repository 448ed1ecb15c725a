"""Reads the weights that the authors released with their later code.

Source of the names: "BigEarthNet Deep Learning Models with TensorFlow", 2019, in which
ResNet and VGG are TF-Slim's, and every global variable was saved: the network's, and
those of its optimizer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.models.k_branch import BRANCHES
from baselines.models.slim_checkpoint import Origin, hash_checkpoint, load_checkpoint
from baselines.models.weights import WeightsRecord

if TYPE_CHECKING:
    import keras

# Source of the weights, as settings.json says it.
RELEASED = "released"
# Adam's moments of each variable, its powers, and a count of steps.
_IGNORED = re.compile(r"global_step|beta[12]_power|.+/Adam(_1)?")
_CURE = (
    "Give the checkpoint of --model and --labels, by its file or by what stands before "
    ".index in the names of its files."
)

_SCOPES = {
    "resnet50": "resnet_v1_50",
    "resnet101": "resnet_v1_101",
    "resnet152": "resnet_v1_152",
    "vgg16": "vgg_16",
    "vgg19": "vgg_19",
}
# Keras's name of a weight → TF-Slim's.
_SLIM_NAMES = {"kernel": "weights", "bias": "biases"}


def load_released_weights(model: keras.Model, path: Path) -> None:
    """Sets the weights of a whole model.

    Args:
        model: What `models.build_model` returned for one of
            `settings.RELEASED_MODELS`.
        path: The checkpoint; see `slim_checkpoint.load_slim_checkpoint`.

    Raises:
        WeightsError: If there is no such checkpoint, it cannot be read, or a variable
            is missing, has another shape or type, a value that cannot be, or is
            neither the network's nor its optimizer's.
    """
    name = model.name
    origin = Origin(name, f"the authors' checkpoint of {name}", _CURE, _IGNORED)
    load_checkpoint(map_released_variables(model), path, origin)


def describe_released_weights(path: Path) -> WeightsRecord:
    """Identifies a checkpoint, for settings.json: source and sha256.

    Raises:
        WeightsError: If there is no such checkpoint, or it cannot be read.
    """
    return {"source": RELEASED, "sha256": hash_checkpoint(path, _CURE)}


def map_released_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Says which variable of the model is which of the checkpoint's.

    Shapes and the order of axes are the same in both.

    Args:
        model: See `load_released_weights`.

    Returns:
        Name in the checkpoint → variable, in the order of the network.
    """
    paths = _map_k_branch() if model.name == "k_branch" else {}
    names = {} if paths else _SLIM_NAMES
    scope = _SCOPES.get(model.name)
    variables = {}
    for layer in model.layers:
        path = paths.get(layer.name) or f"{scope}/{layer.name.replace('.', '/')}"
        # Preprocessing is not trainable; dropout has the state of its generator.
        for variable in layer.weights if layer.trainable else ():
            if "seed_generator" not in variable.path:
                part = names.get(variable.name, variable.name)
                variables[f"{path}/{part}"] = variable
    return variables


def _map_k_branch() -> dict[str, str]:
    """Returns name of a layer → what its variables' names begin with there."""
    blocks = {"fusion": "feature_fusion/fc_block_0"}
    for group, convolutions in BRANCHES.items():
        scope = f"CNN_{group.removeprefix('bands_')}_branch"
        blocks[f"{group}_fc"] = f"{scope}/fc_block_0"
        for number in range(len(convolutions)):
            blocks[f"{group}_conv{number + 1}"] = f"{scope}/conv_block_{number}"
    paths = {"logits": "classification/fc_layer"}
    for layer, block in blocks.items():
        kind = "conv_layer" if "/conv_block" in block else "fc_layer"
        paths |= {layer: f"{block}/{kind}", f"{layer}_norm": f"{block}/batch_norm"}
    return paths
