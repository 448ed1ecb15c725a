"""8-bit RGB pictures of a patch, with one documented stretch.

The stretch is part of the stored bytes of the config `s2-rgb` and of the previews: a
change here is a new major version of the dataset.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import QUANTIFICATION_VALUE

# Of Pillow's scale. A preview of a real patch takes about 5 kB.
JPEG_QUALITY = 90

# Digital number below which the stretch is close to linear.
SOFTENING = 500


def _make_stretch() -> npt.NDArray[np.uint8]:
    numbers = np.arange(2**16, dtype=np.float64).clip(max=QUANTIFICATION_VALUE)
    top = np.arcsinh(QUANTIFICATION_VALUE / SOFTENING)
    return np.rint(255 * np.arcsinh(numbers / SOFTENING) / top).astype(np.uint8)


# Digital number → 8-bit value, shape (65536,), uint8:
# round(255 · asinh(DN / 500) / asinh(10000 / 500)), 255 from reflectance 1.0 on.
# The inverse hyperbolic sine is linear for dark and logarithmic for bright pixels
# (Lupton et al., 2004), so that fields keep their contrast and snow is not clipped;
# TFDS's built-in, linear up to DN 2000, clips 12 % of the sample's pixels.
STRETCH = _make_stretch()
STRETCH.flags.writeable = False


def to_rgb(channels: Sequence[npt.NDArray[np.uint16]]) -> npt.NDArray[np.uint8]:
    """Makes an 8-bit picture of bands.

    Args:
        channels: Red, green and blue, each of shape (y, x), uint16, digital numbers.

    Returns:
        Shape (y, x, channel), uint8.
    """
    # Twice as fast as one look-up of all channels, which would take single pixels.
    image = np.empty((*channels[0].shape, len(channels)), np.uint8)
    for number, pixels in enumerate(channels):
        image[..., number] = STRETCH.take(pixels)
    return image


# Decibels that become 0 and 255: of VV, of VH, of their difference. 98 % of the pixels
# of the six real patches lie between them.
_RADAR_DB = ((-25.0, 0.0), (-32.0, -7.0), (-2.0, 15.0))


def radar_to_rgb(vv: npt.NDArray[Any], vh: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Makes an 8-bit picture of backscatter: VV, VH, and how far VV is above VH.

    Args:
        vv: Shape (y, x), decibels.
        vh: Likewise.

    Returns:
        Shape (y, x, channel), uint8: red, green and blue.
    """
    scaled = [
        (channel - low) / (high - low)
        for channel, (low, high) in zip((vv, vh, vv - vh), _RADAR_DB, strict=True)
    ]
    return np.rint(255 * np.stack(scaled, -1).clip(0, 1)).astype(np.uint8)


def encode_png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encodes a picture of shape (y, x, 3), uint8, as PNG, without loss.

    The bytes depend on the versions of Pillow and of the zlib it was built with.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def encode_jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """Encodes a picture of shape (y, x, 3), uint8, as JPEG, for people to look at.

    The bytes depend on the versions of Pillow and of the libjpeg it was built with.
    """
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def decode_image(content: bytes) -> npt.NDArray[np.uint8]:
    """Returns the pixels of a PNG or JPEG of ours, shape (y, x, channel), uint8."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content), formats=("PNG", "JPEG")))
