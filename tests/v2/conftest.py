"""Archives of made-up patches of v2.0, and stores that are built of them."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from bigearthnet.engine.options import BuildOptions
from bigearthnet.release import V2, Digest, Release
from bigearthnet.schema.configs import Config, get_config
from builder.build import build
from builder.synthesize import write_archives
from tests.v2.made import NUM_PATCHES, SEED, make_patches

QUIET = BuildOptions(include_excluded=True, quiet=True, workers=1)


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the three archives under their published names; not to be changed."""
    folder = tmp_path_factory.mktemp("downloads")
    for name, path in write_archives(folder, NUM_PATCHES, SEED, quiet=True).items():
        path.rename(folder / V2.archive(name).filenames[0])
    return folder


@pytest.fixture(scope="session")
def extracted(downloads: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the three archives would be extracted in; likewise."""
    folder = tmp_path_factory.mktemp("extracted")
    for path in downloads.iterdir():
        content = io.BytesIO(zstd.decompress(path.read_bytes()))
        with tarfile.open(fileobj=content) as tar:
            tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def release(downloads: Path) -> Release:
    """v2.0, of which these are the published archives."""

    def replace(name: str) -> dict[str, object]:
        content = (downloads / name).read_bytes()
        digest = Digest("md5", hashlib.md5(content).hexdigest())
        return {"nbytes": len(content), "digest": digest}

    archives = tuple(
        dataclasses.replace(a, **replace(a.filenames[0]))  # type: ignore[arg-type]
        for a in V2.archives
    )
    count = len(make_patches())
    return dataclasses.replace(V2, archives=archives, num_patches=count)


@pytest.fixture(scope="session")
def stores(
    release: Release, downloads: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A data directory of every configuration in every format; not to be changed."""
    data_dir = tmp_path_factory.mktemp("v2")
    for choice in release.choices:
        config = get_config(choice.name, [release])
        formats = ["tfrecord", *(["parquet", "arrow"] if config.columns else [])]
        build(downloads, data_dir, config, QUIET, formats=formats)
    return data_dir


@pytest.fixture
def both(release: Release) -> Config:
    """The configuration of both sensors."""
    return get_config("v2-s1s2", [release])
