"""Real sample patches, fake patches in which a swap shows, and archives of both."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bigearthnet.engine import keys
from bigearthnet.engine.options import BuildOptions
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.bands import BANDS, Band
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.schema.configs import get_config
from bigearthnet.schema.examples import Example, assemble, get_make_example
from bigearthnet.source.patch import RawPatch, decode_patch
from builder import synthesize
from builder.build import build
from builder.sample import S1_ARCHIVE, package_file, write_sample
from tests.hub import Hub
from tests.s3 import S3, serve

ARCHIVE = V1.archive("s2")
S2 = get_config("s2", RELEASES)

# The library `datasets` reads this when it is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"

HAS_TFDS = find_spec("tensorflow_datasets") is not None

# Patch id → file name → content.
Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

# Official ids of all four splits, two with an impossible time (T94161) or a time of
# five digits; all in other patches than the real sample's.
FAKE_IDS = (
    "S2A_MSIL2A_20170613T101031_0_45",
    "S2B_MSIL2A_20180204T94161_10_10",
    "S2B_MSIL2A_20170924T93020_70_30",
    "S2A_MSIL2A_20170717T113321_28_88",
    "S2A_MSIL2A_20170717T113321_28_89",
    "S2A_MSIL2A_20170717T113321_35_89",
)

_WKT = (
    'PROJCS["WGS 84 / UTM zone 34N",GEOGCS["WGS 84",AUTHORITY["EPSG","4326"]],'
    'UNIT["metre",1,AUTHORITY["EPSG","9001"]],AUTHORITY["EPSG","32634"]]'
)


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the six real patches: 4 train, 1 test, 1 excluded (snow)."""
    return write_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def sample_patches(sample_folder: Path) -> Patches:
    """The files of the six real patches."""
    return {
        folder.name: {f.name: f.read_bytes() for f in sorted(folder.iterdir())}
        for folder in sorted(sample_folder.iterdir())
    }


@pytest.fixture(scope="session")
def s1_patches() -> Patches:
    """The files of their six real twins of Sentinel-1."""
    patches: Patches = {}
    with tarfile.open(package_file(S1_ARCHIVE)) as archive:
        for member in archive.getmembers():
            if (file := archive.extractfile(member)) is not None:
                _, patch_id, name = member.name.split("/")
                patches.setdefault(patch_id, {})[name] = file.read()
    return patches


@pytest.fixture(scope="session")
def patch_index() -> PatchIndex:
    """The official table."""
    return load_index(V1, "official")


@pytest.fixture(scope="session")
def fake_patches() -> Patches:
    """Six patches of asymmetric ramps (see `make_fake_patch`), under official ids."""
    return {
        patch_id: make_fake_patch(patch_id, number)
        for number, patch_id in enumerate(FAKE_IDS)
    }


@pytest.fixture(scope="session")
def fake_rows(fake_patches: Patches, patch_index: PatchIndex) -> list[Example]:
    """The fake patches as rows of S2_COLUMNS, in their own order."""
    return make_rows(fake_patches, patch_index)


@pytest.fixture(scope="session")
def sample_rows(sample_patches: Patches, patch_index: PatchIndex) -> list[Example]:
    """The real patches as rows of S2_COLUMNS, in the order of their ids."""
    return make_rows(sample_patches, patch_index)


@pytest.fixture(scope="session")
def all_stores(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of the six real patches in every format; not to be changed."""
    return build_all(sample_folder, tmp_path_factory.mktemp("all_stores"))


@pytest.fixture(scope="session")
def many_shards(
    fake_patches: Patches, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The six fake patches, in all four splits, one in each shard; likewise."""
    folder = tmp_path_factory.mktemp("many_shards")
    source = write_tar(folder, fake_patches)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", 1)
        return build_all(source, folder / "data")


@pytest.fixture(scope="session")
def thousand_patches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory of 1,000 synthetic patches, in several row groups a split."""
    folder = tmp_path_factory.mktemp("thousand_patches")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(synthesize, "_ZLIB_LEVEL", 1)  # half the time
        synthesize.write_archive(folder / "synthetic.tar.gz", 1000, seed=0)
    return build_all(folder / "synthetic.tar.gz", folder / "data")


@pytest.fixture(scope="session")
def write_archive() -> WriteArchive:
    """The function `write_tar`."""
    return write_tar


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub, which the clients in this process talk to, with its token.

    Other processes get `hub.environment(home)`.
    """
    from huggingface_hub import constants

    with Hub(tmp_path / "hub") as made:
        for name, value in made.environment(tmp_path / "home").items():
            monkeypatch.setenv(name, value)
        # Read when the library was imported.
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE
        template = template.replace(constants.ENDPOINT, made.endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "ENDPOINT", made.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield made


def build_all(source: Path, data_dir: Path) -> Path:
    """Builds every format of the config s2, and returns the data directory.

    Without TensorFlow Datasets, as in `make recipes`, all formats but its own.
    """
    options = BuildOptions(include_excluded=True, quiet=True, workers=1)
    formats = [name for name in FORMATS if name != "tfrecord" or HAS_TFDS]
    build(source, data_dir, S2, options, formats=formats)
    return data_dir


def make_rows(patches: Patches, index: PatchIndex) -> list[Example]:
    """Makes the rows of S2_COLUMNS."""
    rows, make_row = [], get_make_example(S2, S2.columns)
    for patch_id, files in patches.items():
        row = index.find(patch_id)
        assert row is not None
        patch = decode_patch(RawPatch(row, patch_id, files), ARCHIVE, V1.nomenclature)
        rows.append(
            make_row(assemble(next(iter(index.describe([row]))), [(ARCHIVE, patch)]))
        )
    return rows


def make_fake_patch(patch_id: str, number: int = 0) -> dict[str, bytes]:
    """Makes the files of a patch whose every pixel tells band, row and column.

    The digital number is 5000 · number + 400 · band + 2 · row + column.
    """
    files = {
        ARCHIVE.band_file(patch_id, band): make_tiff(band, ramp(band, number))
        for band in BANDS
    }
    metadata = {
        "labels": [["Pastures", "Water bodies"], ["Bare rock"]][number % 2],
        "coordinates": {
            "ulx": 300000 + number,
            "uly": 6200000,
            "lrx": 301200,
            "lry": 6198800,
        },
        "projection": _WKT,
        "tile_source": f"S2A_MSIL1C_FAKE_{number}.SAFE",
        "acquisition_date": f"2017-06-13 10:10:3{number}",
    }
    files[f"{patch_id}{ARCHIVE.metadata_suffix}"] = json.dumps(metadata).encode()
    return files


def ramp(band: Band, number: int = 0) -> np.ndarray:
    """The pixels of a fake band, shape (y, x), uint16."""
    rows, columns = np.indices(band.shape)
    pixels = 5000 * number + 400 * BANDS.index(band) + 2 * rows + columns
    return pixels.astype("<u2")


def make_tiff(band: Band, pixels: np.ndarray) -> bytes:
    """The smallest TIFF that the fast path understands: one strip, 9 tags."""
    size, nbytes = band.size_px, 2 * band.size_px**2
    tags = [(256, size), (257, size), (258, 16), (259, 1), (262, 1), (273, 122)]
    tags += [(277, 1), (278, size), (279, nbytes)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    header = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    assert len(header) == 122
    return header + pixels.astype("<u2").tobytes()


def write_tar(
    path: Path,
    patches: Mapping[str, Mapping[str, bytes]],
    *,
    kind: str = "tar.gz",
    shuffle: int | None = None,
    format: int = tarfile.GNU_FORMAT,
    prefix: str = "BigEarthNet-v1.0/",
) -> Path:
    """Writes patches as an archive, or a folder, laid out like the real one.

    Args:
        path: Folder to write into.
        patches: The patches.
        kind: `tar`, `tar.gz`, `tar.zst` or `folder`.
        shuffle: Seed of a random order of folders, and of files within them.
        format: Format of the tar headers.
        prefix: What stands before each patch folder.
    """
    members = [(patch_id, list(files.items())) for patch_id, files in patches.items()]
    if shuffle is not None:
        order = random.Random(shuffle)
        order.shuffle(members)
        for _, files in members:
            order.shuffle(files)
    if kind == "folder":
        return _write_folder(path / "folder", members)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for patch_id, files in members:
            folder = tarfile.TarInfo(f"{prefix}{patch_id}")
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            for name, content in files:
                info = tarfile.TarInfo(f"{prefix}{patch_id}/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    output = path / f"archive.{kind}"
    output.write_bytes(compress(buffer.getvalue(), kind))
    return output


def compress(content: bytes, kind: str) -> bytes:
    """Compresses the content of a tar file."""
    if kind == "tar.gz":
        import gzip

        return gzip.compress(content, 1, mtime=0)
    if kind == "tar.zst":
        from backports import zstd

        return zstd.compress(content, 1)
    return content


def _write_folder(
    path: Path, members: Iterable[tuple[str, list[tuple[str, bytes]]]]
) -> Path:
    for patch_id, files in members:
        folder = path / "BigEarthNet-v1.0" / patch_id
        folder.mkdir(parents=True)
        for name, content in files:
            (folder / name).write_bytes(content)
    return path


def expected_files(patch_id: str) -> tuple[str, ...]:
    """The 13 file names of a patch."""
    return ARCHIVE.file_names(patch_id)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A server with a bucket; clients find all about it in the environment."""
    with serve(monkeypatch) as made:
        made.clear()
        yield made
        made.clear()
