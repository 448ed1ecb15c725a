from __future__ import annotations

import functools
import shutil
from pathlib import Path

import pytest

from bigearthnet.engine import spread
from bigearthnet.engine.engines import Engine, LocalEngine
from bigearthnet.errors import ArchiveError, EngineError, OptionError
from bigearthnet.release import Release
from bigearthnet.schema.configs import Config
from bigearthnet.source.parts import list_parts
from bigearthnet.util.remote import parse_url
from builder.build import build
from tests.bigearthnet.engine.engines.cases import read_stores
from tests.bigearthnet.engine.test_spread import Dying
from tests.s3 import S3
from tests.v2.conftest import QUIET
from tests.v2.test_building import config_of


def test_three_archives_in_a_bucket(
    s3: S3, both: Config, release: Release, extracted: Path, stores: Path
) -> None:
    """Folders of three archives, built into a bucket: the bytes of one machine."""
    s3.put_folder(extracted, "source")
    source, data_dir = parse_url("s3://bucket/source"), parse_url("s3://bucket/data")
    formats = ["tfrecord", "parquet", "arrow"]
    try:
        build(source, data_dir, both, QUIET, formats=formats)
        found = s3.contents("data")
        for path, content in found.items():
            if not path.endswith(("provenance.json", "README.md")):
                assert content == (stores / path).read_bytes(), path
        whole = stores / "bigearthnet" / both.name
        files = [p for p in whole.rglob("*") if p.is_file()]
        files += [*stores.glob("huggingface-v2/*/*"), *stores.glob("arrow-v2/*/*")]
        names = {p.relative_to(stores).as_posix() for p in files if p.is_file()}
        assert names <= found.keys()
        assert (
            found["huggingface-v2/README.md"]
            == (stores / "huggingface-v2/README.md").read_bytes()
        )
        s3.clear("data/huggingface-v2/s1")
        s3.clear("data/huggingface-v2/README.md")
        config = config_of("v2-s1", release)
        with pytest.raises(OptionError, match=r"data/huggingface-v2/s2 is a part"):
            build(source, data_dir, config, QUIET, formats=["parquet"])
    finally:
        for folder in ("source", "data"):
            s3.clear(folder)


def test_another_archive_is_found_first(
    s3: S3, both: Config, release: Release, extracted: Path
) -> None:
    """Two folders that were exchanged end a build before it reads a patch."""
    s3.put_folder(extracted, "source")
    source = parse_url("s3://bucket/source")
    names = {"s2": "BigEarthNet-S2", "s1": "BigEarthNet-S2", "maps": "Reference_Maps"}
    given = {name: source / folder for name, folder in names.items()}
    s3.requests.clear()
    try:
        with pytest.raises(ArchiveError, match=r"BigEarthNet-S2.* of the archive s1"):
            build(given, parse_url("s3://bucket/data"), both, QUIET)
        assert not [r for r in s3.requests if r.endswith(".tif")]
        assert s3.contents("data") == {}
    finally:
        s3.clear("source")


def test_a_patch_is_removed_between_two_runs(
    release: Release, extracted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below the top of a source: parts that hold other patches by now are read anew."""
    monkeypatch.setattr(spread, "list_parts", functools.partial(list_parts, size=2))
    config, source = config_of("v2-s1s2", release), tmp_path / "source"
    shutil.copytree(extracted, source)

    def run(name: str, engine: Engine) -> None:
        build(source, tmp_path / name, config, QUIET, engine=engine)

    with pytest.raises(EngineError, match="gone"):
        run("resumed", Dying(2))
    folders = [p for p in source.glob("BigEarthNet-S2/*/*") if p.is_dir()]
    shutil.rmtree(min(folders))
    run("resumed", LocalEngine())
    run("fresh", LocalEngine())
    assert read_stores(tmp_path / "resumed") == read_stores(tmp_path / "fresh")
