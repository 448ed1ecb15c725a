from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.engines import Engine, LocalEngine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import EngineError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from bigearthnet.util.remote import parse_url
from builder.build import build
from tests.s3 import S3

S2 = get_config("s2", RELEASES)
FORMATS = ("tfrecord", "parquet", "arrow")
OPTIONS = BuildOptions(include_excluded=True, quiet=True, workers=1)
# What says when and of what it was made.
OTHER = ("provenance.json", "README.md")


class Dying:
    """Gives up at its task of some number."""

    def __init__(self, end_at: int) -> None:
        self._left = end_at

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields results until its end has come."""
        for value in values:
            self._left -= 1
            result = task(value)
            if not self._left:
                raise EngineError("the engine is gone.")
            yield result


@pytest.fixture(scope="module")
def expected(
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


def run(engine: Engine | None = None, **options: Any) -> None:
    """Builds what lies in the bucket, into the bucket."""
    source, data_dir = (parse_url(f"s3://bucket/{name}") for name in ("source", "data"))
    build(source, data_dir, S2, OPTIONS, formats=FORMATS, engine=engine, **options)


def check(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    """Compares what was made with what one machine makes."""
    assert found.keys() == expected.keys()
    for path, content in expected.items():
        if not path.endswith(OTHER):
            assert found[path] == content, path


@pytest.fixture
def source(s3: S3, sample_folder: Path) -> Iterator[S3]:
    """A bucket with a folder of the real patches."""
    s3.put_folder(sample_folder, "source")
    yield s3
    for folder in ("source", "data"):
        s3.clear(folder)


def test_a_bucket_gets_the_same_bytes(source: S3, expected: dict[str, bytes]) -> None:
    """From a folder in a bucket into the bucket: files are those of one machine."""
    run(LocalEngine())
    check(source.contents("data"), expected)
