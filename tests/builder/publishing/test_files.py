from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bigearthnet.errors import PublishError
from bigearthnet.release import RELEASES
from bigearthnet.store import Store, read_store
from bigearthnet.store.search import find_stores
from builder.publishing.files import PublishedFile, compare, list_files


@pytest.fixture
def store(all_stores: Path, tmp_path: Path) -> Store:
    """A Parquet store of its own."""
    folder = shutil.copytree(all_stores / "huggingface", tmp_path / "huggingface")
    return read_store(folder, RELEASES)


def test_what_makes_a_store_loadable_is_last(all_stores: Path) -> None:
    """Of every format, shards come first, then the manifest, and last one file."""
    last = {}
    for store in find_stores(all_stores, RELEASES):
        paths = [Path(file.path).name for file in list_files(store)]
        shards = [Path(file["name"]).name for file in store.manifest["files"]]
        assert set(shards) == set(paths[: len(shards)])
        last[store.format.name] = paths[-2:]

    assert {
        "parquet": ["manifest.json", "README.md"],
        "tfrecord": ["manifest.json", "dataset_info.json"],
        "arrow": ["manifest.json", "dataset_dict.json"],
    } == last


def test_what_is_private_stays(store: Store) -> None:
    """Hidden files, caches, and all of provenance.json but checksums are not listed."""
    (store.folder / ".env").write_text("secret")
    (store.folder / "s2/cache-1.arrow").write_text("x")
    provenance = {
        "source": "my archive.tar",
        "source_bytes": 1,
        "source_sha256": "ab",
        "other_sources": [{"archive": "s1", "filename": "/home/me/x", "nbytes": 2}],
        "command": ["build", "--source=/home/me/my archive.tar"],
        "finished": "2026-01-01",
    }
    (store.folder / "provenance.json").write_text(json.dumps(provenance))
    files = {file.path: file for file in list_files(store)}

    assert {".env", "s2/cache-1.arrow"}.isdisjoint(files)
    expected = {
        "source_bytes": 1,
        "source_sha256": "ab",
        "other_sources": [{"archive": "s1", "nbytes": 2}],
    }
    assert expected == json.loads(files["provenance.json"].read())


def test_the_name_of_a_published_archive_stays(store: Store) -> None:
    """A source that is named like the published archive keeps its name."""
    name = store.config.archives[0].filenames[0]
    (store.folder / "provenance.json").write_text(json.dumps({"source": name}))
    (file,) = (f for f in list_files(store) if f.path == "provenance.json")

    assert {"source": name} == json.loads(file.read())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "notes.txt is not part of the build"),
        ("s2/train-00001-of-00002.parquet", "of-00002.parquet is not part of"),
        ("s2/x.parquet.unfinished", "unfinished is not part of the build"),
    ],
)
def test_unknown_files_are_not_published(store: Store, name: str, message: str) -> None:
    """A file that the build did not write is refused by name."""
    (store.folder / name).write_text("x")
    with pytest.raises(PublishError, match=message):
        list_files(store)


def test_differences_have_reasons(store: Store) -> None:
    """Missing files, other sizes or contents, and stale shards are told apart."""
    files = list_files(store)
    sizes = {file.path: file.nbytes for file in files}
    first, second, third, *_ = files
    del sizes[first.path]
    sizes[second.path] += 1
    sizes["s2/train-00007-of-00008.parquet"] = 1
    sizes["LICENSE"] = sizes["arrow/train/data-00000-of-00002.arrow"] = 1

    def is_same(file: PublishedFile) -> bool:
        return file != third

    assert [
        f"{first.path} is missing",
        f"{second.path} has other content",
        f"{third.path} has other content",
        "s2/train-00007-of-00008.parquet is not part of the build",
    ] == list(compare([store], files, sizes, is_same).describe())
