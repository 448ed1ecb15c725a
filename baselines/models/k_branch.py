"""K-Branch CNN: an S-CNN for each resolution, and a fully connected layer on them all.

Architecture: G. Sumbul, B. Demir, "A Novel Multi-Attention Driven System for
Multi-Label Remote Sensing Image Classification", IGARSS 2019, its first module, with
the widths of the authors' code of that year.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from baselines.models.head import apply_classes, apply_dropout, apply_fc, draw_seeds
from baselines.models.s_cnn import Convolution, apply_convolutions
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Group of bands → its convolutions.
BRANCHES: Mapping[str, tuple[Convolution, ...]] = {
    "bands_10m": ((32, 5, True), (32, 5, True), (64, 3, False)),
    "bands_20m": ((32, 3, True), (32, 3, False), (64, 3, False)),
    "bands_60m": ((32, 2, False), (32, 2, False), (32, 2, False)),
}


def apply_k_branch(
    images: Mapping[str, keras.KerasTensor],
    settings: Settings,
    policy: str = "float32",
) -> keras.KerasTensor:
    """Applies the network.

    Args:
        images: Group → shape (batch, y, x, channel), float32, standardised.
        settings: Options of the network, and classes.
        policy: Keras's name of the precision.

    Returns:
        Logits, shape (batch, class), float32.
    """
    from keras import layers

    seeds = draw_seeds(settings.seed)
    features = []
    for group, convolutions in BRANCHES.items():
        prefix = f"{group}_"
        x = apply_convolutions(
            images[group], convolutions, settings, seeds, policy, prefix
        )
        features.append(apply_fc(x, settings, seeds, policy, f"{prefix}fc"))
    x = layers.Concatenate(dtype=policy, name="join_branches")(features)
    x = apply_fc(x, settings, seeds, policy, "fusion")
    # Two dropouts in a row, as there; the first is the end of `apply_fc`.
    x = apply_dropout(x, settings.dropout_conv, seeds, policy, "classes_dropout")
    return apply_classes(x, settings, seeds)
