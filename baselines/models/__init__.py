"""The models of the paper, and of the authors' later code: stored groups → logits.

Preprocessing is a part of each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from baselines.models import head, preprocessing
from baselines.models.inception_v2 import NUM_FEATURES
from baselines.models.k_branch import apply_k_branch
from baselines.models.preprocessing import Statistics
from baselines.models.resnet import apply_resnet
from baselines.models.s_cnn import apply_s_cnn
from baselines.models.vgg import apply_vgg
from baselines.networks import ResNet, Vgg
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras


def build_model(
    settings: Settings,
    statistics: Statistics,
    *,
    weights_path: Path | None = None,
    policy: str = "float32",
) -> keras.Model:
    """Builds a whole model, as it is evaluated and exported.

    Args:
        settings: Which model.
        statistics: Mean and deviation of its bands; without meaning for inception_v2.
        weights_path: Checkpoint of inception_v2; see `build_feature_model`.
        policy: Keras's name of the precision, of the layers that are trained.

    Returns:
        Model from a dict of the groups in `settings.groups`, shape (batch, band, y, x),
        as stored, to logits, shape (batch, class), float32; classes in the order of
        `settings.nomenclature`. What is trained is the submodel `head` for
        inception_v2, else all of it.

    Raises:
        WeightsError: If the weights of inception_v2 are missing or are others.
    """
    import keras

    if settings.uses_features:
        features = build_feature_model(settings, weights_path)
        logits = head.build_head(settings, NUM_FEATURES, policy)(features.output)
        return keras.Model(features.input, logits, name=settings.model)
    inputs = preprocessing.make_inputs(settings.band_groups)
    if settings.model == "k_branch":
        groups = preprocessing.standardise_groups(
            inputs, settings.band_groups, settings.bands, statistics
        )
        logits = apply_k_branch(groups, settings, policy)
    else:
        images = preprocessing.standardise(
            inputs,
            settings.band_groups,
            settings.bands,
            statistics,
            settings.upsampling,
        )
        logits = _find_network(settings.model)(images, settings, policy)
    return keras.Model(inputs, logits, name=settings.model)


def _find_network(
    model: str,
) -> Callable[[keras.KerasTensor, Settings, str], keras.KerasTensor]:
    if model in get_args(ResNet):
        return apply_resnet
    return apply_vgg if model in get_args(Vgg) else apply_s_cnn


def build_trained_part(
    settings: Settings, statistics: Statistics, *, policy: str = "float32"
) -> keras.Model:
    """Builds what the training loop trains, and `weights.weights.h5` holds.

    Returns:
        The head, from features of shape (batch, 1024), for inception_v2; else what
        `build_model` returns.
    """
    if settings.uses_features:
        return head.build_head(settings, NUM_FEATURES, policy)
    return build_model(settings, statistics, policy=policy)


def build_feature_model(settings: Settings, weights_path: Path | None) -> keras.Model:
    """Builds preprocessing and frozen Inception-v2.

    Args:
        settings: Size and brightness of the pictures; which weights.
        weights_path: TF-Slim's checkpoint; without meaning for random weights.

    Returns:
        Model from a dict of `bands_10m`, shape (batch, band, y, x), uint16, to
        features, shape (batch, 1024), float32.

    Raises:
        WeightsError: If the checkpoint is missing, or is of another model.
    """
    import keras

    from baselines.models.inception_v2 import build_inception_v2
    from baselines.models.weights import load_weights

    inputs = preprocessing.make_inputs(settings.band_groups)
    pictures = preprocessing.scale_pictures(
        inputs,
        settings.band_groups,
        settings.bands,
        settings.rgb_max,
        settings.inception_size,
    )
    network = build_inception_v2(settings.inception_size)
    load_weights(network, settings.weights, weights_path, settings.seed)
    return keras.Model(inputs, network(pictures), name="inception_v2_features")
