"""Configurations of v2.0 build of all forms of its archives, and load as they are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import bigearthnet
from bigearthnet.bigearthnet_dataset_builder import Builder
from bigearthnet.engine import stage_one
from bigearthnet.engine.engines import LocalEngine
from bigearthnet.engine.job import JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import ArchiveError, ChecksumError, OptionError, PatchError
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES, V2, Release
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.store import read_store
from bigearthnet.store.search import open_store
from builder.build import build
from builder.jobs import find_targets
from builder.repack import repack
from builder.source_checks import decode_with_rasterio
from builder.sources import find_given
from builder.verify import verify
from tests.archives import write_folder
from tests.v2.conftest import QUIET
from tests.v2.made import Made, make_patches, write_tiff

TABLES = ("tfrecord", "parquet", "arrow")
S1_ONLY = {"bands_s1"}


def config_of(name: str, release: Release = V2) -> Config:
    """A configuration of the release."""
    return get_config(name, [release])


def check(split: str, rows: Iterator[Mapping[str, Any]], config: str) -> None:
    """Compares the patches of a split with what was published, bit for bit."""
    groups = {group.name for group in config_of(config).groups}
    count = 0
    for row in rows:
        patch_id = row["patch_id"]
        patch_id = patch_id.decode() if isinstance(patch_id, bytes) else patch_id
        made = make_patches()[patch_id]
        assert split == made.split
        assert list(made.labels) == [int(label) for label in row["labels_19"]]
        assert list(made.labels) == np.flatnonzero(row["multi_hot_19"]).tolist()
        assert groups == {
            n for n in row if n.startswith("bands_") or n == "reference_map"
        }
        for name in groups:
            expected = made.groups[name]
            assert expected.tobytes() == np.asarray(row[name], expected.dtype).tobytes()
        assert "labels" not in row
        count += 1
    assert [m.split for m in make_patches().values()].count(split) == count > 0


def hash_store(data_dir: Path, config: Config, form: str) -> list[tuple[str, str]]:
    """Name and checksum of each shard of a store."""
    store = open_store(data_dir, config, form)
    return [(file["name"], file["sha256"]) for file in store.manifest["files"]]


def test_names_and_versions_are_those_of_the_release(stores: Path) -> None:
    """Each store has a folder of its own, and version 1.0.0."""
    found = {str(p.parent.relative_to(stores)) for p in stores.rglob("manifest.json")}
    tfrecord = {f"bigearthnet/{choice.name}/1.0.0" for choice in V2.choices}

    assert found == tfrecord | {
        *("huggingface-v2/s2", "huggingface-v2/s1", "arrow-v2/s2", "arrow-v2/s1")
    }
    assert ["v2-s2", "v2-s1", "v2-s1s2", "v2-s2-rgb"] == [c.name for c in V2.choices]


@pytest.mark.parametrize("config", ["v2-s2", "v2-s1", "v2-s1s2"])
@pytest.mark.parametrize("split", ["train", "validation", "test", "excluded_train"])
def test_readers_give_what_was_published(
    config: str, split: str, stores: Path, release: Release
) -> None:
    """Every pixel of every sensor and of the map, by TFRecord and Arrow readers."""
    readers = [TFRecordReader] + ([ArrowReader] if config != "v2-s1s2" else [])
    for reader in readers:
        opened = reader.open(split, stores, config, release)  # type: ignore[attr-defined]
        (batch,) = opened.batches(len(opened))
        rows = [{n: v[row] for n, v in batch.items()} for row in range(len(opened))]
        check(split, iter(rows), config)


@pytest.mark.parametrize("config", ["v2-s2", "v2-s1"])
def test_datasets_loads_tables(
    config: str, stores: Path, release: Release, tmp_path: Path
) -> None:
    """`load_dataset` and `load_from_disk` give every split through stock types."""
    import datasets

    parquet = open_store(stores, config_of(config, release), "parquet").folder
    loaded = datasets.load_dataset(str(parquet), cache_dir=str(tmp_path))
    view = {"v2-s2": "v2-s2-19"}.get(config, config)
    assert view == datasets.get_dataset_config_names(str(parquet))[0]
    mapped = datasets.load_from_disk(
        str(open_store(stores, config_of(config, release), "arrow").folder)
    )
    for split, dataset in (*loaded.items(), *mapped.items()):
        check(split, iter(dataset), config)


@pytest.mark.parametrize("config", ["v2-s2", "v2-s1", "v2-s1s2"])
def test_stock_tfds_reads_prepared_data(
    config: str, stores: Path, release: Release
) -> None:
    """A process that knows nothing of the release reads all of it."""
    import tensorflow_datasets as tfds

    folder = open_store(stores, config_of(config, release), "tfrecord").folder
    builder = tfds.builder_from_directory(folder)

    assert "1.0.0" == str(builder.version)
    assert "BigEarthNet v2.0" in builder.info.description
    assert "2407.03653" in builder.info.citation
    for split in builder.info.splits:
        check(split, tfds.as_numpy(builder.as_dataset(split=split)), config)


@pytest.mark.parametrize(
    ("config", "bands"),
    [
        ("v2-s2", ["B12", "B04", "reference_map"]),
        ("v2-s1", ["VH", "VV"]),
        ("v2-s1s2", ["VH", "B04", "VV", "B02"]),
    ],
)
def test_load_gives_bands_by_name(
    config: str, bands: list[str], stores: Path, release: Release
) -> None:
    """Bands of both sensors come in the order asked, and 19 labels."""
    options: dict[str, Any] = {"config": config, "release": release, "image_size": None}
    dataset = bigearthnet.load("test", stores, bands=bands, labels="ben19", **options)
    ((images, labels),) = dataset.as_numpy_iterator()
    assert bands == list(images)
    found = {}
    for made in make_patches().values():
        if made.split == "test":
            pixels = {
                band.name: made.groups[group.name][number]
                for group in config_of(config).groups
                for number, band in enumerate(group.bands)
            }
            found[made.labels] = pixels
    for row, vector in enumerate(labels):
        expected = found[tuple(np.flatnonzero(vector).tolist())]
        for band in bands:
            np.testing.assert_array_equal(expected[band], images[band][row])


def test_all_bands_are_those_of_the_sensors(stores: Path, release: Release) -> None:
    """`bands="all"` of both sensors is twelve and two, without the map."""
    for config, channels in (("v2-s2", 12), ("v2-s1", 2), ("v2-s1s2", 14)):
        dataset = bigearthnet.load("test", stores, config=config, release=release)
        ((images, labels),) = dataset.as_numpy_iterator()
        assert ((2, 120, 120, channels), (2, 19)) == (images.shape, labels.shape)
    dataset = bigearthnet.load("test", stores, config="v2-s2-rgb", release=release)
    ((images, _),) = dataset.as_numpy_iterator()
    assert ((2, 120, 120, 3), np.uint8) == (images.shape, images.dtype)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_kind_of_source_does_not_matter(
    workers: int, stores: Path, release: Release, extracted: Path, tmp_path: Path
) -> None:
    """Extracted folders and their parent give the same bytes as the archives."""
    options = dataclasses.replace(QUIET, workers=workers)
    both, s2 = config_of("v2-s1s2", release), config_of("v2-s2", release)
    build(extracted, tmp_path, both, options)
    named = {a.name: extracted / a.folder for a in s2.archives}
    build(named, tmp_path, s2, options, formats=TABLES)

    assert hash_store(stores, both, "tfrecord") == hash_store(
        tmp_path, both, "tfrecord"
    )
    for form in TABLES:
        assert hash_store(stores, s2, form) == hash_store(tmp_path, s2, form)


def test_stores_of_both_sensors_are_aligned(stores: Path, release: Release) -> None:
    """Shard k, row i is the same patch in v2-s2 and v2-s1."""
    for split in ("train", "test"):
        ids = [
            ArrowReader.open(split, stores, config, release).gather(
                [0, 1], ["patch_id"]
            )
            for config in ("v2-s2", "v2-s1")
        ]
        assert ids[0]["patch_id"].tolist() == ids[1]["patch_id"].tolist()


def test_sentinel_2_needs_nothing_of_sentinel_1(
    downloads: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """v2-s2 is built in a directory without any S1 file, and stores no band of it."""
    folder = tmp_path / "archives"
    folder.mkdir()
    for archive in config_of("v2-s2", release).archives:
        shutil.copy(downloads / archive.filenames[0], folder)
    build(folder, tmp_path / "data", config_of("v2-s2", release), QUIET, formats=TABLES)
    store = open_store(tmp_path / "data", config_of("v2-s2", release), "parquet")
    names = pq.ParquetFile(store.shards("train")[0]).schema_arrow.names

    assert {"bands_10m", "reference_map"} <= set(names)
    assert "bands_s1" not in names
    assert ["s2", "maps"] == [a.name for a in config_of("v2-s2").archives]


def test_both_checksums_come_of_one_pass(
    stores: Path, downloads: Path, release: Release, tmp_path: Path
) -> None:
    """The published MD5 is compared, and our sha256 stands in the provenance."""
    config = config_of("v2-s2", release)
    folder = open_store(stores, config, "tfrecord").folder
    provenance = json.loads((folder / "provenance.json").read_text())
    (other,) = provenance["other_sources"]
    names = ("BigEarthNet-S2.tar.zst", "Reference_Maps.tar.zst")
    s2, maps = (
        hashlib.sha256((downloads / name).read_bytes()).hexdigest() for name in names
    )

    assert (s2, maps) == (provenance["source_sha256"], other["sha256"])
    with pytest.raises(ChecksumError, match="expected md5 2245ed2d1a93f6ce"):
        build(
            {"s2": downloads / names[0], "maps": downloads / names[1]},
            tmp_path,
            config_of("v2-s2"),
            QUIET,
        )


def test_a_build_verifies_against_its_sources(
    stores: Path, downloads: Path, release: Release, tmp_path: Path
) -> None:
    """Stores agree with each other and, read by rasterio, with the archives."""
    sources = {a.name: downloads / a.filenames[0] for a in release.archives}
    results = verify(
        stores,
        sources=sources,
        decode=decode_with_rasterio,
        releases=[release],
        quiet=True,
    )

    assert [] == [line for result in results for line in result.shown]


@pytest.fixture
def changed(extracted: Path, tmp_path: Path) -> Path:
    """A copy of the extracted archives, to be damaged."""
    return shutil.copytree(extracted, tmp_path / "changed")


def find_patch(folder: Path, archive: str, number: int) -> tuple[Path, Made]:
    """Folder of a patch in a copy, and what it is made of."""
    patch_id, made = list(make_patches().items())[number]
    path = next((folder / V2.archive(archive).folder).rglob(f"*_{patch_id[-5:]}"), None)
    if archive == "s1":
        column, row = map(int, patch_id.split("_")[-2:])
        found = (folder / "BigEarthNet-S1").rglob(f"*_{column}_{row}")
        path = next(found)
    assert path is not None
    return path, made


def damage_map(folder: Path) -> str:
    """Gives a patch the map of another one's labels."""
    path, made = find_patch(folder, "maps", 0)
    (file,) = path.iterdir()
    image = np.full((120, 120), 42, np.uint8)
    (group,) = V2.archive("maps").groups
    file.write_bytes(write_tiff(image, group, made.place))
    return f"{file.name}: the map makes other labels than the table"


def move_radar(folder: Path) -> str:
    """Gives a patch the radar of another one, under its own names."""
    path, _ = find_patch(folder, "s1", 0)
    other, _ = find_patch(folder, "s1", 1)
    for file in path.iterdir():
        band = file.name[-7:]
        file.write_bytes(next(other.glob(f"*{band}")).read_bytes())
    return "lies elsewhere than another source says of the patch"


def remove_radar(folder: Path) -> str:
    """Takes one file of a patch away."""
    path, _ = find_patch(folder, "s1", 0)
    next(path.glob("*_VH.tif")).unlink()
    return "_VH.tif: missing file"


def lose_radar(folder: Path) -> str:
    """Takes a whole patch away."""
    path, _ = find_patch(folder, "s1", 0)
    shutil.rmtree(path)
    return "missing in .*BigEarthNet-S1"


def cut_radar(folder: Path) -> str:
    """Cuts a file short."""
    path, _ = find_patch(folder, "s1", 0)
    file = next(path.glob("*_VV.tif"))
    file.write_bytes(file.read_bytes()[:-1])
    return "_VV.tif: "


def rewrite_radar(folder: Path, dtype: str, shift_m: int) -> None:
    """Writes a file of a patch in another type, or at another place."""
    path, made = find_patch(folder, "s1", 0)
    (group,) = V2.archive("s1").groups
    epsg, west, north = made.place
    image = made.groups["bands_s1"][0].astype(dtype)
    tiff = write_tiff(image, group, (epsg, west + shift_m, north))
    next(path.glob("*_VV.tif")).write_bytes(tiff)


def truncate_radar(folder: Path) -> str:
    """Writes a file as integers."""
    rewrite_radar(folder, "<i2", 0)
    return "_VV.tif: .*expected one float32 band"


def shift_radar(folder: Path) -> str:
    """Moves a file by one pixel."""
    rewrite_radar(folder, "<f4", 10)
    return "_V[VH].tif: the band lies elsewhere"


@pytest.mark.parametrize(
    "damage",
    [
        *(damage_map, move_radar, remove_radar, lose_radar, cut_radar),
        *(truncate_radar, shift_radar),
    ],
)
def test_what_does_not_belong_together_is_in_no_store(
    damage: Any, changed: Path, release: Release, tmp_path: Path
) -> None:
    """A patch that is bad in one archive is named, and can be set aside."""
    message = damage(changed)
    config = config_of("v2-s1s2", release)
    with pytest.raises(PatchError, match=message):
        build(changed, tmp_path / "data", config, QUIET)
    options = dataclasses.replace(QUIET, max_bad=1)
    result = build(changed, tmp_path / "data", config, options, restart=True)
    store = open_store(tmp_path / "data", config)

    assert 1 == len(result.quarantine)
    assert len(make_patches()) - 1 == sum(map(store.num_patches, store.splits))


def test_places_are_known_after_an_interruption(
    changed: Path, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed build compares with the places that the first lane had."""
    message, decode = move_radar(changed), stage_one.decode_patch
    config = config_of("v2-s1s2", release)

    def end(raw: Any, archive: Any, nomenclature: Any) -> Any:
        if archive.name == "s1":
            raise KeyboardInterrupt
        return decode(raw, archive, nomenclature)

    with monkeypatch.context() as patch:
        patch.setattr(stage_one, "decode_patch", end)
        with pytest.raises(KeyboardInterrupt):
            build(changed, tmp_path / "data", config, QUIET)
    with pytest.raises(PatchError, match=message):
        build(changed, tmp_path / "data", config, QUIET)


def test_real_radar_builds(s1_patches: Any, tmp_path: Path) -> None:
    """The six real Sentinel-1 patches are v2-s1's, bit for bit, in four splits."""
    files = {
        f"{name.rsplit('_', 3)[0]}/{name}": {
            file: content
            for file, content in contents.items()
            if "VV" in file or "VH" in file
        }
        for name, contents in s1_patches.items()
    }
    write_folder(tmp_path / "BigEarthNet-S1", files)
    build(tmp_path, tmp_path / "data", config_of("v2-s1"), QUIET, formats=TABLES)
    found = {}
    for split in ("train", "validation", "test", "excluded_test"):
        reader = ArrowReader.open(split, tmp_path / "data", "v2-s1")
        (batch,) = reader.batches(len(reader))
        for name, pixels in zip(batch["s1_name"], batch["bands_s1"], strict=True):
            found[name] = [image.tobytes() for image in pixels]
    expected = {
        name: [contents[f"{name}_{band}.tif"][-57_600:] for band in ("VV", "VH")]
        for name, contents in s1_patches.items()
    }

    assert set(expected) == set(found)
    for name, images in found.items():
        for image, tiff in zip(images, expected[name], strict=True):
            assert image == tiff


def test_tfds_builds_from_what_lies_in_the_manual_folder(
    downloads: Path, release: Release, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`download_and_prepare` takes the archives of a configuration, silently."""
    import tensorflow_datasets as tfds

    class OfTest(Builder):
        RELEASES = (release,)

    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for path in downloads.iterdir():
        os.link(path, manual / path.name)
    builder = OfTest(data_dir=tmp_path, config="v2-s2")
    builder.download_and_prepare()

    assert "does not read" not in capfd.readouterr().err
    assert {"train", "validation", "test"} == set(builder.info.splits)
    for split in builder.info.splits:
        check(split, tfds.as_numpy(builder.as_dataset(split=split)), "v2-s2")
    store = read_store(Path(builder.data_path), [release])
    assert "1.0.0" == store.manifest["version"]


def test_tfds_prepares_the_patches_of_a_store_beside(
    release: Release, downloads: Path, tmp_path: Path
) -> None:
    """What `tfds.load` makes of one sensor has the rows of the other's tables."""

    class OfTest(Builder):
        RELEASES = (release,)

    options = dataclasses.replace(QUIET, limit=3)
    build(downloads, tmp_path, config_of("v2-s2", release), options, formats=["arrow"])
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/manual").symlink_to(downloads)
    builder = OfTest(data_dir=tmp_path, config="v2-s1")
    builder.download_and_prepare()

    beside = open_store(tmp_path, config_of("v2-s2", release))
    store = read_store(Path(builder.data_path), [release])
    assert beside.manifest["patches"] == store.manifest["patches"]


def test_stores_of_both_releases_live_side_by_side() -> None:
    """The public builder has all configurations, each of its version."""
    import tensorflow_datasets as tfds

    versions = {
        name: str(tfds.builder(f"bigearthnet/{name}", data_dir="/nowhere").version)
        for name in ("s2", "s2-random", "s2-rgb", *(c.name for c in V2.choices))
    }

    assert {"s2": "2.0.0", "s2-random": "2.0.0", "s2-rgb": "2.0.0"}.items() < (
        versions.items()
    )
    assert {"1.0.0"} == {versions[choice.name] for choice in V2.choices}


def test_an_archive_that_is_not_in_the_folder_is_named(
    downloads: Path, tmp_path: Path
) -> None:
    """Without Sentinel-1 beside the others, its file and its flag are named."""
    from builder.sources import find_sources

    for name in ("BigEarthNet-S2.tar.zst", "Reference_Maps.tar.zst"):
        (tmp_path / f"my-{name}").symlink_to(downloads / name)
    with pytest.raises(
        OptionError, match=r"holds no s1\. Expected BigEarthNet-S1\.tar"
    ):
        find_sources(config_of("v2-s1s2"), tmp_path, {})


@pytest.mark.parametrize(
    ("source", "named", "message"),
    [
        (
            None,
            {"s2": "a"},
            r"built from s2, maps: expected --source=.*; or --maps=\.\.\.\.",
        ),
        (None, {"s2": "a", "maps": "b", "s1": "c"}, "got --s1. Leave it out"),
        ("a", {"s2": "a", "maps": "b"}, "leave out --source=a, all are named"),
        (
            "missing.tar",
            {},
            r"expected the folder that holds them, or --s2=\.\.\., --m",
        ),
    ],
)
def test_sources_that_do_not_fit_are_named(
    source: str | None, named: dict[str, str], message: str
) -> None:
    """Each error says what is missing, or one too many."""
    from builder.sources import find_sources

    paths = {name: Path(path) for name, path in named.items()}
    with pytest.raises(OptionError, match=message):
        find_sources(
            config_of("v2-s2"), None if source is None else Path(source), paths
        )


@pytest.mark.parametrize(
    ("one", "other", "problem"),
    [
        ("s1", "maps", "is not the archive s1: it begins with .*_reference_map.tif"),
        ("s2", "s1", r"is not the archive s2: it begins with .*_VH.tif.*Sentinel-1"),
    ],
)
def test_exchanged_sources_are_noticed_before_any_is_read(
    one: str,
    other: str,
    problem: str,
    downloads: Path,
    release: Release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their first files tell, though the wrong one would be read last."""
    files = {a.name: downloads / a.filenames[0] for a in release.archives}
    files[one], files[other] = files[other], files[one]
    monkeypatch.setattr(stage_one, "decode_patch", None)  # nothing may be decoded

    with pytest.raises(ArchiveError, match=problem):
        build(files, tmp_path / "data", config_of("v2-s1s2", release), QUIET)
    assert not (tmp_path / "data").exists()


def test_another_release_is_called_by_its_name(
    sample_folder: Path, extracted: Path, tmp_path: Path
) -> None:
    """Whoever mixes releases up is told which configuration reads what."""
    sources = {"s2": sample_folder, "maps": extracted / "Reference_Maps"}
    with pytest.raises(ArchiveError, match=r"v1\.0, which the config s2 is built from"):
        build(sources, tmp_path, config_of("v2-s2"), QUIET)
    with pytest.raises(
        ArchiveError, match=r"v2\.0, which the config v2-s2 is built from"
    ):
        build(extracted / "BigEarthNet-S2", tmp_path, get_config("s2", RELEASES), QUIET)


def test_only_what_was_asked_for_is_stored(
    release: Release, downloads: Path, tmp_path: Path
) -> None:
    """Patches with snow are to be asked for; tables of pictures there are none."""
    config = config_of("v2-s1s2", release)
    build(downloads, tmp_path, config, BuildOptions(quiet=True, workers=1))

    assert ["train", "validation", "test"] == list(open_store(tmp_path, config).splits)
    with pytest.raises(OptionError, match="of the config v2-s2 are its column preview"):
        find_targets(tmp_path, config_of("v2-s2-rgb"), ["parquet"])


@pytest.mark.parametrize(("config", "other"), [("v2-s2", "s1"), ("v2-s1", "s2")])
def test_cards_tell_the_release_and_the_sensor(
    config: str, other: str, stores: Path, release: Release
) -> None:
    """Description, paper and examples are those of what the store holds."""
    folder = open_store(stores, config_of(config, release), "parquet").folder
    card = (folder / "README.md").read_text(encoding="utf-8")
    croissant = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    uses = card.partition("## Load it")[2].partition("## Traps of the data")[0]

    assert "BigEarthNet v2.0 (reBEN): 549,488" in card
    assert "2407.03653" in card
    assert "BigEarthNet v1.0: 590,326" not in card
    assert f"  - sentinel-{config[-1]}\n" in card.replace("- sentinel", "  - sentinel")
    assert f"sentinel-{other[-1]}" not in card
    assert ("/ 10_000" in uses) == (config == "v2-s2")
    assert ('dtype="float32"' in uses) == (config == "v2-s1")
    assert f"Sentinel-{config[-1]}" in croissant["keywords"]
    assert "Kai Norman Clasen" in [person["name"] for person in croissant["creator"]]


def test_parts_of_three_archives_make_the_same_bytes(
    stores: Path, release: Release, extracted: Path, tmp_path: Path
) -> None:
    """An engine that reads three folders in parts gives the bytes of the archives."""
    both = config_of("v2-s1s2", release)
    build(extracted, tmp_path, both, QUIET, engine=LocalEngine())
    assert hash_store(stores, both, "tfrecord") == hash_store(
        tmp_path, both, "tfrecord"
    )
    assert not list(tmp_path.glob("incomplete.*"))


def test_repacked_archives_make_the_same_bytes(
    stores: Path, release: Release, downloads: Path, tmp_path: Path
) -> None:
    """The folder that `builder.repack` made is built from, and verified with."""
    both, patches = config_of("v2-s1s2", release), load_index(V2, "official")
    data_dir, parts = tmp_path / "data", tmp_path / "parts"
    for archive in release.archives:
        source = JobSource(archive, downloads / archive.filenames[0], archive.digest)
        assert len(repack(source, parts / archive.name, patches, 4, quiet=True)) == 3
    build(parts, data_dir, both, QUIET, engine=LocalEngine())
    assert hash_store(data_dir, both, "tfrecord") == hash_store(
        stores, both, "tfrecord"
    )
    sources = find_given(release.archives, parts, {})
    results = verify(data_dir, sources=sources, releases=[release], quiet=True)
    assert [] == [line for result in results for line in result.shown]
    assert {30} == {r.checked for r in results if "source" in r.check}
