"""Every engine builds the bytes of a local build from a bucket into a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bigearthnet.engine import spread
from bigearthnet.engine.engines import Engine, open_engine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.util.remote import parse_url
from builder.build import build
from tests.bigearthnet.engine.engines.cases import CONFIGS, SIZE, Case, FindCase
from tests.bigearthnet.engine.engines.clusters import ENGINES, start
from tests.bigearthnet.engine.engines.test_faults import Harming
from tests.s3 import S3, serve

_SPARK = pytest.param("spark", marks=pytest.mark.engines)


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    """A server that engines which are started afterwards find in the environment."""
    with pytest.MonkeyPatch.context() as environment, serve(environment) as made:
        yield made


@pytest.fixture
def s3(server: S3) -> Iterator[S3]:
    """Its bucket, empty."""
    yield server
    for folder in ("source", "data"):
        server.clear(folder)


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest,
    server: S3,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Engine]:
    """Each engine, its workers kept for all tests."""
    folder = tmp_path_factory.mktemp("engine")
    with start(request.param, folder) as found, open_engine(*found) as opened:
        yield opened


def check(case: Case, s3: S3, engine: Engine) -> None:
    """Builds a case in the bucket, and compares it with what one machine makes."""
    s3.put_folder(case.source, "source")
    options = BuildOptions(include_excluded=True, quiet=True, workers=1)
    source, data_dir = parse_url("s3://bucket/source"), parse_url("s3://bucket/data")
    build(source, data_dir, case.config, options, formats=case.formats, engine=engine)
    other = ("provenance.json", "README.md")
    found = s3.contents("data")
    assert {p: c for p, c in found.items() if not p.endswith(other)} == case.expected


@pytest.mark.parametrize("config", CONFIGS)
def test_an_engine_builds_in_a_bucket(
    engine: Engine,
    config: str,
    s3: S3,
    find_case: FindCase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Folders in a bucket, built by workers into the bucket, are those of one machine.

    In several parts, whose buckets are sorted.
    """
    monkeypatch.setattr(spread, "list_parts", partial(spread.list_parts, size=SIZE))
    check(find_case(config, "folder"), s3, engine)


@pytest.mark.parametrize("stage", ["spool", "shards"])
@pytest.mark.parametrize("engine", ["dask", _SPARK], indirect=True)
def test_a_worker_that_is_killed(
    engine: Engine, stage: str, s3: S3, find_case: FindCase, tmp_path: Path
) -> None:
    """Its task is repeated, and what it left on its machine is deleted."""
    harming = Harming(engine, stage, "kill_worker", tmp_path / "mark")
    check(find_case("s2", "folder"), s3, harming)
    assert (tmp_path / "mark").exists()
