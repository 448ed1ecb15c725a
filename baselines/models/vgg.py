"""VGG of 16 and 19 layers, as the authors' later code uses them.

Architecture: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks", 2014,
arXiv:1409.1556, table 1, D and E. The fully connected layers are convolutions that pad,
averaged over the picture before the classifier; they and the names of variables are
those of TF-Slim's `vgg` with `fc_conv_padding="SAME"` and `global_pool=True`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.models.head import apply_dropout, draw_seeds, make_penalty
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Convolutions and their filters, of each block; a pool follows each block.
_BLOCKS = {
    "vgg16": ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
    "vgg19": ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)),
}
_FC_UNITS = 4096


def apply_vgg(
    images: keras.KerasTensor, settings: Settings, policy: str = "float32"
) -> keras.KerasTensor:
    """Applies the network.

    Args:
        images: Shape (batch, y, x, channel), float32, standardised.
        settings: Depth, dropout and penalty of the network, and classes.
        policy: Keras's name of the precision.

    Returns:
        Logits, shape (batch, class), float32.
    """
    from keras import initializers, layers

    seeds, rate = draw_seeds(settings.seed), settings.dropout_fc

    def convolve(
        x: keras.KerasTensor, filters: int, kernel: int, name: str, relu: bool = True
    ) -> keras.KerasTensor:
        return layers.Conv2D(
            filters,
            kernel,
            padding="same",
            activation="relu" if relu else None,
            kernel_initializer=initializers.GlorotUniform(next(seeds)),
            kernel_regularizer=make_penalty(settings),
            dtype=policy if relu else "float32",
            name=name,
        )(x)

    x = images
    for block, (count, filters) in enumerate(_BLOCKS[settings.model], start=1):
        for number in range(1, count + 1):
            x = convolve(x, filters, 3, f"conv{block}.conv{block}_{number}")
        x = layers.MaxPooling2D(2, dtype=policy, name=f"pool{block}")(x)
    x = convolve(x, _FC_UNITS, 7, "fc6")
    x = apply_dropout(x, rate, seeds, policy, "dropout6")
    x = convolve(x, _FC_UNITS, 1, "fc7")
    x = layers.GlobalAveragePooling2D(keepdims=True, dtype=policy, name="pool")(x)
    x = apply_dropout(x, rate, seeds, policy, "dropout7")
    x = convolve(x, len(settings.nomenclature), 1, "fc8", relu=False)
    return layers.Flatten(dtype="float32", name="flatten")(x)
