from __future__ import annotations

import hashlib
import io
import math

import numpy as np
import pytest

from bigearthnet.release.bands import BY_NAME
from bigearthnet.schema import rgb
from bigearthnet.source.geotiff import decode_band

Patches = dict[str, dict[str, bytes]]


def make_bands() -> np.ndarray:
    """Three bands (3, 120, 120) of which each, row and column show when stretched."""
    band, y, x = np.indices((3, 120, 120))
    return (1500 * band + 12 * y + x).astype(np.uint16)


@pytest.mark.parametrize("number", [0, 1, 42, 500, 2000, 5000, 9999, 10_000])
def test_the_stretch_is_its_formula(number: int) -> None:
    """A digital number becomes round(255 · asinh(DN / 500) / asinh(20))."""
    expected = round(255 * math.asinh(number / 500) / math.asinh(20))

    assert expected == rgb.STRETCH[number]


def test_the_stretch_is_frozen() -> None:
    """The whole stretch, part of the stored bytes, is the one of the first version."""
    digest = hashlib.sha256(rgb.STRETCH.tobytes()).hexdigest()

    assert "d414419a533973d2db800368a94321e39707fdcf6d15abf745297ae3525bccc9" == digest


def test_the_stretch_spans_8_bits() -> None:
    """The stretch rises from 0 to 255 at reflectance 1.0, and stays there."""
    steps = np.diff(rgb.STRETCH.astype(int))

    assert (65536,) == rgb.STRETCH.shape
    assert (0, 255, 255) == tuple(map(int, rgb.STRETCH[[0, 10_000, 65_535]]))
    assert set(range(256)) == set(rgb.STRETCH.tolist())
    assert {0, 1} == set(steps.tolist())


def test_the_stretch_cannot_be_changed() -> None:
    """Nobody can alter the table that all pictures share."""
    with pytest.raises(ValueError, match="read-only"):
        rgb.STRETCH[0] = 1


def test_channels_are_red_green_blue() -> None:
    """Bands become channels in their order, rows stay rows and columns columns."""
    bands = make_bands()

    image = rgb.to_rgb(list(bands))

    assert ((120, 120, 3), np.uint8) == (image.shape, image.dtype)
    for y, x in [(0, 0), (0, 119), (119, 0), (60, 7)]:
        expected = [int(rgb.STRETCH[bands[band, y, x]]) for band in range(3)]

        assert expected == image[y, x].tolist()


def test_a_real_picture_is_its_bands(sample_patches: Patches) -> None:
    """The channels of a real patch are its red, green and blue file, stretched."""
    patch_id, files = next(iter(sample_patches.items()))
    bands = {
        name: decode_band(
            files[f"{patch_id}_{name}.tif"], BY_NAME[name], "uint16", patch_id, ""
        )
        for name in ("B04", "B03", "B02")
    }

    image = rgb.to_rgb(list(bands.values()))

    for channel, pixels in enumerate(bands.values()):
        assert np.array_equal(rgb.STRETCH[pixels], image[:, :, channel])


def test_png_is_without_loss() -> None:
    """GDAL's own PNG reader finds every pixel and channel again."""
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    image = rgb.to_rgb(list(make_bands()))
    png = rgb.encode_png(image)

    with (
        pytest.warns(NotGeoreferencedWarning),
        MemoryFile(png) as memory,
        memory.open(driver="PNG") as dataset,
    ):
        pixels = dataset.read()

    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert np.array_equal(image.transpose(2, 0, 1), pixels)


def test_equal_pictures_have_equal_bytes() -> None:
    """The PNG holds pixels alone, no time."""
    image = rgb.to_rgb(list(make_bands()))

    assert rgb.encode_png(image) == rgb.encode_png(image.copy())


def make_picture() -> np.ndarray:
    """A smooth picture in which channel, row and column show: (y, x, 3), uint8."""
    y, x, channel = np.indices((120, 120, 3))
    return (60 * channel + y // 2 + x // 4).astype(np.uint8)


def test_jpeg_is_close_to_the_picture() -> None:
    """GDAL's own JPEG reader finds each channel where it was, nearly unchanged."""
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    picture = make_picture()
    jpeg = rgb.encode_jpeg(picture)

    with (
        pytest.warns(NotGeoreferencedWarning),
        MemoryFile(jpeg) as memory,
        memory.open(driver="JPEG") as dataset,
    ):
        pixels = dataset.read()

    difference = pixels - picture.transpose(2, 0, 1).astype(int)
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert np.abs(difference).max() <= 6
    assert jpeg == rgb.encode_jpeg(picture.copy())


def test_our_pictures_are_decoded() -> None:
    """A PNG comes back exactly, a JPEG nearly unchanged."""
    picture = make_picture()

    png = rgb.decode_image(rgb.encode_png(picture))
    jpeg = rgb.decode_image(rgb.encode_jpeg(picture))

    assert np.array_equal(picture, png)
    assert ((120, 120, 3), np.uint8) == (jpeg.shape, jpeg.dtype)
    assert np.abs(jpeg - picture.astype(int)).max() <= 6


@pytest.mark.parametrize("form", ["GIF", "TIFF", "BMP"])
def test_other_pictures_are_not_decoded(form: str) -> None:
    """What is neither PNG nor JPEG is not given to a decoder."""
    from PIL import Image, UnidentifiedImageError

    buffer = io.BytesIO()
    Image.fromarray(make_picture()).save(buffer, format=form)

    with pytest.raises(UnidentifiedImageError):
        rgb.decode_image(buffer.getvalue())
