from __future__ import annotations

import contextlib
import dataclasses
import filecmp
import functools
import hashlib
import http.server
import importlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import tensorflow_datasets as tfds
from etils import epath

from bigearthnet.bigearthnet_dataset_builder import Builder
from bigearthnet.download import fetch
from bigearthnet.engine.job import JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import (
    ArchiveError,
    ChecksumError,
    OptionError,
    PatchError,
    QuarantineError,
    StoreError,
)
from bigearthnet.reading import open_reader
from bigearthnet.release import V1, Digest, Release
from bigearthnet.release.bands import BANDS, RGB, split
from bigearthnet.schema import rgb
from bigearthnet.schema.configs import list_configs
from builder.build import build
from builder.sample import S1_FOLDER
from tests.hub import Hub
from tests.hub.published import URL, publish_folder, run_python

CONFIGS = list_configs([V1])
ARCHIVE = V1.archive("s2")
ANOTHER = Digest("sha256", "0" * 64)

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


class SampleBuilder(Builder, skip_registration=True):  # type: ignore[call-arg]
    """Ours, of a release that has the six patches of the sample."""

    name = "bigearthnet"
    RELEASES = (dataclasses.replace(V1, num_patches=6),)


class PlainBuilder(SampleBuilder, skip_registration=True):  # type: ignore[call-arg]
    """The same, built by TFDS's own writer from `_generate_examples`."""

    name = "bigearthnet"
    _download_and_prepare = tfds.core.GeneratorBasedBuilder._download_and_prepare


@pytest.fixture
def manual_folder(sample_folder: Path, tmp_path: Path) -> Path:
    """A data directory in whose manual folder the extracted sample lies."""
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / ARCHIVE.folder).symlink_to(sample_folder)
    return tmp_path / "data"


def read_all(builder: tfds.core.DatasetBuilder) -> dict[str, list[dict[str, object]]]:
    """Reads every example of a builder, in order."""
    return {
        name: list(tfds.as_numpy(builder.as_dataset(split=name)))
        for name in builder.info.splits
    }


def assert_equal_examples(expected: dict, actual: dict) -> None:
    """Compares two nested examples, types included."""
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_equal_examples(value, actual[name])
        else:
            assert getattr(value, "dtype", None) == getattr(actual[name], "dtype", None)
            np.testing.assert_array_equal(value, actual[name])


@pytest.mark.parametrize("config", CONFIGS)
def test_the_engine_stores_what_the_plain_path_stores(
    config: str, manual_folder: Path, sample_folder: Path, tmp_path: Path
) -> None:
    """Examples, order and metadata equal those of TFDS's own writer."""
    manual = manual_folder / "downloads" / "manual"
    radar = sample_folder.with_name(S1_FOLDER)
    (manual / V1.archive("s1").folder).symlink_to(radar)
    engine = SampleBuilder(config=config, data_dir=manual_folder)
    plain = PlainBuilder(config=config, data_dir=tmp_path / "plain")
    # The plain writer cannot leave out a split without patches.
    splits = {s: n for s, n in plain_counts(config).items() if n}
    sources = tuple(JobSource(a, manual / a.folder) for a in engine.config.archives)
    plain._split_generators = lambda manager: {  # type: ignore[method-assign]
        name: plain._generate_examples(sources, name) for name in splits
    }
    engine.download_and_prepare()
    plain.download_and_prepare()
    expected, actual = read_all(plain), read_all(engine)

    assert expected.keys() == actual.keys()
    for name, examples in expected.items():
        assert plain.info.splits[name].num_bytes == engine.info.splits[name].num_bytes
        for one, other in zip(examples, actual[name], strict=True):
            assert_equal_examples(one, other)


def plain_counts(config: str) -> dict[str, int]:
    """How many of the sample's patches each split of a config has."""
    is_random = config.endswith("-random")
    return {"train": 3, "test": 2} if is_random else {"train": 4, "test": 1}


def test_loaded_bands_equal_rasterio(manual_folder: Path, sample_folder: Path) -> None:
    """Every band that TFDS loads equals what rasterio reads, bit for bit."""
    builder = SampleBuilder(data_dir=manual_folder)
    builder.download_and_prepare()
    examples = [example for part in read_all(builder).values() for example in part]

    assert 5 == len(examples)
    for example in examples:
        patch_id = example["patch_id"].decode()  # type: ignore[attr-defined]
        bands = split(example)
        assert [band.name for band in BANDS] == list(bands)
        for band in BANDS:
            path = sample_folder / patch_id / ARCHIVE.band_file(patch_id, band)
            with rasterio.open(path) as dataset:
                np.testing.assert_array_equal(dataset.read(1), bands[band.name])
            assert np.uint16 == bands[band.name].dtype


def test_rgb_is_supervised_and_can_be_shown(manual_folder: Path) -> None:
    """s2-rgb yields (image, multi-hot) pairs and works with tfds.show_examples."""
    builder = SampleBuilder(config="s2-rgb", data_dir=manual_folder)
    builder.download_and_prepare()
    dataset = builder.as_dataset(split="train", as_supervised=True)
    image, labels = next(iter(tfds.as_numpy(dataset.batch(4))))
    figure = tfds.show_examples(
        builder.as_dataset(split="train"), builder.info, rows=1, cols=2
    )

    assert ((4, 120, 120, 3), np.uint8) == (image.shape, image.dtype)
    assert ((4, 43), np.uint8) == (labels.shape, labels.dtype)
    assert labels.sum(axis=1).min() >= 1
    assert figure is not None


def test_habits_of_tfds_work_on_bands(all_stores: Path) -> None:
    """`as_dataframe` and `show_examples` take s2 as they take any data set."""
    dataset, info = tfds.load(
        "bigearthnet/s2", split="train", data_dir=all_stores, with_info=True
    )
    frame = tfds.as_dataframe(dataset.take(2), info)
    assert "S2" in frame._repr_html_()
    figure = tfds.show_examples(dataset, info, rows=1, cols=2, label_key="season")
    pictures = [axes.images[0].get_array() for axes in figure.axes]
    first = next(iter(open_reader("train", all_stores).batches(1, [*RGB])))
    expected = rgb.to_rgb([first[band][0] for band in RGB])
    assert len(pictures) == 2
    np.testing.assert_array_equal(expected, pictures[0])


@pytest.mark.parametrize("name", ["rgb", "all"])
def test_configs_of_the_built_in_name_their_successors(
    name: str, tmp_path: Path
) -> None:
    """Whoever loads one of them reads which of ours to load."""
    successor = {"rgb": "s2-rgb, 8-bit", "all": "s2, all 12 bands"}[name]
    with pytest.raises(OptionError, match=f"Load bigearthnet/{successor}"):
        tfds.load(f"bigearthnet/{name}", data_dir=tmp_path)
    with pytest.raises(OptionError, match=f"bigearthnet/{name} is a config of TFDS"):
        Builder(config=name, data_dir=tmp_path)


def test_pairs_of_bands_are_explained(all_stores: Path) -> None:
    """as_supervised of s2 names what yields images and labels."""
    with pytest.raises(OptionError, match=r"bigearthnet\.load\(split.*s2-rgb"):
        tfds.load(
            "bigearthnet/s2", split="train", data_dir=all_stores, as_supervised=True
        )


def test_a_folder_that_was_not_extracted_to_its_end_is_refused(
    manual_folder: Path,
) -> None:
    """A folder that holds fewer patches than the release is not taken for it."""
    builder = Builder(data_dir=manual_folder)

    with pytest.raises(ArchiveError, match="expected 590,326 patches, found 6"):
        builder.download_and_prepare()

    assert [] == list((manual_folder / "bigearthnet" / "s2").iterdir())


def with_release(archive: Path, **changes: Any) -> type[Builder]:
    """Returns a builder whose release is this archive."""
    known = {
        "filenames": (archive.name,),
        "nbytes": archive.stat().st_size,
        "digest": Digest("sha256", hashlib.sha256(archive.read_bytes()).hexdigest()),
    }
    published = dataclasses.replace(ARCHIVE, **{**known, **changes})
    release = dataclasses.replace(
        V1, archives=(published, V1.archive("s1")), num_patches=6
    )

    class ReleaseBuilder(Builder, skip_registration=True):  # type: ignore[call-arg]
        name = "bigearthnet"
        RELEASES: tuple[Release, ...] = (release,)

    return ReleaseBuilder


def put_into_manual(archive: Path, data_dir: Path) -> None:
    """Moves an archive into the manual folder of a data directory."""
    (data_dir / "downloads" / "manual").mkdir(parents=True)
    archive.rename(data_dir / "downloads" / "manual" / archive.name)


def test_an_archive_in_the_manual_folder_is_used(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The archive is read from the manual folder, without a download."""
    archive = write_archive(tmp_path, sample_patches)
    builder = with_release(archive)(data_dir=tmp_path / "data")
    put_into_manual(archive, tmp_path / "data")
    builder.download_and_prepare()

    assert {"train": 4, "test": 1} == {
        name: info.num_examples for name, info in builder.info.splits.items()
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("tar", "BigEarthNet-S2-v1.0.tar"),
        ("tar.zst", "ben.tar.zst"),
        ("tar.gz", "ben (1).tar.gz"),
        ("folder", "nested"),
    ],
)
def test_a_copy_of_another_name_is_used(
    kind: str,
    name: str,
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever can be read in the manual folder is built from, and said to be."""
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    copy = write_archive(tmp_path, sample_patches, kind=kind).rename(manual / name)
    builder = SampleBuilder(data_dir=tmp_path / "data")
    builder.download_and_prepare()

    assert 5 == sum(info.num_examples for info in builder.info.splits.values())
    assert kind == "folder" or f"reads {copy}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["tar", "folder"])
def test_a_copy_of_a_part_is_not_taken_for_the_whole(
    kind: str, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """What has no published checksum must hold all patches of the release."""
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    some = dict(list(fake_patches.items())[:5])
    write_archive(tmp_path, some, kind=kind).rename(manual / "ben")

    with pytest.raises(ArchiveError, match="expected 6 patches, found 5"):
        SampleBuilder(data_dir=tmp_path / "data").download_and_prepare()


def test_what_cannot_be_used_ends_it_before_anything_is_written(
    all_stores: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No download begins beside a broken copy, in a store, or without the folder."""
    monkeypatch.setattr("bigearthnet.archives.fetch", None)
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "BigEarthNet-S2-v1.0.tar.gz").write_bytes(b"cut")
    shutil.copytree(all_stores / "arrow", tmp_path / "store")
    nowhere = tfds.download.DownloadConfig(manual_dir=tmp_path / "nowhere")

    with pytest.raises(ArchiveError, match="it has 3 bytes, the published file 70,0"):
        Builder(data_dir=tmp_path / "data").download_and_prepare()
    with pytest.raises(OptionError, match="is a store, not a data directory"):
        Builder(data_dir=tmp_path / "store").download_and_prepare()
    with pytest.raises(OptionError, match="nowhere' is missing or empty"):
        Builder(data_dir=tmp_path / "new").download_and_prepare(download_config=nowhere)

    assert ["downloads"] == os.listdir(tmp_path / "data")
    assert not (tmp_path / "store" / "bigearthnet").exists()
    assert not (tmp_path / "new").exists()


def test_a_moved_store_is_read_from_its_folder(
    all_stores: Path, tmp_path: Path
) -> None:
    """`tfds.builder_from_directory` takes a TFRecord store wherever it lies."""
    shutil.copytree(all_stores / "bigearthnet/s2/2.0.0", tmp_path / "my-ben")
    builder = tfds.builder_from_directory(tmp_path / "my-ben")

    assert 4 == len(list(builder.as_dataset(split="train")))


def test_nothing_is_published_of_another_archive(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """An archive with the right name and the wrong bytes leaves no data set."""
    archive = write_archive(tmp_path, sample_patches)
    cls = with_release(archive, digest=ANOTHER)
    builder = cls(data_dir=tmp_path / "data")
    put_into_manual(archive, tmp_path / "data")

    with pytest.raises(ChecksumError, match="expected sha256 0000"):
        builder.download_and_prepare()

    assert [] == list((tmp_path / "data" / "bigearthnet" / "s2").iterdir())


def test_a_damaged_patch_leaves_nothing(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A damaged source ends in our error and leaves no data set."""
    patch_id, files = next(iter(fake_patches.items()))
    name = f"{patch_id}_B01.tif"
    damaged = {**fake_patches, patch_id: {**files, name: b"II*\0"}}
    archive = write_archive(tmp_path, damaged)
    builder = with_release(archive)(data_dir=tmp_path / "data")
    put_into_manual(archive, tmp_path / "data")

    with pytest.raises(PatchError, match=f"{patch_id}/{name}"):
        builder.download_and_prepare()

    assert [] == list((tmp_path / "data" / "bigearthnet" / "s2").iterdir())


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serves a folder on the loopback interface and yields its address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keeps quiet."""

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("is_published", [True, False])
def test_the_archive_is_downloaded_and_verified(
    is_published: bool,
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without a copy the archive is downloaded, and refused if its checksum differs.

    Before that, TFDS and we say how large it is.
    """
    monkeypatch.setenv("no_proxy", "*")
    archive = write_archive(tmp_path, sample_patches)
    with serve(tmp_path) as address:
        changes = {} if is_published else {"digest": ANOTHER}
        cls = with_release(archive, url=f"{address}/{archive.name}", **changes)
        builder = cls(data_dir=tmp_path / "data")
        assert archive.stat().st_size == builder.info.download_size
        if is_published:
            builder.download_and_prepare()
        else:
            with pytest.raises(ChecksumError, match="expected sha256 0000"):
                builder.download_and_prepare()

    downloads = tmp_path / "data" / "downloads" / "bigearthnet"
    shown = capsys.readouterr()
    size = f"(download: {tfds.core.utils.Size(archive.stat().st_size)}, generated"
    assert size in shown.out  # TFDS's own line
    assert f"downloads {archive.name}, 0.0 GB, from {address}/" in shown.err
    assert is_published == builder.is_prepared()
    assert ([archive.name] if is_published else []) == os.listdir(downloads)


def test_a_download_is_kept(
    sample_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was downloaded serves other configs, too, unless TFDS is to do it anew."""
    monkeypatch.setenv("no_proxy", "*")
    archive = write_archive(tmp_path, sample_patches)
    downloaded = tmp_path / "data" / "downloads" / "bigearthnet" / archive.name
    fetched: list[Path] = []

    def fetch_and_note(urls: list[str], path: Path, nbytes: int, d: Digest) -> None:
        assert not path.exists()
        fetched.append(path)
        fetch(urls, path, nbytes, d)

    monkeypatch.setattr("bigearthnet.archives.fetch", fetch_and_note)
    with serve(tmp_path) as address:
        cls = with_release(archive, url=f"{address}/{archive.name}")
        cls(data_dir=tmp_path / "data").download_and_prepare()
        cls(data_dir=tmp_path / "data", config="s2-rgb").download_and_prepare()
        first = fetched[:]
        again = tfds.download.DownloadConfig(
            download_mode=tfds.GenerateMode.FORCE_REDOWNLOAD
        )
        cls(data_dir=tmp_path / "data").download_and_prepare(download_config=again)

    assert [downloaded] == first
    assert [downloaded] * 2 == fetched
    assert archive.read_bytes() == downloaded.read_bytes()


def test_a_damaged_download_is_noticed(
    sample_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A downloaded archive that has changed since is refused while it is read."""
    archive = write_archive(tmp_path, sample_patches)
    cls = with_release(archive, digest=ANOTHER)
    downloads = tmp_path / "data" / "downloads" / "bigearthnet"
    downloads.mkdir(parents=True)
    archive.rename(downloads / archive.name)
    builder = cls(data_dir=tmp_path / "data")

    with pytest.raises(ChecksumError, match="expected sha256 0000"):
        builder.download_and_prepare()

    assert not builder.is_prepared()


@pytest.mark.parametrize("file_format", ["parquet", "array_record", "riegeli"])
def test_other_file_formats_are_refused(file_format: str, manual_folder: Path) -> None:
    """A format that the engine does not write is refused with a reason."""
    builder = SampleBuilder(data_dir=manual_folder, file_format=file_format)

    with pytest.raises(OptionError, match=f"file_format='{file_format}'"):
        builder.download_and_prepare()


@pytest.mark.parametrize(
    "option",
    [
        {"max_examples_per_split": 1},
        {"num_shards": 2},
        {"min_shard_size": 1},
        {"ignore_duplicates": True},
        {"beam_runner": "DirectRunner"},
        {"nondeterministic_order": True},
        {"verify_ssl": False},
    ],
)
def test_options_that_cannot_be_honoured_are_refused(
    option: dict[str, object], manual_folder: Path
) -> None:
    """An option of TFDS that would change the shards is refused with a reason."""
    (name,) = option
    builder = SampleBuilder(data_dir=manual_folder)

    with pytest.raises(OptionError, match=f"{name}=.* is refused"):
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(**option)
        )


def hash_shards(folder: Path) -> dict[str, str]:
    """Returns name → sha256 of the files of a folder that tell nothing of time."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.name != "provenance.json"
    }


def interrupt(
    monkeypatch: pytest.MonkeyPatch, place: str, number: int | None
) -> list[Any]:
    """Notes the first argument of a function's calls, and interrupts one of them."""
    calls: list[Any] = []
    module, _, name = place.rpartition(".")
    function = getattr(importlib.import_module(module), name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[0])
        if len(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    monkeypatch.setattr(place, call)
    return calls


_DECODE = "bigearthnet.engine.stage_one.decode_patch"
_WRITE = "bigearthnet.engine.workers.write_shard"


@pytest.mark.parametrize(
    ("place", "number", "decoded", "written"),
    [
        (_DECODE, 4, 6, 5),
        (_WRITE, 3, 0, 3),
        ("bigearthnet.engine.pipeline.write_descriptions", 1, 0, 0),
        ("bigearthnet.bigearthnet_dataset_builder.set_splits", 1, 0, 0),
    ],
)
def test_what_was_interrupted_goes_on(
    place: str,
    number: int,
    decoded: int,
    written: int,
    manual_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second call does what is left; shards are the same, and nothing else stays.

    One patch of six is excluded, and is not stored.
    """
    monkeypatch.setattr("bigearthnet.engine.keys.MAX_PATCHES_PER_SHARD", 1)
    monkeypatch.setattr(
        "bigearthnet.bigearthnet_dataset_builder.BuildOptions",
        functools.partial(BuildOptions, workers=1),
    )
    expected = tmp_path / "expected"
    shutil.copytree(manual_folder, expected, symlinks=True)
    SampleBuilder(data_dir=expected).download_and_prepare()
    with pytest.MonkeyPatch.context() as context:
        interrupt(context, place, number)
        with pytest.raises(KeyboardInterrupt):
            SampleBuilder(data_dir=manual_folder).download_and_prepare()
    left = [path.name for path in (manual_folder / "bigearthnet" / "s2").iterdir()]
    raws = interrupt(monkeypatch, _DECODE, None)
    plans = interrupt(monkeypatch, _WRITE, None)
    builder = SampleBuilder(data_dir=manual_folder)
    builder.download_and_prepare()
    folder = Path("bigearthnet", "s2", "2.0.0")

    assert [] == left
    assert (decoded, written) == (len(raws), len(plans))
    assert hash_shards(expected / folder) == hash_shards(manual_folder / folder)
    assert ["2.0.0"] == os.listdir(manual_folder / "bigearthnet" / "s2")
    assert {"bigearthnet", "downloads"} == set(os.listdir(manual_folder))
    assert 5 == sum(info.num_examples for info in builder.info.splits.values())
    assert {"train": 4, "test": 1} == {n: len(e) for n, e in read_all(builder).items()}


def test_folders_of_a_killed_build_are_removed(manual_folder: Path) -> None:
    """What TFDS had no time to delete goes, and no other version or configuration."""
    folder = manual_folder / "bigearthnet" / "s2"
    for name in ("incomplete.ABCDEF_2.0.0", "incomplete.XYZ123_2.0.0", "1.0.0"):
        (folder / name).mkdir(parents=True)
        (folder / name / "bigearthnet-train.tfrecord-00000-of-00001").touch()
    SampleBuilder(data_dir=manual_folder).download_and_prepare()

    assert {"1.0.0", "2.0.0"} == set(os.listdir(folder))
    assert {"bigearthnet", "downloads"} == set(os.listdir(manual_folder))


def test_an_unfinished_build_of_the_command_is_not_mixed_in(
    manual_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workspace that is to become something else is refused, and kept."""
    options = BuildOptions(include_excluded=True, quiet=True, workers=1)
    source = manual_folder / "downloads" / "manual" / ARCHIVE.folder
    with pytest.MonkeyPatch.context() as context:
        interrupt(context, _WRITE, 2)
        with pytest.raises(KeyboardInterrupt):
            build(source, manual_folder, CONFIGS["s2"], options, formats=("arrow",))

    with pytest.raises(OptionError, match=r"formats: was \["):
        SampleBuilder(data_dir=manual_folder).download_and_prepare()

    assert [] == os.listdir(manual_folder / "bigearthnet" / "s2")

    build(source, manual_folder, CONFIGS["s2"], options, formats=("arrow",))

    assert (manual_folder / "arrow" / "manifest.json").is_file()


def test_what_a_build_of_the_command_set_aside_is_not_left_out_silently(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """TFDS has no quarantine: it goes on with none, and says where the list is."""
    patch_id, files = next(iter(fake_patches.items()))
    damaged = {**fake_patches, patch_id: {**files, f"{patch_id}_B01.tif": b"II*"}}
    archive = write_archive(tmp_path, damaged)
    cls = with_release(archive)
    put_into_manual(archive, tmp_path / "data")
    source = tmp_path / "data" / "downloads" / "manual" / archive.name
    config = list_configs(cls.RELEASES)["s2"]
    with pytest.MonkeyPatch.context() as context:
        interrupt(context, _WRITE, 1)
        options = BuildOptions(quiet=True, workers=1, max_bad=1)
        with pytest.raises(KeyboardInterrupt):
            build(source, tmp_path / "data", config, options)

    with pytest.raises(QuarantineError, match="set 1 bad patch aside: 1 × not a"):
        cls(data_dir=tmp_path / "data").download_and_prepare()

    assert (tmp_path / "data" / "quarantine.bigearthnet-s2.jsonl").is_file()


def test_a_store_of_another_version_is_not_loaded(
    sample_folder: Path, tmp_path: Path
) -> None:
    """Data written with other orders of classes is refused, not misread."""
    build(sample_folder, tmp_path, CONFIGS["s2"], BuildOptions(quiet=True))
    builder = Builder(data_dir=tmp_path, config="s2")
    path = Path(builder.data_dir) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["facts"]["clc43"] = "of another order"
    path.write_text(json.dumps(manifest))

    with pytest.raises(StoreError, match="other clc43 than this package"):
        builder.as_dataset(split="train")


def test_a_published_store_is_a_source(
    hub: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """`tfds.load` prepares the original TFRecords of a hub, and records the commit."""
    commit = publish_folder(hub, all_stores / "huggingface")
    code = f"""
import bigearthnet, tensorflow_datasets as tfds
for _ in range(2):
    data = tfds.load("bigearthnet", split="train", data_dir={str(tmp_path)!r},
                     builder_kwargs={{"source": "{URL}@main"}})
    print(len(list(data)))
"""
    lines = run_python(hub, tmp_path / "home", code).splitlines()
    made, expected = (d / "bigearthnet/s2/2.0.0" for d in (tmp_path, all_stores))
    names = [path.name for path in expected.iterdir() if path.name != "provenance.json"]

    assert ["4", "4"] == [line for line in lines if line.isdigit()]
    assert ([], []) == filecmp.cmpfiles(expected, made, names, shallow=False)[1:]
    origin = json.loads((made / "provenance.json").read_text())["source_store"]
    assert [f"{URL}@main", commit] == [origin["url"], origin["revision"]]
    assert hub.token not in (made / "provenance.json").read_text()


def test_what_is_prepared_must_have_the_patches_of_the_source(
    all_stores: Path, many_shards: Path, tmp_path: Path
) -> None:
    """Prepared data is loaded if it is of the same patches, whatever it was made of."""
    shutil.copytree(all_stores / "bigearthnet", tmp_path / "bigearthnet")
    for source in (all_stores, str(all_stores / "huggingface")):
        builder = Builder(data_dir=tmp_path, source=source)
        builder.download_and_prepare()
    other = Builder(data_dir=tmp_path, source=many_shards)
    with pytest.raises(OptionError, match=r"prepared from something else than .*6 in"):
        other.download_and_prepare()
    again = tfds.download.DownloadConfig(
        download_mode=tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    )
    other.download_and_prepare(download_config=again)

    assert 6 == sum(info.num_examples for info in other.info.splits.values())


def test_a_file_url_is_a_data_directory(manual_folder: Path) -> None:
    """`file://` is understood, which TFDS does not."""
    builder = SampleBuilder(data_dir=manual_folder.as_uri())
    builder.download_and_prepare()

    assert (manual_folder / "bigearthnet" / "s2" / "2.0.0").is_dir()


@pytest.mark.parametrize("url", ["ftp://h/x", "", Path("s3://b/x"), "file://host/x"])
def test_other_urls_are_refused(url: Path | str) -> None:
    """A place that TFDS cannot read from is refused, also as pathlib leaves it."""
    with pytest.raises(OptionError, match="data_dir: expected"):
        Builder(data_dir=url)


@pytest.mark.parametrize("url", ["s3://b/data", "hf://datasets/org/name"])
def test_what_tensorflow_cannot_read_is_refused(url: str) -> None:
    """The error says how to get at the data."""
    with pytest.raises(OptionError, match="TensorFlow reads nothing there") as raised:
        tfds.load("bigearthnet", data_dir=url)

    for text in (f"{{\"source\": '{url}'}}", "bigearthnet.load(", f"--from={url}"):
        assert text in str(raised.value)


def test_a_bucket_is_read_from_but_not_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFDS opens prepared data in a bucket; a build there is refused at once."""
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    with monkeypatch.context() as patch:
        base = tfds.core.GeneratorBasedBuilder
        patch.setattr(base, "__init__", lambda _, data_dir: opened.append(data_dir))
        Builder(data_dir="gs://bucket/data")
    builder = Builder(data_dir="data")
    builder._data_dir_root = epath.Path("gs://bucket/data")

    assert ["gs://bucket/data"] == opened
    with pytest.raises(OptionError, match=r"^data_dir: .* got 'gs://bucket/data'"):
        builder.download_and_prepare()
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["download_dir", "manual_dir"])
def test_other_folders_are_on_this_machine(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Downloads and archives lie on this machine, or nothing is written."""
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"download_dir": "s3://b/x"}
    if option == "manual_dir":
        options = {"download_config": tfds.download.DownloadConfig(manual_dir="s3://b")}

    with pytest.raises(OptionError, match=rf"^{option}: expected a path on this mach"):
        Builder(data_dir="data").download_and_prepare(**options)
    assert [] == list(tmp_path.iterdir())


def test_a_data_directory_among_patches_is_refused(
    sample_folder: Path, tmp_path: Path
) -> None:
    """TFDS makes no folder beside the patches that a build reads."""
    source = tmp_path / ARCHIVE.folder
    shutil.copytree(sample_folder, source)
    before = sorted(source.rglob("*"))
    config = tfds.download.DownloadConfig(manual_dir=tmp_path)

    with pytest.raises(OptionError, match=r"^data_dir: .* among the patches in /"):
        SampleBuilder(data_dir=source / "a").download_and_prepare(
            download_config=config
        )
    assert before == sorted(source.rglob("*"))
