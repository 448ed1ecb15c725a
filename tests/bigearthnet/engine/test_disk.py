from __future__ import annotations

import re
import shutil
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import disk
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.options import BuildOptions
from bigearthnet.errors import DiskSpaceError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, V1
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.schema.configs import get_config
from bigearthnet.source import open_source
from bigearthnet.store.search import open_store

S2 = get_config("s2", RELEASES)
ARCHIVE = V1.archive("s2")
PATCHES = V1.num_patches

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]


@contextmanager
def fake_source(nbytes: int | None, is_compressed: bool = True) -> Iterator[Any]:
    """A source that has a size, and nothing else."""
    members = types.SimpleNamespace(nbytes=nbytes, is_compressed=is_compressed)
    yield types.SimpleNamespace(members=members, path=None, archive=ARCHIVE)


def check_space(
    source: Any, output: Path, formats: Iterable[str], most: int, workers: int = 1
) -> None:
    """Checks whether a build of a source fits."""
    options = BuildOptions(workers=workers)
    job = Job(S2, (JobSource(ARCHIVE, output),), tuple(formats), options)
    disk.check_space(source, output, job, [ARCHIVE], most)


def set_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Makes every disk have as many free bytes."""
    usage = types.SimpleNamespace(free=free)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.zst", "folder"])
def test_no_real_patch_is_forgotten(
    kind: str, tmp_path: Path, sample_patches: Patches, write_archive: WriteArchive
) -> None:
    """The estimate for the six real patches is not below six, nor far above."""
    path = write_archive(tmp_path, sample_patches, kind=kind)
    with open_source(path, ARCHIVE) as source:
        count = disk.estimate_patches(source, PATCHES)

    assert 6 <= count <= 13


def test_a_plain_tar_is_not_underestimated(sample_patches: Patches) -> None:
    """Thousands of patches as small as the smallest real one are all reckoned with.

    Each file of a patch takes a header and its bytes, both in blocks of 512.
    """
    nbytes = min(
        512 + sum(512 + -(-len(content) // 512) * 512 for content in files.values())
        for files in sample_patches.values()
    )

    with fake_source(5_000 * nbytes + 1024, is_compressed=False) as source:
        count = disk.estimate_patches(source, PATCHES)

    assert 5_000 <= count <= 5_500


def test_the_whole_archive_is_all_patches() -> None:
    """The published file is estimated as its 590,326 patches, half of it as half."""
    counts = []
    for nbytes in (ARCHIVE.nbytes, ARCHIVE.nbytes // 2):
        with fake_source(nbytes) as source:
            counts.append(disk.estimate_patches(source, PATCHES))

    assert [590_326, 295_163] == pytest.approx(counts, abs=1)


@pytest.mark.parametrize("given", [".", ".."])
def test_patch_folders_are_counted_wherever_the_source_begins(
    tmp_path: Path, given: str, sample_folder: Path
) -> None:
    """A folder of patches counts, as does its parent, whatever else lies there."""
    shutil.copytree(sample_folder, tmp_path / "patches")
    (tmp_path / "something else").mkdir()
    for folder in sample_folder.iterdir():
        (tmp_path / "patches" / f"._{folder.name}").touch()
    with open_source(tmp_path / "patches" / given, ARCHIVE) as source:
        assert 6 == disk.estimate_patches(source, PATCHES)


def test_an_empty_folder_needs_nothing(tmp_path: Path) -> None:
    """A folder without folders holds no patch."""
    with fake_source(None) as source:
        source.path = tmp_path

        assert 0 == disk.estimate_patches(source, PATCHES)


@pytest.mark.parametrize(("workers", "need"), [(1, "96.6"), (2, "97.9"), (8, "105.7")])
def test_a_full_disk_is_refused(
    workers: int, need: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error gives folder, free space and need; shards in work add to the need."""
    set_free(monkeypatch, 90_000_000_000)
    message = re.escape(f"in {tmp_path}: the build needs about {need} GB, 90.0 GB are")

    with (
        fake_source(ARCHIVE.nbytes) as source,
        pytest.raises(DiskSpaceError, match=message),
    ):
        check_space(source, tmp_path, ["tfrecord"], 590_326, workers)


def test_spool_and_shards_of_a_small_build_stand_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small build needs its patches twice: exactly that much space is enough."""
    need = 2 * 100 * 161_500

    with fake_source(ARCHIVE.nbytes) as source:
        set_free(monkeypatch, need)
        check_space(source, tmp_path, ["tfrecord"], 100)
        set_free(monkeypatch, need - 1)
        with pytest.raises(DiskSpaceError, match="not enough disk space"):
            check_space(source, tmp_path, ["tfrecord"], 100)


def test_all_formats_are_reckoned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Formats add up, and the spool stands beside them: no byte less is enough."""
    need = 100 * (161_500 + 130_000 + 175_000 + 161_500)
    with fake_source(ARCHIVE.nbytes) as source:
        set_free(monkeypatch, need)
        check_space(source, tmp_path, FORMATS, 100)
        set_free(monkeypatch, need - 1)
        with pytest.raises(DiskSpaceError, match="not enough disk space"):
            check_space(source, tmp_path, FORMATS, 100)


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_takes_no_more_than_estimated(form: str, all_stores: Path) -> None:
    """The shards of the six real patches fit into the bytes that are reckoned."""
    store = open_store(all_stores, S2, form)
    nbytes = sum(p.stat().st_size for s in store.splits for p in store.shards(s))

    estimate = FORMATS[form].patch_nbytes(S2)

    assert 0.7 * estimate < nbytes / 6 <= estimate


def test_a_stored_patch_takes_no_more_than_estimated(
    sample_patches: Patches, patch_index: PatchIndex
) -> None:
    """The record of every real patch fits into the bytes that are reckoned for it."""
    from bigearthnet.engine.records import encode_record
    from bigearthnet.formats.tfrecord.encode import make_encoder
    from bigearthnet.formats.tfrecord.framing import RECORD_OVERHEAD
    from bigearthnet.schema.examples import assemble, get_make_example
    from bigearthnet.source.patch import RawPatch, decode_patch

    encode, make = make_encoder(S2.schema), get_make_example(S2, S2.schema)
    for patch_id, files in sample_patches.items():
        row = patch_index.find(patch_id)
        assert row is not None
        patch = decode_patch(RawPatch(row, patch_id, files), ARCHIVE, V1.nomenclature)
        content = assemble(next(iter(patch_index.describe([row]))), [(ARCHIVE, patch)])
        spooled = sum(map(len, encode_record(patch)))
        stored = len(encode(make(content))) + RECORD_OVERHEAD

        assert max(spooled, stored) <= 161_500
