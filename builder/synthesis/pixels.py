"""Draws the pixels of a synthetic patch: a mosaic of class regions, seen by 12 bands.

Arithmetic is float64, not for accuracy but so that the last bit of a library's
kernel (FFT, exp), which may differ between processors, hardly ever reaches a pixel.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from bigearthnet.release.bands import BANDS, GROUPS, BandGroup
from builder.synthesis.classes import NOISE_SIGMA, SIGNATURES, TEXTURES, Texture

Floats = npt.NDArray[np.float64]

# Side of the mosaic in pixels of 10 m.
SIZE_PX = GROUPS[0].size_px

# Smallest part of a patch that a label may cover.
MIN_AREA = 0.02

# The mosaic is made of this many cells a side. With 12 labels each gets two.
_CELLS = 5
# How far a cell's site may lie from the middle of its square, in squares.
_JITTER = 0.35
# Amplitude and wavelength of the waves that bend borders, in pixels.
_WAVES = ((3.0, 70.0), (1.5, 24.0))
# Fixed-point scale of squared distances, and the range of a cell's index beside them:
# 2 × 120² × 256 × 32 fits 32 bits.
_FIXED_POINT = 256
_INDEX_RANGE = 32
# Standard deviation of the logarithm of a cell's brightness.
_CELL_CONTRAST = 0.15
# Standard deviation of x·|x| where x is standard normal.
_SQUARED_STD = np.sqrt(3.0)
# Bounds of a patch's gain, the same for all bands.
_GAIN = 0.7, 1.4
# Largest digital number; reflectance above 1 is rare but real.
_MAX_DN = 16_000


def draw_mosaic(
    num_labels: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Draws regions: Voronoi cells with bent borders, each of one label.

    Args:
        num_labels: Number of labels, 1 to 12.
        rng: Source of randomness.

    Returns:
        Index of the label of each pixel, in [0, num_labels), and the logarithm of
        its cell's brightness, both of shape (y, x) on the 10 m grid. Each label
        covers at least MIN_AREA of the patch.
    """
    while True:
        cells = _draw_cells(rng)
        labels_of_cells = _share_cells(num_labels, rng)
        brightness = rng.normal(0.0, _CELL_CONTRAST, _CELLS**2)
        mosaic = labels_of_cells[cells]
        areas = np.bincount(mosaic.ravel(), minlength=num_labels)
        if areas.min() >= MIN_AREA * SIZE_PX**2:
            return mosaic, brightness[cells]


def _draw_cells(rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Index of the nearest site of each pixel, shape (y, x).

    With borders bent by y + bend(x) and x + bend(y), the squared distance to a site is
    a function of y plus one of x plus what all sites share, which is left out. Fixed
    point with the index in the low bits: the least number names the nearest site.
    """
    square = SIZE_PX / _CELLS
    middle = np.arange(_CELLS) + 0.5
    jitter = rng.uniform(-_JITTER, _JITTER, (2, _CELLS, _CELLS))
    site_y = (square * (middle[:, None] + jitter[0])).reshape(-1, 1)
    site_x = (square * (middle + jitter[1])).reshape(-1, 1)
    line: Floats = np.arange(SIZE_PX, dtype=np.float64) + 0.5
    of_y = site_y**2 - 2 * (site_y * line + site_x * _bend(line, rng))
    of_x = site_x**2 - 2 * (site_x * line + site_y * _bend(line, rng))
    rank_y, rank_x = (
        np.rint(part * _FIXED_POINT).astype(np.int32) * _INDEX_RANGE
        for part in (of_y, of_x)
    )
    rank_y += np.arange(_CELLS**2, dtype=np.int32)[:, None]
    nearest = np.minimum.reduce(rank_y[:, :, None] + rank_x[:, None, :], axis=0)
    return np.asarray(nearest & (_INDEX_RANGE - 1))


def _bend(line: Floats, rng: np.random.Generator) -> Floats:
    phases = rng.uniform(0.0, 2 * np.pi, len(_WAVES))
    waves = [
        amplitude * np.sin(2 * np.pi * line / wavelength + phase)
        for (amplitude, wavelength), phase in zip(_WAVES, phases, strict=True)
    ]
    return np.asarray(sum(waves))


def _share_cells(num_labels: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Label of each cell: two cells for every label, the others in uneven shares."""
    sure = np.repeat(np.arange(num_labels), 2)
    shares = rng.dirichlet(np.ones(num_labels))
    free = rng.choice(num_labels, _CELLS**2 - len(sure), p=shares)
    return np.asarray(rng.permutation(np.concatenate([sure, free])))


@functools.cache
def _texture_filter(texture: Texture) -> Floats:
    """Amplitude of each spatial frequency, shape (SIZE_PX, SIZE_PX // 2 + 1).

    A Gaussian autocorrelation; scaled so that a field filtered with it has standard
    deviation 1.
    """
    fy = np.fft.fftfreq(SIZE_PX)[:, None]
    fx = np.fft.rfftfreq(SIZE_PX)
    angle = np.deg2rad(texture.direction_deg)
    along = fx * np.cos(angle) - fy * np.sin(angle)  # Rows run south.
    across = fx * np.sin(angle) + fy * np.cos(angle)
    exponent = across**2 + (texture.elongation * along) ** 2
    amplitude = np.exp(-((np.pi * texture.grain_px) ** 2) * exponent)
    amplitude[0, 0] = 0.0
    # Each column but the first and last stands for two frequencies.
    power = amplitude**2 * np.where((fx > 0) & (fx < 0.5), 2.0, 1.0)
    return np.asarray(amplitude * SIZE_PX / np.sqrt(power.sum()))


def draw_textures(labels: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Draws a field of mean 0 and the contrast of its class for each label.

    A normal field, cut off at 3, is squared with its sign kept: calm ground with strong
    spots, as hedges, roofs and tracks make it.

    Args:
        labels: Class ids of CLC43.
        rng: Source of randomness.

    Returns:
        Logarithm of the brightness, shape (label, y, x) on the 10 m grid.
    """
    chosen = [TEXTURES[label] for label in labels]
    filters = np.stack([_texture_filter(texture) for texture in chosen])
    noise = rng.standard_normal((2, *filters.shape))
    spectrum = (noise[0] + 1j * noise[1]) * filters * (SIZE_PX / np.sqrt(2.0))
    fields = np.fft.irfft2(spectrum, s=(SIZE_PX, SIZE_PX)).clip(-3.0, 3.0)
    scales = [[[texture.contrast / _SQUARED_STD]] for texture in chosen]
    return np.asarray(fields * np.abs(fields) * scales)


def draw_pixels(
    labels: tuple[int, ...], rng: np.random.Generator
) -> dict[str, npt.NDArray[np.uint16]]:
    """Draws all pixels of a patch.

    Args:
        labels: Class ids of CLC43; 1 to 12.
        rng: Source of randomness.

    Returns:
        Feature name → array of shape (band, y, x), uint16, digital numbers
        (reflectance = DN / 10000), one per band group. All groups see one mosaic: a
        pixel of 20 m or 60 m is the mean of the mosaic under it, before noise.
    """
    return observe(labels, *draw_mosaic(len(labels), rng), rng)


def observe(
    labels: tuple[int, ...],
    mosaic: npt.NDArray[np.intp],
    log_brightness: Floats,
    rng: np.random.Generator,
) -> dict[str, npt.NDArray[np.uint16]]:
    """Draws what the 12 bands see of a mosaic.

    Args:
        labels: Class ids of CLC43; 1 to 12.
        mosaic: Index of the label of each pixel, shape (y, x); see `draw_mosaic`.
        log_brightness: Logarithm of the brightness of its cell, likewise.
        rng: Source of randomness.

    Returns:
        As `draw_pixels`.
    """
    textures = draw_textures(labels, rng)
    texture = np.take_along_axis(textures, mosaic[None], axis=0)[0]
    gain = np.exp(rng.uniform(*np.log(_GAIN)))
    brightness = gain * np.exp(log_brightness + texture)
    class_ids = np.array(labels)[mosaic]
    return {group.name: _observe(group, class_ids, brightness, rng) for group in GROUPS}


def _observe(
    group: BandGroup,
    class_ids: npt.NDArray[np.intp],
    brightness: Floats,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint16]:
    columns = [BANDS.index(band) for band in group.bands]
    ground = np.take(SIGNATURES.T[columns], class_ids, axis=1)
    ground *= brightness
    seen = _block_mean(ground, SIZE_PX // group.size_px)
    seen *= 1.0 + NOISE_SIGMA * rng.standard_normal(seen.shape)
    return np.rint(seen).clip(1, _MAX_DN).astype(np.uint16)


def _block_mean(fine: Floats, factor: int) -> Floats:
    """Mean over blocks of factor × factor pixels; axes (band, y, x)."""
    if factor == 1:
        return fine
    bands, height, width = fine.shape
    rows = fine.reshape(bands, height // factor, factor, width).sum(axis=2)
    columns = [rows[:, :, start::factor] for start in range(factor)]
    return np.asarray(sum(columns) / factor**2)
