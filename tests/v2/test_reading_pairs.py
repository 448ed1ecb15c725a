"""Stores of two sensors are read as one, if they hold the same patches."""

from __future__ import annotations

import itertools
import json
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import bigearthnet
from bigearthnet.engine import keys
from bigearthnet.errors import OptionError, StoreError
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.paired import PairedReader
from bigearthnet.release import Release
from bigearthnet.schema.configs import get_config
from bigearthnet.store.pairs import check_pairs, open_parts
from bigearthnet.store.search import find_stores, open_store
from builder.build import build
from builder.convert import convert
from builder.verify import verify
from tests.v2.conftest import QUIET
from tests.v2.made import Made, make_patches

CONFIG = "v2-s1s2"
FORMS = ("tfrecord", "arrow", "parquet")
# A band of each stored group, and both of the radar.
BANDS = ("VV", "B04", "VH", "B8A", "B09")
NUM_TRAIN = sum(made.split == "train" for made in make_patches().values())
# Decibels, or digital numbers.
TOLERANCE = 0.01


@pytest.fixture(scope="module", params=["whole", *FORMS])
def pair(
    request: pytest.FixtureRequest,
    stores: Path,
    release: Release,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Opens both sensors: of one TFRecord store, or of a pair of each format."""
    form, place = request.param, stores
    if form == "whole":
        form = "tfrecord"
    elif form == "tfrecord":
        place = tmp_path_factory.mktemp("pair")
        for name in ("v2-s2", "v2-s1"):
            store = open_store(stores, get_config(name, [release]), form)
            shutil.copytree(store.folder, place / "bigearthnet" / name / "1.0.0")
    options = {"config": CONFIG, "store": form, "release": release}

    def open_both(function: Callable[..., Any], split: str, **others: Any) -> Any:
        return function(split, place, **options, **others)

    return open_both


def made_of(ids: Any) -> list[Made]:
    """What some patches were made of."""
    return [make_patches()[patch_id] for patch_id in ids]


def stored(made: Made, band: str, release: Release) -> npt.NDArray[Any]:
    """The pixels of a band as they were published."""
    for group in get_config(CONFIG, [release]).groups:
        names = [one.name for one in group.bands]
        if band in names:
            return made.groups[group.name][names.index(band)]
    raise AssertionError(band)


def reference(pixels: npt.NDArray[Any], resampling: str) -> npt.NDArray[Any]:
    """Resamples a band slowly and obviously."""
    from PIL import Image

    method = Image.Resampling[resampling.upper()]
    image = Image.fromarray(pixels.astype(np.float32))
    return np.asarray(image.resize((120, 120), method))


def subsets() -> Iterator[tuple[str, ...]]:
    """Every choice of the bands, in every order."""
    for count in range(1, len(BANDS) + 1):
        yield from itertools.permutations(BANDS, count)


def test_readers_give_every_choice_of_bands_in_the_order_asked(
    pair: Callable[..., Any], release: Release
) -> None:
    """Images of all choices of bands, in all orders, are those of a slow reference."""
    reader = pair(bigearthnet.open_reader, "train")
    patches = made_of(reader.gather(range(NUM_TRAIN), "patch_id")["patch_id"])
    expected = {
        band: np.stack(
            [reference(stored(p, band, release), "bicubic") for p in patches]
        )
        for band in BANDS
    }

    for asked in subsets():
        images = reader.images(range(NUM_TRAIN), asked)
        assert np.float32 == images.dtype
        for channel, band in enumerate(asked):
            found = images[..., channel]
            np.testing.assert_allclose(expected[band], found, rtol=0, atol=TOLERANCE)
            if band.startswith("V"):
                np.testing.assert_array_equal(expected[band], found)


@pytest.mark.parametrize("image_size", [120, None])
def test_load_gives_both_sensors_exactly(
    image_size: int | None, pair: Callable[..., Any], release: Release
) -> None:
    """`load` gives bands of both sensors by name, float32 decibels bit for bit."""
    ids = pair(bigearthnet.open_reader, "train").gather(range(NUM_TRAIN), "patch_id")
    patches = made_of(ids["patch_id"])
    choices = [BANDS[:count] for count in range(1, 6)]
    choices += [BANDS[::-1], ("VH", "B12", "VV"), ("VH",), ("B03", "VV")]
    for asked in choices:
        loaded = pair(bigearthnet.load, "train", bands=asked, image_size=image_size)
        ((images, labels),) = loaded.as_numpy_iterator()
        assert [list(made.labels) for made in patches] == [
            np.flatnonzero(vector).tolist() for vector in labels
        ]
        for channel, band in enumerate(asked):
            found = images[..., channel] if image_size else images[band]
            pixels = [stored(made, band, release) for made in patches]
            if image_size is None or pixels[0].shape == (120, 120):
                assert np.stack(pixels).astype(found.dtype).tobytes() == found.tobytes()
            else:
                expected = [reference(image, "bicubic") for image in pixels]
                np.testing.assert_allclose(expected, found, rtol=0, atol=TOLERANCE)


def test_radar_has_no_colours(stores: Path, release: Release) -> None:
    """`rgb` of Sentinel-1 alone is refused, and is not among what is expected."""
    message = "unknown band: expected all, or a list of VV, VH, got 'rgb'"

    with pytest.raises(OptionError, match=message):
        bigearthnet.load("train", stores, config="v2-s1", bands="rgb", release=release)


def test_a_map_is_not_offered_as_a_band(stores: Path, release: Release) -> None:
    """An unknown band is told which there are; `reference_map` is none of them."""
    with pytest.raises(OptionError, match=r"list of B\w\w(, B\w\w){11}, got 'B10'"):
        bigearthnet.load("train", stores, config="v2-s2", bands="B10", release=release)


def test_groups_of_both_sensors_come_as_stored(pair: Callable[..., Any]) -> None:
    """Without an image size, all bands are the stored groups of both."""
    loaded = pair(bigearthnet.load, "test", image_size=None)
    ((groups, _),) = loaded.as_numpy_iterator()
    ids = pair(bigearthnet.open_reader, "test").gather(range(2), "patch_id")
    for name in ("bands_10m", "bands_20m", "bands_60m", "bands_s1"):
        for made, pixels in zip(
            made_of(ids["patch_id"]), groups.pop(name), strict=True
        ):
            assert made.groups[name].tobytes() == pixels.tobytes()

    assert not groups


@pytest.fixture(scope="module")
def cut(
    downloads: Path, release: Release, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Both sensors in all formats, a patch in each shard, and one shard empty."""
    data_dir = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "MAX_PATCHES_PER_SHARD", 1)
        for name in ("v2-s2", "v2-s1"):
            config = get_config(name, [release])
            build(downloads, data_dir, config, QUIET, formats=FORMS)
    return data_dir


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", [None, 3])
def test_pairs_stay_pairs_in_every_order(
    seed: int | None, form: str, cut: Path, release: Release
) -> None:
    """Shuffled, with or without a seed, radar and bands are of the same patch."""
    reader = bigearthnet.open_reader(
        "all", cut, config=CONFIG, store=form, release=release
    )
    assert isinstance(reader, PairedReader)
    orders = set()
    for epoch in range(4):
        columns = ["patch_id", "bands_s1", "bands_60m"]
        options = {"shuffle": True, "seed": seed, "epoch": epoch}
        batches = list(reader.batches(2, columns, **options))
        ids = [patch_id for batch in batches for patch_id in batch["patch_id"]]
        orders.add(tuple(ids))
        for batch in batches:
            for row, made in enumerate(made_of(batch["patch_id"])):
                for name in columns[1:]:
                    np.testing.assert_array_equal(made.groups[name], batch[name][row])
        assert sorted(make_patches()) == sorted(ids)
        if seed is not None:
            rest = reader.batches(2, columns, **options, skip=3)
            assert ids[3:] == [i for batch in rest for i in batch["patch_id"]]

    assert 1 < len(orders)


def test_only_what_is_asked_for_is_read(stores: Path, release: Release) -> None:
    """Radar and labels need no file of Sentinel-2, and the other way round."""
    reader = bigearthnet.open_reader(
        "train", stores, config=CONFIG, store="arrow", release=release
    )
    assert isinstance(reader, PairedReader)
    s2, s1 = reader._readers

    assert {s1: ["VH", "labels_19", "patch_id"]} == reader._share(
        ["VH", "labels_19", "patch_id"]
    )
    assert {s2: ["labels_19", "B04"]} == reader._share(["labels_19", "B04"])
    assert {s2: ["labels_19"]} == reader._share(["labels_19"])
    assert {s2: ["country", "B04"], s1: ["VV"]} == reader._share(
        ["VV", "country", "B04"]
    )


def test_a_paired_reader_is_a_reader(pair: Callable[..., Any]) -> None:
    """Numbers, slices, patches, text and pickling are those of any reader."""
    reader = pair(bigearthnet.open_reader, "train")
    again = pickle.loads(pickle.dumps(reader))
    first, *_, last = reader

    assert f"of {CONFIG}: {NUM_TRAIN} patches of " in repr(again)
    assert last["patch_id"] == again[-1]["patch_id"] != first["patch_id"]
    assert {"bands_s1", "bands_10m", "reference_map", "multi_hot_19"} <= set(again[0])
    for name, value in again[-1].items():
        np.testing.assert_array_equal(last[name], value)
    with pytest.raises(OptionError, match=r"no column 'VX'.*VV, VH"):
        reader.gather([0], "VX")
    with pytest.raises(IndexError):
        reader.gather([NUM_TRAIN], "VV")


def test_conditions_choose_from_both(pair: Callable[..., Any]) -> None:
    """`where` and parts of splits are of the pair."""
    whole = pair(bigearthnet.open_reader, "train+test")
    wanted = whole[1]["patch_id"]
    one = pair(bigearthnet.open_reader, "train+test", where={"patch_id": wanted})
    (batch,) = one.batches(5, ["patch_id", "VV", "B02"])

    assert [wanted] == batch["patch_id"].tolist()
    np.testing.assert_array_equal(whole[1]["bands_s1"][0], batch["VV"][0])
    np.testing.assert_array_equal(whole[1]["bands_10m"][0], batch["B02"][0])


def test_to_tf_takes_a_pair(pair: Callable[..., Any]) -> None:
    """Columns of both sensors are tensors of their stored types."""
    reader = pair(bigearthnet.open_reader, "test")
    (batch,) = bigearthnet.to_tf(reader, 4, ["VH", "B11", "multi_hot_19"])

    assert {"VH": "float32", "B11": "uint16", "multi_hot_19": "uint8"} == {
        name: values.dtype.name for name, values in batch.items()
    }
    np.testing.assert_array_equal(reader.gather([0, 1], "VH")["VH"], batch["VH"])


def test_joined_data_sets_are_read(stores: Path, release: Release) -> None:
    """What `datasets` joins by columns is read as a configuration of both."""
    import datasets

    parts = [
        datasets.load_from_disk(
            str(open_store(stores, get_config(name, [release]), "arrow").folder)
        )["train"]
        for name in ("v2-s2", "v2-s1")
    ]
    joined = datasets.concatenate_datasets(
        [parts[0], parts[1].select_columns("bands_s1")], axis=1
    )
    reader = ArrowReader.from_dataset(joined, CONFIG, release)
    (batch,) = reader.batches(NUM_TRAIN, ["patch_id", "VH", "B04"])
    for row, made in enumerate(made_of(batch["patch_id"])):
        np.testing.assert_array_equal(made.groups["bands_s1"][1], batch["VH"][row])
        np.testing.assert_array_equal(made.groups["bands_10m"][2], batch["B04"][row])


def copy_parts(stores: Path, release: Release, target: Path, form: str) -> None:
    """Copies the stores of both sensors in one format."""
    for name in ("v2-s2", "v2-s1"):
        folder = open_store(stores, get_config(name, [release]), form).folder
        shutil.copytree(folder, target / folder.relative_to(stores))


@pytest.mark.parametrize("has_checksums", [False, True])
def test_stores_of_other_patches_are_no_pair(
    has_checksums: bool, stores: Path, release: Release, tmp_path: Path
) -> None:
    """A patch that one store lacks is named, with or without checksums of ids."""
    dropped = next(i for i, made in make_patches().items() if made.split == "train")
    configs = [get_config(name, [release]) for name in ("v2-s2", "v2-s1")]
    convert(stores, configs[1], ["arrow"], QUIET, output=tmp_path, drop=[dropped])
    s2 = open_store(stores, configs[0], "arrow").folder
    shutil.copytree(s2, tmp_path / s2.relative_to(stores))
    for number, config in enumerate(configs):
        path = open_store(tmp_path, config, "arrow").folder / "manifest.json"
        manifest = json.loads(path.read_text())
        for split in manifest["splits"].values():
            split.pop("ids_sha256", None)
            if has_checksums:
                split["ids_sha256"] = str(number)
        path.write_text(json.dumps(manifest))
    options: dict[str, Any] = {"config": CONFIG, "release": release}

    for function in (bigearthnet.open_reader, bigearthnet.load):
        with pytest.raises(StoreError, match=f"are no pair: in split train.*{dropped}"):
            function("train", tmp_path, **options)
    if not has_checksums:
        assert 2 == len(bigearthnet.open_reader("test", tmp_path, **options))


def test_checksums_of_ids_are_believed(
    stores: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where manifests have the same checksum of ids, no table of patches is read."""
    opened = open_parts(stores, get_config(CONFIG, [release]), "parquet")
    for store in opened:
        store.manifest["splits"]["train"]["ids_sha256"] = "same"
    monkeypatch.setattr("bigearthnet.store.pairs.read_patches", None)

    check_pairs(opened, ["train"])
    opened[1].manifest["splits"]["train"]["ids_sha256"] = "other"
    with pytest.raises(TypeError):
        check_pairs(opened, ["train"])


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (None, "there is v2-s2 in arrow.*--config=v2-s1 --formats=arrow"),
        ("parquet", "in parquet: there is none of them.*--config=v2-s1s2 --formats=pa"),
    ],
)
def test_a_missing_part_is_named(
    form: str | None, message: str, stores: Path, release: Release, tmp_path: Path
) -> None:
    """The error says which store is there, and the command that builds the other."""
    copy_parts(stores, release, tmp_path, "arrow")
    folder = open_store(tmp_path, get_config("v2-s1", [release]), "arrow").folder
    shutil.rmtree(folder)
    with pytest.raises(StoreError, match=message):
        bigearthnet.load("train", tmp_path, config=CONFIG, store=form, release=release)


def test_without_any_store_the_nearby_are_named(tmp_path: Path, stores: Path) -> None:
    """A wrong data directory is told as for any configuration."""
    with pytest.raises(StoreError, match=r"no store of config v2-s1s2 in .*Build it"):
        bigearthnet.load("train", tmp_path, config=CONFIG)


def test_a_reader_of_one_store_refuses_a_pair(stores: Path, release: Release) -> None:
    """The error names the function that reads both."""
    with pytest.raises(OptionError, match=r'open_reader\(.*store="arrow"'):
        ArrowReader.open("train", stores, CONFIG, release)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_the_folder_of_a_pair_is_as_good_as_its_data_directory(
    form: str, stores: Path, release: Release, tmp_path: Path
) -> None:
    """Moved and renamed, it is read as the pair and as either part, and verified."""
    folder = open_store(stores, get_config("v2-s2", [release]), form).folder.parent
    moved = shutil.copytree(folder, tmp_path / "moved")
    for config, bands in (
        (CONFIG, ["VH", "B04"]),
        ("v2-s1", ["VV"]),
        ("v2-s2", ["B04"]),
    ):
        reader = bigearthnet.open_reader("test", moved, config=config, release=release)
        assert (2, 120, 120, len(bands)) == reader.images([0, 1], bands).shape
    names = {store.config.name for store in find_stores(moved, [release])}
    assert {"v2-s1", "v2-s2"} == names
    assert not any(one.num_differences for one in verify(moved, quiet=True))


def test_who_names_no_configuration_is_told_what_there_is(
    stores: Path, release: Release
) -> None:
    """The default is v1.0's: of data directory, store, view and band, errors say it."""
    folder = open_store(stores, get_config("v2-s1", [release]), "parquet").folder
    with pytest.raises(StoreError, match=r'It has v2-s2, .*pass config="v2-s2"'):
        bigearthnet.open_reader("train", stores)
    with pytest.raises(StoreError, match=r'config v2-s1 .*pass config="v2-s1"'):
        bigearthnet.open_reader("train", folder)
    for view, config in (("v2-s2-19", "v2-s2"), ("v2-s1", "v2-s1")):
        with pytest.raises(OptionError, match=rf"{view}.*pass config='{config}'"):
            bigearthnet.load_dataset(view, data_dir=stores)
    with pytest.raises(OptionError, match=r"got 'VV'\. Of the configs.*v2-s1s2 has it"):
        bigearthnet.open_reader("train", stores, config="v2-s2").images(
            [0], ["VV", "B04"]
        )
