from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.loading.images import make_images
from bigearthnet.reading.images import choose_bands, choose_groups, resampling_matrix
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

S2 = get_config("s2", RELEASES)

SIZES = (20, 60)
ALL = [
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B06",
    "B07",
    "B08",
    "B8A",
    "B09",
    "B11",
    "B12",
]
GROUPS = {
    "bands_10m": (120, ["B02", "B03", "B04", "B08"]),
    "bands_20m": (60, ["B05", "B06", "B07", "B8A", "B11", "B12"]),
    "bands_60m": (20, ["B01", "B09"]),
}


def make_groups(patches: int) -> dict[str, np.ndarray]:
    """Random pixels of all groups, other ones in each patch."""
    random = np.random.default_rng(5)
    return {
        name: random.integers(0, 2**16, (patches, len(bands), size, size), np.uint16)
        for name, (size, bands) in GROUPS.items()
    }


@pytest.mark.parametrize("size", SIZES)
def test_resampling_weights_sum_to_one(size: int) -> None:
    """Every output pixel is a mean of at most four neighbours with weights of sum 1."""
    weights = resampling_matrix(size)

    assert (120, size) == weights.shape
    assert np.float32 == weights.dtype
    np.testing.assert_allclose(np.ones(120), weights.sum(axis=1), atol=1e-6)
    assert 4 == np.count_nonzero(weights, axis=1).max()


def test_pixels_of_the_full_size_stay_as_they_are() -> None:
    """Resampling 120 pixels to 120 is the identity."""
    assert np.eye(120).tolist() == resampling_matrix(120).tolist()


@pytest.mark.parametrize("size", SIZES)
def test_resampling_preserves_constants_and_ramps(size: int) -> None:
    """A constant stays; a ramp stays, too, two pixels of the input from the edges."""
    centres = (np.arange(120) + 0.5) * size / 120 - 0.5
    inside = slice(2 * 120 // size, -2 * 120 // size)
    constant = resampling_matrix(size) @ np.full(size, 7.0)
    line = resampling_matrix(size) @ (3.0 * np.arange(size) + 11)

    np.testing.assert_allclose(np.full(120, 7.0), constant, rtol=1e-6)
    np.testing.assert_allclose(3 * centres[inside] + 11, line[inside], rtol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_resampling_is_centred(size: int) -> None:
    """Mirroring the input mirrors the output: pixels are not shifted to one side."""
    weights = resampling_matrix(size)

    np.testing.assert_allclose(weights, weights[::-1, ::-1], rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("size", "row", "expected"),
    [
        # Centre 30.75 of the input: the kernel at distances 1.75, 0.75, 0.25 and 1.25.
        (60, 62, {29: -0.0234375, 30: 0.2265625, 31: 0.8671875, 32: -0.0703125}),
        # Centre -0.25: of the four weights, two lie inside; their sum is 0.796875.
        (60, 0, {0: 0.8671875 / 0.796875, 1: -0.0703125 / 0.796875}),
    ],
)
def test_resampling_weights_are_those_of_keys(
    size: int, row: int, expected: dict[int, float]
) -> None:
    """The weights are the values of the cubic kernel, scaled at the edge."""
    line = np.zeros(size)
    line[list(expected)] = list(expected.values())

    np.testing.assert_allclose(line, resampling_matrix(size)[row], atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_resampling_agrees_with_tensorflow(size: int) -> None:
    """Random pixels come out as from tf.image.resize, which rounds its weights."""
    import tensorflow as tf

    pixels = np.random.default_rng(1).integers(0, 10_000, (2, size, size, 1))
    weights = resampling_matrix(size)
    found = weights @ pixels[..., 0].astype(np.float32) @ weights.T
    expected = tf.image.resize(pixels, (120, 120), "bicubic", antialias=True)

    np.testing.assert_allclose(expected[..., 0], found, rtol=0, atol=0.1)


@pytest.mark.parametrize("bands", [ALL, ALL[::-1], ["B09", "B12", "B8A", "B02"]])
def test_images_have_the_resampled_band_of_each_channel(bands: list[str]) -> None:
    """Every channel is its own band, resampled by Pillow."""
    from PIL import Image

    groups = make_groups(2)
    images = make_images(groups, choose_groups(S2.groups, bands), bands).numpy()

    assert (2, 120, 120, len(bands)) == images.shape
    for channel, band in enumerate(bands):
        for name, (_, names) in GROUPS.items():
            if band in names:
                stored = groups[name][:, names.index(band)].astype(np.float32)
        for patch in range(2):
            expected = Image.fromarray(stored[patch]).resize(
                (120, 120), Image.Resampling.BICUBIC
            )
            found = images[patch, ..., channel]
            np.testing.assert_allclose(expected, found, rtol=0, atol=0.05)


@pytest.mark.parametrize(("name", "band"), [("bands_20m", "B12"), ("bands_60m", "B09")])
def test_every_stored_pixel_has_all_of_its_weights(name: str, band: str) -> None:
    """A single bright pixel, on any line, becomes the outer product of its weights."""
    size, bands = GROUPS[name]
    pixels = np.zeros((size, len(bands), size, size), np.uint16)
    lines = np.arange(size)
    pixels[lines, -1, lines, lines[::-1]] = 10_000
    weights = resampling_matrix(size).astype(np.float64)
    expected = 10_000 * np.einsum("yp,xp->pyx", weights, weights[:, ::-1])
    images = make_images(
        {name: pixels}, choose_groups(S2.groups, [band]), [band]
    ).numpy()

    np.testing.assert_allclose(images[..., 0], expected, rtol=0, atol=0.005)


@pytest.mark.parametrize("band", ["B01", "B05"])
def test_a_single_band_is_resampled_many_times(band: str) -> None:
    """One band of 20 or 60 m, on which products of matrices have crashed, goes well."""
    code = f"""
        import numpy as np, tensorflow as tf
        from bigearthnet.loading.images import make_images
        from bigearthnet.reading.images import choose_groups
        from bigearthnet.release.bands import GROUPS
        shapes = {{"bands_20m": (128, 6, 60, 60), "bands_60m": (128, 2, 20, 20)}}
        pixels = {{name: np.ones(shape, np.uint16) for name, shape in shapes.items()}}
        groups = choose_groups(GROUPS, ["{band}"])
        dataset = tf.data.Dataset.from_tensors(pixels).repeat(200).map(
            lambda batch: make_images(batch, groups, ["{band}"]), num_parallel_calls=2
        )
        print(sum(len(images) for images in dataset))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    assert str(200 * 128) == done.stdout.strip()


def test_bands_of_full_size_are_exact() -> None:
    """The 10 m bands keep every value of 16 bits."""
    groups = make_groups(3)
    expected = groups["bands_10m"][:, [3, 0]].transpose(0, 2, 3, 1)
    asked = ["B08", "B02"]
    images = make_images(groups, choose_groups(S2.groups, asked), asked)

    np.testing.assert_array_equal(expected, images)


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        ("all", ALL),
        ("rgb", ["B04", "B03", "B02"]),
        ("B8A", ["B8A"]),
        (["b12", "B01"], ["B12", "B01"]),
        ("RGB", ["B04", "B03", "B02"]),
        (("B12", "B01"), ["B12", "B01"]),
    ],
)
def test_bands_are_chosen_in_the_order_asked(
    bands: str | list[str], expected: list[str]
) -> None:
    """Words for choices and names of bands become names of bands."""
    assert expected == list(choose_bands(bands, S2))


@pytest.mark.parametrize("bands", ["", "B8", [], ["all"], ["B02", "B02"], ["B02", ""]])
def test_bands_that_make_no_sense_are_refused(bands: str | list[str]) -> None:
    """Unknown and repeated names and none at all are errors."""
    with pytest.raises(OptionError, match="band"):
        choose_bands(bands, S2)


def test_only_the_groups_of_the_bands_are_chosen() -> None:
    """What is not asked for is not read."""
    names = [group.name for group in choose_groups(S2.groups, ["B09", "B02"])]

    assert ["bands_10m", "bands_60m"] == names
