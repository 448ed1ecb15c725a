"""Presets are what other packages give to models.

Those tests that need them run where they are installed, which takes an environment of
its own: `pip install torchgeo==0.8.1 requests appdirs lmdb safetensors pytest
".[hf,sample]"`, then `pip install --no-deps configilm==0.7.1`, whose pins are older
than what we need; and once more with configilm==0.6.6, for `reben-v0.1.1`.
"""

from __future__ import annotations

import pickle
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import bigearthnet
from bigearthnet.errors import OptionError
from bigearthnet.reading.images import plan_images
from bigearthnet.release import RELEASES, V2
from bigearthnet.release.nomenclature import NOMENCLATURES
from bigearthnet.schema.configs import get_config
from tests.archives import write_folder
from tests.v2.made import make_files, make_patches

S2 = "B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12"
# Preset → its channels, and the order of classes, as the packages have them.
CHANNELS = {
    "reben-v0.1.1": "B02 B03 B04 B08 B05 B06 B07 B11 B12 B8A VH VV",
    "reben-v0.1.1-s2": "B02 B03 B04 B08 B05 B06 B07 B11 B12 B8A",
    "reben-v0.1.1-s1": "VH VV",
    "reben-v0.2.0": "VV VH B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
    "reben-v0.2.0-s2": "B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
    "reben-v0.2.0-s1": "VV VH",
    "configilm": f"VV VH {S2}",
    "configilm-12": "VV VH B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
    "configilm-10": "B02 B03 B04 B05 B06 B07 B08 B8A B11 B12",
    "configilm-4": "B02 B03 B04 B08",
    "configilm-3": "B04 B03 B02",
    "configilm-2": "VV VH",
    "torchgeo": f"VH VV {S2}",
    "torchgeo-s2": S2,
    "torchgeo-s1": "VH VV",
    "torchgeo-v1-s2": S2,
}


def test_channels_stand_in_the_order_of_the_package() -> None:
    """Each preset names bands, classes, source, and a configuration that has them."""
    assert list(CHANNELS) == list(bigearthnet.presets)
    for name, preset in bigearthnet.presets.items():
        assert CHANNELS[name].split() == list(preset.bands)
        assert len(preset.bands) == len(preset.offset) == len(preset.divisor)
        groups = get_config(preset.config, RELEASES).groups
        assert set(preset.bands) <= {band.name for g in groups for band in g.bands}
        is_ours = name.startswith("torchgeo")
        assert ("ben19" if is_ours else "ben19_alphabetical") == preset.labels
        assert preset.labels in NOMENCLATURES
        assert preset.package.partition(" ")[2]
        assert preset.source
        assert name == preset.name


def test_statistics_belong_to_their_bands() -> None:
    """Mean and deviation of a band are the same in every order, VV is not VH."""
    for name in ("reben-v0.1.1", "reben-v0.2.0", "configilm-2"):
        preset = bigearthnet.presets[name]
        pairs = zip(preset.offset, preset.divisor, strict=True)
        numbers = dict(zip(preset.bands, pairs, strict=True))
        assert (-12.6439, 5.1335) == tuple(round(x, 4) for x in numbers["VV"])
        assert (-19.3526, 5.5905) == tuple(round(x, 4) for x in numbers["VH"])


def test_an_unknown_preset_is_told() -> None:
    """The error lists the presets; names are read in upper or lower case."""
    with pytest.raises(OptionError, match=r"unknown preset: .*configilm.*, got 'x'"):
        bigearthnet.presets["x"]
    assert "configilm" == bigearthnet.presets["ConfigILM"].name


def test_a_preset_loads_what_it_says(all_stores: Path) -> None:
    """Bands, resampling and scaling are the preset's, in NumPy and TensorFlow."""
    preset = bigearthnet.presets["torchgeo-v1-s2"]
    loaded = bigearthnet.load("train", all_stores, **preset.load_options)
    ((images, labels),) = loaded.map(lambda x, y: (preset.scale(x), y))
    reader = bigearthnet.open_reader("train", all_stores)
    stored = reader.images(slice(None), preset.bands, resampling="bilinear")
    expected = (stored[..., 3] - 1) / (14_445 - 1)  # B04

    assert (4, 19) == labels.shape
    np.testing.assert_allclose(expected, images[..., 3], rtol=0, atol=1e-5)
    np.testing.assert_allclose(images, preset.scale(stored), rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 120, 120, 1), (14, 120, 120), (14,), ()])
def test_images_of_other_channels_are_not_scaled(shape: tuple[int, ...]) -> None:
    """One channel would become as many as the preset has; the error says the shape."""
    with pytest.raises(OptionError, match=r"configilm: .* 14 channels .* got shape \("):
        bigearthnet.presets["configilm"].scale(np.zeros(shape, np.float32))


def test_pytorch_scales_its_channels() -> None:
    """The first of three axes is that of channels; scaling goes to worker processes."""
    torch = pytest.importorskip("torch")
    preset = pickle.loads(pickle.dumps(bigearthnet.presets["configilm-2"]))
    images = torch.zeros(5, 2, 4, 4)
    scaled = preset.scale(images)

    torch.testing.assert_close(scaled[0, :, 1, 1], preset.scale(images[0])[:, 0, 0])
    expected = -np.array(preset.offset) / np.array(preset.divisor)
    np.testing.assert_allclose(scaled[3, :, 2, 1], expected, rtol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "tensorflow", "torch"])
def test_integers_are_scaled_as_floats(library: str) -> None:
    """Offsets and divisors are not rounded to the type of the images."""
    module = pytest.importorskip(library)
    make = {"numpy": "array", "tensorflow": "constant", "torch": "tensor"}[library]
    preset = bigearthnet.presets["configilm-2"]
    whole = np.full((2, 2, 2), -7, np.int32)
    scaled = preset.scale(getattr(module, make)(whole))

    assert "float32" in str(scaled.dtype)
    expected = preset.scale(getattr(module, make)(whole.astype(np.float32)))
    np.testing.assert_array_equal(np.asarray(scaled), np.asarray(expected))


@pytest.mark.peers
@pytest.mark.parametrize("name", [n for n in CHANNELS if "torchgeo" not in n])
def test_configilm_has_the_same(name: str) -> None:
    """Orders, classes and statistics are those of the version that is installed."""
    utils = pytest.importorskip("configilm.extra.BENv2_utils")
    preset = bigearthnet.presets[name]
    if not preset.package.endswith(version := metadata.version("configilm")):
        pytest.skip(f"{preset.package} is not ConfigILM {version}")
    channels = len(preset.bands)
    bands = utils.STANDARD_BANDS["ALL" if channels == 14 else channels]
    mean, std = utils.band_combi_to_mean_std(list(bands))

    assert list(bands) == list(preset.bands)
    assert tuple(utils.NEW_LABELS) == NOMENCLATURES[preset.labels].labels
    np.testing.assert_array_equal(mean, preset.offset)
    np.testing.assert_array_equal(std, preset.divisor)


@pytest.mark.peers
def test_configilm_resamples_alike() -> None:
    """Images of its function are ours, bit for bit, for the preset's resampling."""
    utils = pytest.importorskip("configilm.extra.BENv2_utils")
    preset = bigearthnet.presets["configilm"]
    config = get_config(preset.config, RELEASES)
    random = np.random.default_rng(4)
    batch = {
        g.name: random.integers(0, 9_000, (1, *g.shape)).astype(g.dtype)
        for g in config.groups
    }
    stored = {
        band.name: batch[g.name][0, number]
        for g in config.groups
        for number, band in enumerate(g.bands)
    }
    theirs = utils.stack_and_interpolate(stored, preset.bands)
    plan = plan_images(config, preset.bands, 120, preset.resampling)
    np.testing.assert_array_equal(theirs, plan.make(batch)[0].transpose(2, 0, 1))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["torchgeo-s2", "torchgeo-s1"])
def test_torchgeo_gives_the_same(name: str, tmp_path: Path) -> None:
    """Channels of its reader are ours, in its order, but for what it rounds away."""
    datasets = pytest.importorskip("torchgeo.datasets")
    import pandas as pd

    preset, sensor = bigearthnet.presets[name], name[-2:]
    archive = V2.archive(sensor)
    folder, files = next(iter(make_files(archive).items()))
    patch = folder.rpartition("/")[2]
    product = "_".join(patch.split("_")[: -3 if sensor == "s1" else -2])
    write_folder(tmp_path / archive.folder, {f"{product}/{patch}": files})
    torchgeo = datasets.BigEarthNetV2.__new__(datasets.BigEarthNetV2)
    torchgeo.root = tmp_path
    torchgeo.metadata_df = pd.DataFrame({"patch_id": [patch], "s1_name": [patch]})
    theirs = torchgeo._load_image(0, sensor).numpy()
    made = next(iter(make_patches().values()))
    config = get_config(preset.config, RELEASES)
    batch = {group.name: made.groups[group.name][None] for group in config.groups}
    plan = plan_images(config, preset.bands, 120, preset.resampling)
    ours = plan.make(batch)[0].transpose(2, 0, 1)

    assert tuple(torchgeo.class_set) == NOMENCLATURES[preset.labels].labels
    if sensor == "s1":
        np.testing.assert_array_equal(np.rint(ours), theirs)
    else:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.51)


@pytest.mark.peers
def test_torchgeo_scales_alike() -> None:
    """Least and most of its data module of v1.0 are those of the preset."""
    modules = pytest.importorskip("torchgeo.datamodules")
    preset = bigearthnet.presets["torchgeo-v1-s2"]
    module = modules.BigEarthNetDataModule

    assert list(preset.offset) == module.mins[2:].tolist()
    assert list(preset.divisor) == (module.maxs - module.mins)[2:].tolist()
