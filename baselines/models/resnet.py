"""ResNet of 50, 101 and 152 layers, as the authors' later code uses them.

Architecture: K. He et al., "Deep Residual Learning for Image Recognition", 2015,
arXiv:1512.03385, table 1. Strides, paddings and the names of variables are those of
TF-Slim's `resnet_v1`, which halves the size in the last unit of a block, not the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baselines.models.head import draw_seeds, make_penalty
from baselines.settings import Settings

if TYPE_CHECKING:
    import keras

# Units of each block; channels within and after the units of block b: 64 · 2 ** b, four
# times as many.
_UNITS = {
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
# Of TF-Slim's batch normalization.
_EPSILON, _MOMENTUM = 1e-5, 0.997


def apply_resnet(
    images: keras.KerasTensor, settings: Settings, policy: str = "float32"
) -> keras.KerasTensor:
    """Applies the network.

    Args:
        images: Shape (batch, y, x, channel), float32, standardised.
        settings: Depth and penalty of the network, and classes.
        policy: Keras's name of the precision.

    Returns:
        Logits, shape (batch, class), float32.
    """
    from keras import layers

    net = _Layers(settings, draw_seeds(settings.seed), policy)
    x = net.convolve(images, 64, 7, "conv1", stride=2)
    x = layers.MaxPooling2D(3, 2, "same", dtype=policy, name="pool1")(x)
    units = _UNITS[settings.model]
    for block, count in enumerate(units, start=1):
        for unit in range(1, count + 1):
            halves = unit == count and block < len(units)
            name = f"block{block}.unit_{unit}.bottleneck_v1"
            x = net.apply_unit(x, 32 << block, name, stride=2 if halves else 1)
    x = layers.GlobalAveragePooling2D(keepdims=True, dtype=policy, name="pool5")(x)
    return net.classify(x)


@dataclass(frozen=True)
class _Layers:
    """Makes layers, which are named as TF-Slim's variables are."""

    settings: Settings
    seeds: Iterator[int]
    policy: str

    def apply_unit(
        self, x: keras.KerasTensor, width: int, name: str, stride: int
    ) -> keras.KerasTensor:
        """Applies three convolutions, and adds what went in."""
        from keras import layers

        shortcut = x
        if x.shape[-1] != 4 * width:
            shortcut = self.convolve(
                x, 4 * width, 1, f"{name}.shortcut", stride=stride, relu=False
            )
        elif stride > 1:
            shortcut = layers.MaxPooling2D(
                1, stride, dtype=self.policy, name=f"{name}.shortcut"
            )(x)
        x = self.convolve(x, width, 1, f"{name}.conv1")
        x = self.convolve(x, width, 3, f"{name}.conv2", stride=stride)
        x = self.convolve(x, 4 * width, 1, f"{name}.conv3", relu=False)
        x = layers.Add(dtype=self.policy, name=f"{name}.sum")([shortcut, x])
        return layers.ReLU(dtype=self.policy, name=f"{name}.relu")(x)

    def convolve(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        name: str,
        *,
        stride: int = 1,
        relu: bool = True,
    ) -> keras.KerasTensor:
        """Applies a convolution, batch normalization, and ReLU unless told not to."""
        from keras import initializers, layers

        padding = "same"
        if stride > 1 and kernel > 1:
            # "same" would pad an even size at its end alone.
            x = layers.ZeroPadding2D(
                kernel // 2, dtype=self.policy, name=f"{name}.padding"
            )(x)
            padding = "valid"
        x = layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=False,
            kernel_initializer=initializers.HeNormal(next(self.seeds)),
            kernel_regularizer=make_penalty(self.settings),
            dtype=self.policy,
            name=name,
        )(x)
        x = layers.BatchNormalization(
            momentum=_MOMENTUM,
            epsilon=_EPSILON,
            dtype=self.policy,
            name=f"{name}.BatchNorm",
        )(x)
        return layers.ReLU(dtype=self.policy, name=f"{name}.relu")(x) if relu else x

    def classify(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Applies the classifier to features of one pixel."""
        from keras import initializers, layers

        x = layers.Conv2D(
            len(self.settings.nomenclature),
            1,
            kernel_initializer=initializers.HeNormal(next(self.seeds)),
            kernel_regularizer=make_penalty(self.settings),
            dtype="float32",
            name="logits",
        )(x)
        return layers.Flatten(dtype="float32", name="flatten")(x)
