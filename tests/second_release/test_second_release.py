"""A second release builds, verifies and loads through every store as it is given.

It has padded ids and one folder level more, labels from its table, a nomenclature and
six splits of its own, a group of floats and a map, `.tar.zst` archives, and two of
these, with other ids in another order.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bigearthnet
from bigearthnet.bigearthnet_dataset_builder import Builder
from bigearthnet.engine import stage_one
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import (
    ChecksumError,
    OptionError,
    PatchError,
    QuarantineError,
    StoreError,
)
from bigearthnet.formats import FORMATS
from bigearthnet.reading.arrow import ArrowReader
from bigearthnet.reading.tfrecord import TFRecordReader
from bigearthnet.release import RELEASES, Release
from bigearthnet.schema.configs import Config, get_config
from bigearthnet.store import read_store
from bigearthnet.store.search import find_stores, open_store
from builder.build import build
from builder.source_checks import decode_with_rasterio
from builder.verify import verify

ALL = tuple(FORMATS)
OPTIONS = BuildOptions(include_excluded=True, quiet=True, workers=1)


def config_of(second: Any) -> Config:
    """The configuration that joins both archives."""
    return get_config("both", [second.release])


def hash_stores(data_dir: Path) -> dict[str, list[tuple[str, str]]]:
    """Store → name and checksum of each of its files, as the manifest has them."""
    return {
        str(path.parent.relative_to(data_dir)): [
            (file["name"], file["sha256"])
            for file in json.loads(path.read_text())["files"]
        ]
        for path in sorted(data_dir.rglob("manifest.json"))
    }


def check(second: Any, split: str, rows: Iterator[Mapping[str, Any]]) -> None:
    """Compares the patches of a split with what was published."""
    found = 0
    for row in rows:
        patch_id = row["patch_id"]
        expected = second.patches[
            patch_id.decode() if isinstance(patch_id, bytes) else patch_id
        ]
        assert split == expected.split
        assert expected.labels == [int(label) for label in row["labels_5"]]
        assert expected.labels == np.flatnonzero(row["vector_5"]).tolist()
        for name, pixels in expected.groups.items():
            np.testing.assert_array_equal(pixels, row[name])
        found += 1
    assert [patch.split for patch in second.patches.values()].count(split) == found


def test_stores_hold_all_patches_and_say_whose_they_are(
    second: Any, stores: Path
) -> None:
    """Every split of the release has its patches, in folders of the release's own."""
    splits = [patch.split for patch in second.patches.values()]
    for store in find_stores(stores, [second.release]):
        counts = {split: store.num_patches(split) for split in store.splits}

        assert second.release == store.config.release
        assert {split: splits.count(split) for split in dict.fromkeys(splits)} == counts
        assert "made-up" == store.manifest["release"]
        assert "1.0.0" == store.manifest["version"]
    assert {
        "arrow-made-up",
        "bigearthnet/both/1.0.0",
        "bigearthnet/picture/1.0.0",
        "huggingface-made-up",
    } == set(hash_stores(stores))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_kind_of_source_does_not_matter(
    second: Any, stores: Path, workers: int, tmp_path: Path
) -> None:
    """Extracted folders, in another order, give the same bytes as the archives."""
    options = dataclasses.replace(OPTIONS, workers=workers)
    build(second.folders, tmp_path, config_of(second), options, formats=ALL)
    expected = hash_stores(stores)
    del expected["bigearthnet/picture/1.0.0"]

    assert expected == hash_stores(tmp_path)


def test_a_build_verifies_against_both_sources(second: Any, stores: Path) -> None:
    """Stores agree with each other and, read by rasterio, with both archives."""
    results = verify(
        stores,
        sources=second.archives,
        complete=True,
        decode=decode_with_rasterio,
        releases=[second.release],
        quiet=True,
    )

    assert [] == [line for result in results for line in result.shown]
    assert any(result.checked for result in results if "Radar" in result.check)


def test_verify_notices_another_pixel_of_the_second_source(
    second: Any, stores: Path, tmp_path: Path
) -> None:
    """A source whose radar differs in one pixel does not agree."""
    folder = shutil.copytree(second.folders["radar"], tmp_path / "Radar")
    path = sorted(folder.rglob("*_VH.tif"))[0]
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    results = verify(
        stores,
        sources={**second.archives, "radar": folder},
        releases=[second.release],
        quiet=True,
    )

    (line,) = [line for result in results for line in result.shown]
    assert "bands_radar" in line


@pytest.mark.parametrize("split", ["train", "validation", "test", "excluded_train"])
def test_readers_give_what_was_published(second: Any, stores: Path, split: str) -> None:
    """Arrow and TFRecord readers of the release give every pixel and label."""
    for reader in (ArrowReader, TFRecordReader):
        opened = reader.open(split, stores, "both", second.release)
        (batch,) = opened.batches(len(opened))
        rows = [
            {name: values[row] for name, values in batch.items()}
            for row in range(len(opened))
        ]
        check(second, split, iter(rows))


@pytest.mark.parametrize("store", ALL)
def test_load_gives_bands_of_both_sources(
    second: Any, stores: Path, store: str
) -> None:
    """`load` gives named bands in the order asked, of both archives and the map."""
    bands = ["VH", "B04", "land", "VV"]
    options: dict[str, Any] = {"config": "both", "release": second.release}
    dataset = bigearthnet.load("train", stores, bands=bands, store=store, **options)
    ((images, labels),) = dataset.as_numpy_iterator()
    reader = ArrowReader.open("train", stores, "both", second.release)
    ids = reader.gather(range(len(reader)), ["patch_id"])["patch_id"]
    for patch_id, image, vector in zip(ids, images, labels, strict=True):
        groups = second.patches[patch_id].groups
        radar, optical = groups["bands_radar"], groups["bands_10m"]
        expected = np.stack([radar[1], optical[2], groups["land"][0], radar[0]], -1)

        np.testing.assert_array_equal(expected.astype(np.float32), image)
        assert second.patches[patch_id].labels == np.flatnonzero(vector).tolist()


def test_load_leaves_maps_out_of_images(second: Any, stores: Path) -> None:
    """`bands="all"` is the 12 optical and 2 radar bands; a map is asked for by name."""
    dataset = bigearthnet.load("test", stores, config="both", release=second.release)
    ((images, _),) = dataset.as_numpy_iterator()

    assert (1, 120, 120, 14) == images.shape


def test_load_decodes_pictures(second: Any, stores: Path) -> None:
    """The configuration of pictures loads as 8-bit images."""
    dataset = bigearthnet.load("test", stores, config="picture", release=second.release)
    ((images, labels),) = dataset.as_numpy_iterator()

    assert (np.uint8, (1, 120, 120, 3)) == (images.dtype, images.shape)
    assert (1, 5) == labels.shape


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_loads_the_parquet_store(
    second: Any, stores: Path, streaming: bool, tmp_path: Path
) -> None:
    """`load_dataset` finds the views of the release through the card alone."""
    import datasets

    store = open_store(stores, config_of(second), "parquet")
    loaded = datasets.load_dataset(
        str(store.folder), "both-5", streaming=streaming, cache_dir=str(tmp_path)
    )
    names = datasets.get_dataset_config_names(str(store.folder))

    assert ["both-5", "both-10m", "preview", "patches"] == names
    for split, dataset in loaded.items():
        check(second, split, iter(dataset))


def test_datasets_loads_the_arrow_store(second: Any, stores: Path) -> None:
    """`load_from_disk` maps every split."""
    import datasets

    store = open_store(stores, config_of(second), "arrow")
    for split, dataset in datasets.load_from_disk(str(store.folder)).items():
        check(second, split, iter(dataset))


def test_tfds_builds_the_release_of_a_derived_class(
    second: Any, stores: Path, tmp_path: Path
) -> None:
    """`download_and_prepare` of a derived builder takes both archives it finds."""
    import tensorflow_datasets as tfds

    class MadeUp(Builder):
        RELEASES = (second.release,)

    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    for path in second.archives.values():
        (manual / path.name).symlink_to(path)
    builder = MadeUp(data_dir=tmp_path, config="both")
    download_config = tfds.download.DownloadConfig(manual_dir=manual)
    builder.download_and_prepare(download_config=download_config)
    for split in ("train", "validation", "test"):
        check(second, split, tfds.as_numpy(builder.as_dataset(split=split)))
    plain = builder._split_generators(
        builder._make_download_manager(
            download_dir=tmp_path / "downloads", download_config=download_config
        )
    )
    for split, examples in plain.items():
        check(second, split, (example for _, example in examples))
    assert {"both", "picture"} == set(MadeUp.builder_configs)


def test_prepared_data_loads_without_the_package(second: Any, stores: Path) -> None:
    """Stock TFDS reads the store of a release that it knows nothing of."""
    import tensorflow_datasets as tfds

    folder = open_store(stores, config_of(second), "tfrecord").folder
    builder = tfds.builder_from_directory(folder)
    for split in builder.info.splits:
        check(second, split, tfds.as_numpy(builder.as_dataset(split=split)))


def test_a_store_of_an_unknown_release_is_named(second: Any, stores: Path) -> None:
    """Without the release, every reader says which one it does not know."""
    folder = open_store(stores, config_of(second), "arrow").folder
    with pytest.raises(StoreError, match=r"unknown release 'made-up': expected v1\.0"):
        read_store(folder, RELEASES)
    with pytest.raises(StoreError, match="unknown release 'made-up'"):
        find_stores(stores, RELEASES)
    with pytest.raises(StoreError, match="unknown release 'made-up'"):
        verify(stores)
    with pytest.raises(OptionError, match="unknown config: expected one of s2,"):
        bigearthnet.load("train", stores, config="both")


def test_a_store_carries_the_splits_of_its_own_release(
    second: Any, stores: Path, tmp_path: Path
) -> None:
    """A store is refused once the table of its release says something else.

    It would not be if it carried the checksum of the first release's table.
    """
    table = pq.read_table(second.release.table)
    splits = table["official_split"].to_numpy()[::-1]
    changed = table.set_column(
        table.schema.get_field_index("official_split"),
        "official_split",
        pa.array(splits),
    )
    pq.write_table(changed, tmp_path / "table.parquet")
    other = dataclasses.replace(second.release, table=str(tmp_path / "table.parquet"))
    with pytest.raises(StoreError, match="was written with other splits"):
        open_store(stores, get_config("both", [other]))


def test_a_published_archive_is_checked_by_its_own_algorithm(
    second: Any, tmp_path: Path
) -> None:
    """A file with the name of a published one must have its md5, too."""
    folder = tmp_path / "archives"
    folder.mkdir()
    wrong = folder / second.archives["radar"].name
    wrong.write_bytes(second.archives["radar"].read_bytes())
    release = replace_digest(second.release, "radar", "0" * 32)
    with pytest.raises(ChecksumError, match="expected md5 0000"):
        build(
            {**second.archives, "radar": wrong},
            tmp_path / "data",
            get_config("both", [release]),
            OPTIONS,
        )
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def replace_digest(release: Release, name: str, hexdigest: str) -> Release:
    """Returns a release one of whose archives has another checksum."""
    archives = tuple(
        dataclasses.replace(
            archive, digest=dataclasses.replace(archive.digest, hexdigest=hexdigest)
        )
        if archive.name == name
        else archive
        for archive in release.archives
    )
    return dataclasses.replace(release, archives=archives)


def remove_patch(second: Any, path: Path) -> Path:
    """Copies the radar folder, but for the patch R9_78_10_4."""
    leave_out = shutil.ignore_patterns("R9_78_10_4")
    return shutil.copytree(second.folders["radar"], path, ignore=leave_out)


def test_a_patch_that_one_source_lacks_ends_a_build(
    second: Any, tmp_path: Path
) -> None:
    """The error names both ids of the patch and the source that lacks it."""
    sources = {**second.folders, "radar": remove_patch(second, tmp_path / "Radar")}
    message = r"R9_78_10_4: missing in .*Radar.*M1_20200101_10_04"
    with pytest.raises(PatchError, match=message):
        build(sources, tmp_path / "data", config_of(second), OPTIONS)


def test_a_patch_that_one_source_lacks_is_set_aside_once(
    second: Any, tmp_path: Path
) -> None:
    """It is in no store, and all stores say so; the others are as they would be."""
    sources = {**second.folders, "radar": remove_patch(second, tmp_path / "Radar")}
    options = dataclasses.replace(OPTIONS, max_bad=1)
    result = build(sources, tmp_path / "data", config_of(second), options, formats=ALL)
    for form in ALL:
        store = open_store(tmp_path / "data", config_of(second), form)
        table = pq.read_table(store.folder / "patches.parquet")

        assert 1 == store.manifest["patches"]["quarantined"]
        assert 1 == store.num_patches("train")
        assert "M1_20200101_10_04" not in table["patch_id"].to_pylist()
    assert ["R9_78_10_4"] == [patch.patch_id for patch in result.quarantine]


def test_bad_patches_of_all_sources_are_counted_together(
    second: Any, tmp_path: Path
) -> None:
    """One bad patch in each source is one too many where one is allowed."""
    radar = remove_patch(second, tmp_path / "Radar")
    optical = shutil.copytree(second.folders["optical"], tmp_path / "Optical")
    next(optical.rglob("M2_20200402_07_07_B02.tif")).write_bytes(b"no TIFF")
    options = dataclasses.replace(OPTIONS, max_bad=1)
    sources = {"optical": optical, "radar": radar}
    with pytest.raises(QuarantineError, match="more than 1 bad patch:"):
        build(sources, tmp_path / "data", config_of(second), options)


def test_a_build_resumes_in_the_second_source(
    second: Any, stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source that was spooled to its end is not read again, whatever came after."""
    opened, real_open = [], stage_one.open_source
    real_decode = stage_one.decode_patch

    def note(path: Path, archive: Any, *options: int) -> Any:
        opened.append(archive.name)
        return real_open(path, archive, *options)

    def decode(raw: Any, archive: Any, nomenclature: Any) -> Any:
        if archive.name == "radar":
            raise KeyboardInterrupt
        return real_decode(raw, archive, nomenclature)

    monkeypatch.setattr(stage_one, "open_source", note)
    with monkeypatch.context() as patch:
        patch.setattr(stage_one, "decode_patch", decode)
        with pytest.raises(KeyboardInterrupt):
            build(second.archives, tmp_path, config_of(second), OPTIONS, formats=ALL)
    build(second.archives, tmp_path, config_of(second), OPTIONS, formats=ALL)
    expected = hash_stores(stores)
    del expected["bigearthnet/picture/1.0.0"]

    # The first build also looked at how each begins.
    assert ["optical", "radar", "optical", "radar", "radar"] == opened
    assert expected == hash_stores(tmp_path)


def test_a_missing_source_is_named(second: Any, tmp_path: Path) -> None:
    """A configuration of two archives is not built from one."""
    with pytest.raises(OptionError, match="built from optical, radar: got --source="):
        build(second.archives["optical"], tmp_path, config_of(second), OPTIONS)


def test_statistics_are_exact_for_floats(second: Any, stores: Path) -> None:
    """Mean and deviation of float bands are those of float64 arithmetic; maps none."""
    store = open_store(stores, config_of(second), "arrow")
    train = [p.groups for p in second.patches.values() if p.split == "train"]
    found = store.statistics["bands"]
    for index, band in enumerate(("VV", "VH")):
        values = np.stack([groups["bands_radar"][index] for groups in train])

        assert float(values.mean(dtype=np.float64)) == found[band]["mean"]
        np.testing.assert_allclose(found[band]["std"], values.std(dtype=np.float64))
    assert "land" not in found
