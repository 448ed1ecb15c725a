"""Published stores → a data directory."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import bigearthnet
from bigearthnet.download import mirror as module
from bigearthnet.download.mirror import Mirrored, mirror
from bigearthnet.errors import (
    ChecksumError,
    DownloadError,
    OptionError,
    StoreError,
)
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config
from tests.hub import Hub
from tests.hub.published import URL, publish_folder

S2 = get_config("s2", RELEASES)


@pytest.fixture
def published(
    hub: Hub, many_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hub]:
    """A hub with all stores of six fake patches, one in each shard."""
    from huggingface_hub import HfFileSystem

    monkeypatch.setattr("time.sleep", lambda seconds: None)  # before it tries again
    HfFileSystem.clear_instance_cache()  # it keeps the address of another hub
    folder = tmp_path / "published"
    shutil.copytree(many_shards / "huggingface", folder)
    for name in ("arrow", "bigearthnet"):
        shutil.copytree(many_shards / name, folder / name)
    publish_folder(hub, folder)
    hub.recover()
    yield hub
    HfFileSystem.clear_instance_cache()


def fetch(output: Path, **options: object) -> Mirrored:
    """Mirrors the Parquet store."""
    (done,) = mirror(URL, output, S2, quiet=True, **options)
    return done


def list_files(folder: Path) -> list[str]:
    """Returns the paths of all files of a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder)) for path in paths)


def test_every_store_is_mirrored_once(
    published: Hub, many_shards: Path, tmp_path: Path
) -> None:
    """Each has all files of the original; the same again downloads no shard."""
    done = mirror(URL, tmp_path / "data", S2, formats=tuple(FORMATS), quiet=True)
    for store in done:
        original = many_shards / store.folder.relative_to(tmp_path / "data")
        names = list_files(original)
        assert names == list_files(store.folder)
        same = filecmp.cmpfiles(original, store.folder, names, shallow=False)
        assert (names, [], []) == same

    assert [6, 6, 6] == [store.num_files for store in done]
    assert [] == list((tmp_path / "data").rglob("incomplete.*"))
    published.recover()
    again = mirror(URL, tmp_path / "data", S2, formats=tuple(FORMATS), quiet=True)
    assert [0, 0, 0] == [store.num_files for store in again]
    assert 0 == published.count("GET /objects")


def test_what_was_interrupted_is_resumed(
    published: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has its final name before all is there; what came is not asked again."""
    monkeypatch.setattr(module, "_PIECE_NBYTES", 40_000)
    fetch(tmp_path / "whole")
    total = published.count("GET /objects")
    expected, nbytes = list_files(tmp_path / "whole"), count_bytes(published)
    for number in range(1, total + 1, 3):
        published.recover()
        published.fail("GET /objects", status=403, first=number, times=None)
        data_dir = tmp_path / f"data-{number}"
        with pytest.raises(DownloadError, match=r"may not be read \(status 403\)"):
            fetch(data_dir)
        assert not (data_dir / "huggingface").exists()
        received = count_bytes(published)
        published.recover()

        fetch(data_dir)
        assert nbytes == received + count_bytes(published)
        assert expected == list_files(data_dir)


def count_bytes(hub: Hub) -> int:
    """Returns the bytes of shards that a hub has sent, which are asked for in parts."""
    objects = [r for r in hub.requests if r.path.startswith("/objects")]
    return sum(r.sent for r in objects if r.status != 403 and "range" in r.headers)


def test_bytes_of_another_build_are_replaced(published: Hub, tmp_path: Path) -> None:
    """What an earlier run left is kept only if the checksum comes out right."""
    work = tmp_path / "data/incomplete.huggingface/s2"
    work.mkdir(parents=True)
    fetch(tmp_path / "other")
    for path in (tmp_path / "other/huggingface/s2").iterdir():
        (work / f"{path.name}.part").write_bytes(bytes(1000))
    manifest = tmp_path / "other/huggingface/manifest.json"
    shutil.copy(manifest, work.parent)

    assert 6 == fetch(tmp_path / "data").num_files


def test_splits_can_be_mirrored_one_after_another(
    published: Hub, tmp_path: Path
) -> None:
    """A part says that it is one; what it lacks cannot be read, and can be fetched."""
    for _ in range(2):
        assert "train" in fetch(tmp_path, splits=["test"]).absent
    assert 2 == len(bigearthnet.open_reader("test", tmp_path))
    with pytest.raises(StoreError, match=r"train-.* is missing.*download the store"):
        bigearthnet.open_reader("train", tmp_path)
    with pytest.raises(OptionError, match="no split 'dev'"):
        fetch(tmp_path, splits=["dev"])

    done = fetch(tmp_path)
    assert (4, ()) == (done.num_files, done.absent)
    assert bigearthnet.open_reader("train", tmp_path)


def test_what_is_not_in_the_manifest_is_refused(
    published: Hub, many_shards: Path, tmp_path: Path
) -> None:
    """A shard, or a table, that was changed on the hub never gets its name."""
    for name in ("s2/test-00000-of-00002.parquet", "patches.parquet"):
        folder = tmp_path / Path(name).stem
        shutil.copytree(many_shards / "huggingface", folder)
        content = bytearray((folder / name).read_bytes())
        content[100] ^= 1
        (folder / name).write_bytes(content)
        publish_folder(published, folder)

        with pytest.raises(ChecksumError, match=f"{name} is not what its manifest"):
            fetch(tmp_path / "data")
        assert not (tmp_path / "data/huggingface").exists()


def test_another_store_is_not_replaced(
    published: Hub, all_stores: Path, tmp_path: Path
) -> None:
    """What stands where the store would go is left as it is."""
    shutil.copytree(all_stores / "huggingface", tmp_path / "huggingface")
    before = list_files(tmp_path / "huggingface")

    with pytest.raises(OptionError, match="huggingface is there already, and is not"):
        fetch(tmp_path)
    assert before == list_files(tmp_path / "huggingface")
    with pytest.raises(StoreError, match="config s2 in the format parquet: expected"):
        mirror(URL, tmp_path, get_config("s2-random", RELEASES))
