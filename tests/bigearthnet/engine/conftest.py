"""A bucket with the real patches, and what one machine makes of these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.build import build
from tests.bigearthnet.engine.buckets import FORMATS, OPTIONS, S2
from tests.s3 import S3


@pytest.fixture(scope="session")
def real_stores(
    sample_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What one machine makes of the real patches."""
    data_dir = tmp_path_factory.mktemp("expected")
    build(sample_folder, data_dir, S2, OPTIONS, formats=FORMATS)
    return {
        path.relative_to(data_dir).as_posix(): path.read_bytes()
        for path in data_dir.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(s3: S3, sample_folder: Path) -> Iterator[S3]:
    """A bucket with a folder of the real patches."""
    s3.put_folder(sample_folder, "source")
    yield s3
    for folder in ("source", "data"):
        s3.clear(folder)
