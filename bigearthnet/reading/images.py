"""Stored groups of bands → images that models take, in numpy."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.reading.memory import Recycler, fill_in_parallel
from bigearthnet.release.bands import IMAGE_SIZE, BandGroup, order_bands
from bigearthnet.schema.configs import Config, list_configs
from bigearthnet.schema.rgb import decode_image
from bigearthnet.util.options import look_up

# Blocks of output rows whose products leave out most weights that are zero; of two to
# twelve, as fast as any.
_BLOCKS = 5

# Memory of images that nobody uses any more.
_RECYCLER = Recycler()

# What `make_images` is.
MakeImages: TypeAlias = (
    "Callable[[Mapping[str, Any], Sequence[BandGroup], Sequence[str], str], Any]"
)


@dataclass(frozen=True)
class ImagePlan:
    """How images are made of stored columns.

    Attributes:
        columns: The columns that are read.
        make: Batch of these → images; see `loading.load`.
    """

    columns: tuple[str, ...]
    make: Callable[[Mapping[str, Any]], Any]


def plan_images(
    config: Config,
    bands: str | Sequence[str],
    image_size: int | None,
    resampling: str = "bicubic",
    make: MakeImages | None = None,
    decode: Callable[[Any], Any] | None = None,
) -> ImagePlan:
    """Says how the images that are asked for are made of what is stored.

    Args:
        config: What is stored.
        bands: See `loading.load`.
        image_size: IMAGE_SIZE, or None for the stored pixels.
        resampling: One of KERNELS.
        make: What does the same as `make_images`; None for that.
        decode: What does the same as `decode_pictures`; None for that.

    Raises:
        OptionError: If that cannot be done.
    """
    make, decode = make or make_images, decode or decode_pictures
    word = bands.lower() if isinstance(bands, str) else None
    kernel = look_up({name: name for name in KERNELS}, resampling, "resampling")
    if image_size not in (IMAGE_SIZE, None):
        raise OptionError(
            f"image_size: expected {IMAGE_SIZE} or None, got {image_size!r}. Resize "
            "the images with tf.image.resize, for example."
        )
    if config.choice.is_rgb:
        if word not in ("all", "rgb") or image_size is None:
            raise OptionError(
                f"config {config.name} holds 8-bit pictures: expected bands='rgb' and "
                f"image_size={IMAGE_SIZE}, got {bands!r} and {image_size!r}."
            )
        return ImagePlan(("image",), lambda batch: decode(batch["image"]))
    names = choose_bands(bands, config)
    groups = choose_groups(config.groups, names)
    stored = tuple(group.name for group in groups)
    if image_size is not None:
        return ImagePlan(stored, lambda batch: make(batch, groups, names, kernel))
    if word == "all":
        return ImagePlan(stored, lambda batch: {name: batch[name] for name in stored})

    def take(batch: Mapping[str, Any]) -> dict[str, Any]:
        """Gives each band; a map is named like the feature of which it is the only."""
        return {n: batch[n][:, 0] if n in stored else batch[n] for n in names}

    return ImagePlan(names, take)


def _name_config_of(bands: Sequence[object], config: Config) -> str:
    """Returns a sentence that names a configuration with all bands, or ""."""
    wanted = {str(name).casefold() for name in bands}
    for other in list_configs([config.release]).values():
        stored = {band.name.casefold() for g in other.groups for band in g.bands}
        if wanted <= stored:
            return f" Of the configs of {config.release.name}, {other.name} has it."
    return ""


def choose_bands(bands: str | Sequence[str], config: Config) -> tuple[str, ...]:
    """Returns the names of the bands that are asked for, in the order asked.

    Args:
        bands: `all` (ascending wavelength), `rgb` (B04, B03, B02), or names; all in
            upper or lower case.
        config: What is stored.

    Raises:
        OptionError: If a name is unknown or comes twice, or there is none.
    """
    known = [band.name for group in config.groups for band in group.bands]
    images = [group for group in config.groups if not group.is_map]
    named = {"all": tuple(band.name for band in order_bands(images))}
    if config.release.rgb and {*config.release.rgb} <= {*known}:
        named["rgb"] = config.release.rgb
    if isinstance(bands, str):
        if bands.lower() in named:
            return named[bands.lower()]
        bands = (bands,)
    folded = {name.casefold(): name for name in known}
    bands = tuple(bands) if isinstance(bands, Iterable) else (bands,)
    for name in bands:
        if not isinstance(name, str) or name.casefold() not in folded:
            listed = ", ".join(band.name for group in images for band in group.bands)
            raise OptionError(
                f"unknown band: expected {', '.join(named)}, or a list of "
                f"{listed}, got {name!r}.{_name_config_of(bands, config)}"
            )
    names = tuple(folded[name.casefold()] for name in bands)
    if not names or len(set(names)) < len(names):
        raise OptionError(
            f"bands: expected at least one, and each once, got {list(bands)}."
        )
    return names


def choose_groups(
    groups: Sequence[BandGroup], bands: Sequence[str]
) -> tuple[BandGroup, ...]:
    """Returns those of the groups that hold some bands, in the same order."""
    return tuple(
        group for group in groups if any(band.name in bands for band in group.bands)
    )


def _cubic(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Cubic convolution with a = -0.5.

    Source: R. Keys, "Cubic convolution interpolation for digital image processing",
    1981, equation 15. The same as Pillow's BICUBIC (tested).
    """
    near = ((1.5 * distances - 2.5) * distances) * distances + 1
    far = ((-0.5 * distances + 2.5) * distances - 4) * distances + 2
    return np.where(distances <= 1, near, np.where(distances < 2, far, 0))


# Ways to resample → weight of a pixel at a distance, in pixels of the input.
KERNELS: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]] = {
    "bicubic": _cubic,
    "bilinear": lambda distances: np.maximum(1 - distances, 0),
    "nearest": lambda distances: distances < 0.5,
}


@functools.cache
def resampling_matrix(
    size: int, resampling: str = "bicubic"
) -> npt.NDArray[np.float32]:
    """Returns the weights that resample a line of pixels to IMAGE_SIZE.

    With half-pixel centres: output pixel i has its centre at
    (i + 0.5) · size / IMAGE_SIZE - 0.5 of the input, so that no band is shifted against
    another. At the edges, the weights inside are scaled to sum to 1.

    Args:
        size: Pixels of the line.
        resampling: One of KERNELS.

    Returns:
        Shape (IMAGE_SIZE, size), float32; each row sums to 1 and has at most four
        weights.
    """
    centres = (np.arange(IMAGE_SIZE) + 0.5) * size / IMAGE_SIZE - 0.5
    weights = KERNELS[resampling](np.abs(centres[:, None] - np.arange(size)))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@functools.cache
def cut_blocks(
    size: int, resampling: str = "bicubic"
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Cuts `resampling_matrix` into blocks, which hold all weights that are not zero.

    Args:
        size: Pixels of the line.
        resampling: One of KERNELS.

    Returns:
        Pixels that each block takes, shape (block, weight), int32; and the weights,
        shape (block, output pixel of the block, weight), float32.
    """
    inputs = size // _BLOCKS
    # A weight reaches two pixels to either side.
    starts = np.arange(_BLOCKS) * inputs - 2
    rows = starts.clip(0, size - inputs - 4)[:, None] + np.arange(inputs + 4)
    matrix = resampling_matrix(size, resampling).reshape(_BLOCKS, -1, size)
    weights = np.take_along_axis(matrix, rows[:, None], axis=2)
    return rows.astype(np.int32), weights


def make_images(
    stored: Mapping[str, npt.NDArray[Any]],
    groups: Sequence[BandGroup],
    bands: Sequence[str],
    resampling: str = "bicubic",
) -> npt.NDArray[np.float32]:
    """Makes images of one size of some bands, those of 20 and 60 m resampled.

    Args:
        stored: Name of each group → shape (patch, band, y, x), of the group's dtype.
        groups: The groups that hold the bands.
        bands: Names of the bands, in the order of the channels.
        resampling: One of KERNELS.

    Returns:
        Shape (patch, y, x, channel) = (patch, 120, 120, len(bands)), float32, in the
        stored unit; resampled ones can lie a little outside of the stored range.
    """
    parts: list[tuple[npt.NDArray[Any], list[int], list[int]]] = []
    for group in groups:
        names = [band.name for band in group.bands]
        chosen = [name for name in bands if name in names]
        sources = [names.index(name) for name in chosen]
        parts.append((stored[group.name], sources, [*map(bands.index, chosen)]))
    count = len(parts[0][0])
    images = _RECYCLER.take((count, IMAGE_SIZE, IMAGE_SIZE, len(bands)), "float32")

    def fill(first: int, last: int) -> None:
        """Makes the images from one number to another, patch by patch in the cache."""
        for number in range(first, last):
            # Axes: y, block of columns, x in that, channel.
            image = images[number].reshape(IMAGE_SIZE, _BLOCKS, -1, len(bands))
            for pixels, sources, channels in parts:
                made = resample(pixels[number, sources], resampling)
                for channel, band in zip(channels, made, strict=True):
                    image[..., channel] = band

    fill_in_parallel(fill, count, images.nbytes)
    return images


def resample(pixels: npt.NDArray[Any], resampling: str = "bicubic") -> npt.NDArray[Any]:
    """Resamples bands of one patch to IMAGE_SIZE; see `resampling_matrix`.

    In blocks both ways, which leave out most weights that are zero. Larger products
    would wake the threads of NumPy's library of products, which wait for each other.

    Args:
        pixels: Shape (band, y, x), of any type; of IMAGE_SIZE, they stay as they are.
        resampling: One of KERNELS.

    Returns:
        Shape (band, y, block, x) = (band, 120, 5, 24): the columns in blocks; float32
        if they were resampled.
    """
    size = pixels.shape[-1]
    if size == IMAGE_SIZE:
        return pixels.reshape(-1, IMAGE_SIZE, _BLOCKS, IMAGE_SIZE // _BLOCKS)
    rows, weights = cut_blocks(size, resampling)
    lines = np.matmul(weights, pixels[:, rows].astype(np.float32))
    blocks = lines.reshape(-1, IMAGE_SIZE, size)[:, :, rows].transpose(0, 2, 1, 3)
    return np.matmul(blocks, weights.transpose(0, 2, 1)).transpose(0, 2, 1, 3)


def decode_pictures(files: Sequence[bytes]) -> npt.NDArray[np.uint8]:
    """Decodes the pictures of `s2-rgb`.

    Returns:
        Shape (patch, y, x, channel) = (patch, 120, 120, 3), uint8.
    """
    pictures = [decode_image(content) for content in files]
    return np.array(pictures, np.uint8).reshape(-1, IMAGE_SIZE, IMAGE_SIZE, 3)
