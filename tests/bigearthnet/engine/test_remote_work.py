from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.engines import Engine, LocalEngine
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.storage import open_scratch
from bigearthnet.engine.tries import PartTask, ShardTry
from bigearthnet.errors import (
    ArchiveError,
    DiskSpaceError,
    EngineError,
    JournalError,
    OptionError,
)
from bigearthnet.release.patch_index import PatchIndex
from bigearthnet.source.archive_index import index_file, write_index
from bigearthnet.util.remote import parse_url
from builder import jobs
from builder.build import build
from tests.bigearthnet.engine.buckets import (
    FORMATS,
    OPTIONS,
    OTHER,
    S2,
    Meddling,
    Patches,
    WriteArchive,
    check,
    run,
)
from tests.bigearthnet.engine.test_spread import Dying
from tests.s3 import S3


def test_a_bucket_gets_the_same_bytes(
    source: S3, real_stores: dict[str, bytes]
) -> None:
    """From a folder in a bucket into the bucket: files are those of one machine."""
    run(LocalEngine(), formats=FORMATS)
    found = source.contents("data")
    check(found, real_stores)
    assert len(found) == len(real_stores)


def test_an_indexed_tar_in_a_bucket(
    s3: S3,
    fake_patches: Patches,
    write_archive: WriteArchive,
    patch_index: PatchIndex,
    tmp_path: Path,
) -> None:
    """Parts of a .tar in a bucket, whose records are sorted, make the same bytes."""
    path = write_archive(tmp_path, fake_patches, kind="tar")
    write_index(path, S2.archives[0], patch_index, size=2)
    build(path, tmp_path / "data", S2, OPTIONS)
    name = f"source/{path.name}"
    for file in (path, index_file(path)):
        s3.client.put_object(
            Bucket="bucket", Key=f"source/{file.name}", Body=file.read_bytes()
        )
    build(parse_url(f"s3://bucket/{name}"), parse_url("s3://bucket/data"), S2, OPTIONS)
    found = {p: c for p, c in s3.contents("data").items() if not p.endswith(OTHER)}
    made = {path: (tmp_path / "data" / path).read_bytes() for path in found}
    for folder in ("source", "data"):
        s3.clear(folder)
    assert found == made
    assert len([path for path in found if "tfrecord-" in path]) == 4


@pytest.mark.parametrize("end_at", [2, 3])
def test_another_driver_goes_on(
    end_at: int, source: S3, real_stores: dict[str, bytes]
) -> None:
    """What was done before the driver's end, in either stage, is not done again."""
    with pytest.raises(EngineError, match="gone"):
        run(Dying(end_at))
    assert {key.split("/")[0] for key in source.contents("data")} == {
        "incomplete.bigearthnet-s2"
    }
    source.requests.clear()
    run()
    assert not [r for r in source.requests if r.endswith(".tif")]
    check(source.contents("data"), real_stores)


def test_another_build_is_in_the_way(source: S3, real_stores: dict[str, bytes]) -> None:
    """An unfinished build of something else is kept, until it is discarded."""
    options = BuildOptions(quiet=True, workers=1)
    with pytest.raises(EngineError):
        run(Dying(3), options=options)
    kept = source.contents("data")
    with pytest.raises(OptionError, match=r"s3://bucket/data/inc.*something else"):
        run()
    assert source.contents("data") == kept
    run(restart=True)
    check(source.contents("data"), real_stores)


OTHERS = BuildOptions(quiet=True, workers=1)


class After:
    """Does something once after the first task of a stage."""

    def __init__(self, stage: type, meddle: Callable[[], object]) -> None:
        self._stage, self._meddle = stage, meddle

    def map(self, task: Callable[[Any], Any], values: Sequence[Any]) -> Iterator[Any]:
        """Yields the results, one after another."""
        for number, value in enumerate(values):
            result = task(value)
            if isinstance(value[1], self._stage) and not number:
                self._meddle()
            yield result


@pytest.mark.parametrize(
    "engine",
    [
        lambda other: Meddling(PartTask, other),
        lambda other: After(PartTask, other),
        lambda other: Meddling(ShardTry, other),
        lambda other: After(ShardTry, other),
    ],
)
def test_a_discarded_build_leaves_what_follows(
    engine: Callable[[Callable[[], object]], Engine], source: S3
) -> None:
    """A driver whose build another one discards ends, and spoils nothing of that."""

    def discard() -> None:
        with pytest.raises(EngineError, match="gone"):
            run(Dying(3), OTHERS, restart=True)

    with pytest.raises((EngineError, JournalError), match="another command"):
        run(engine(discard))
    source.requests.clear()
    run(options=OTHERS)
    assert not [r for r in source.requests if r.endswith(".tif")]
    found = source.contents("data")
    source.clear("data")
    run(options=OTHERS)
    made = source.contents("data")
    assert found.keys() == made.keys()
    assert all(found[p] == c for p, c in made.items() if not p.endswith(OTHER))


def test_a_discarded_build_is_not_published(
    source: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that was about to publish publishes nothing of what was discarded."""
    publish = jobs.publish

    def late(*args: Any) -> None:
        monkeypatch.setattr(jobs, "publish", publish)
        run(options=OTHERS, restart=True)
        made.update(source.contents("data"))
        publish(*args)

    made: dict[str, bytes] = {}
    monkeypatch.setattr(jobs, "publish", late)
    with pytest.raises(EngineError, match="another command"):
        run()
    assert source.contents("data") == made


def test_what_came_in_the_meantime_is_kept(
    source: S3, real_stores: dict[str, bytes]
) -> None:
    """A store that somebody put there since the build began is not mixed with its."""

    def put() -> None:
        source.client.put_object(Bucket="bucket", Key="data/arrow/other", Body=b"1")

    for engine in (Meddling(ShardTry, put), None):  # also by who resumes
        with pytest.raises(OptionError, match=r"data/arrow is there since"):
            run(engine)
        assert source.contents("data/arrow") == {"other": b"1"}
    source.client.delete_object(Bucket="bucket", Key="data/arrow/other")
    run()
    check(source.contents("data"), real_stores)


def test_who_joins_a_build_does_not_end_it(
    source: S3, real_stores: dict[str, bytes]
) -> None:
    """A second driver of the same build that is interrupted at once deletes nothing."""

    class Interrupted:
        def map(self, task: Any, values: Sequence[Any]) -> Iterator[Any]:
            raise KeyboardInterrupt

    def join() -> None:
        with pytest.raises(KeyboardInterrupt):
            run(Interrupted())

    run(Meddling(PartTask, join))
    check(source.contents("data"), real_stores)


@pytest.mark.parametrize("content", [b"", b"{", None])
def test_what_a_part_says_is_damaged(
    content: bytes | None, source: S3, real_stores: dict[str, bytes]
) -> None:
    """The summary of a part that is damaged or missing is named."""
    damage = change(source, ".json", content)
    with pytest.raises(
        JournalError, match=r"s2-00000-of-00001.*json is damaged.*--restart"
    ):
        run(After(PartTask, damage))
    run(restart=True)
    check(source.contents("data"), real_stores)


@pytest.mark.parametrize("content", [b"", None])
def test_the_index_of_a_spool_is_damaged(
    content: bytes | None, source: S3, real_stores: dict[str, bytes]
) -> None:
    """Another driver that finds no index of a spool which was whole says so."""
    with pytest.raises(EngineError):
        run(Dying(3))
    change(source, "/index", content)()
    with pytest.raises(JournalError, match=r"s3://.*index is damaged.*--restart"):
        run()
    run(restart=True)
    check(source.contents("data"), real_stores)


def change(source: S3, name: str, content: bytes | None) -> Callable[[], object]:
    """Returns what changes a file in the workspace; None deletes it."""

    def meddle() -> None:
        (key,) = (
            k for k in source.keys("data") if "/spool-s2/" in k and k.endswith(name)
        )
        source.client.delete_object(Bucket="bucket", Key=key)
        if content is not None:
            source.client.put_object(Bucket="bucket", Key=key, Body=content)

    return meddle


def test_what_is_there_is_not_changed(source: S3) -> None:
    """A second build into the same place is refused, and leaves it as it is."""
    run()
    made = source.contents("data")
    with pytest.raises(OptionError, match=r"s3://bucket/data/arrow is there already"):
        run()
    assert source.contents("data") == made


def test_what_a_finished_build_left_is_deleted(source: S3) -> None:
    """A command that was killed while it cleared up leaves nothing for good."""
    run()
    made = source.contents("data")
    source.client.put_object(
        Bucket="bucket", Key="data/incomplete.bigearthnet-s2/1a/arrow/old", Body=b"1"
    )
    with pytest.raises(OptionError, match="is there already"):
        run()
    assert source.contents("data") == made


def test_the_folder_of_a_killed_driver_is_deleted(
    source: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The next build on a machine deletes what a killed one left, as of tries."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with open_scratch(parse_url("s3://bucket/data")) as work:
        shutil.copytree(work.parent, tmp_path / "bigearthnet-try-killed")
        run()
    assert [*tmp_path.iterdir()] == []


def test_a_full_folder_for_temporary_files() -> None:
    """The error names the folder, and says how to choose another one."""
    with (
        pytest.raises(DiskSpaceError, match=f"{tempfile.gettempdir()}, .* TMPDIR"),
        open_scratch(parse_url("s3://bucket/data")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_archives_that_cannot_be_read_in_ranges(
    s3: S3, write_archive: WriteArchive, fake_patches: Patches, tmp_path: Path
) -> None:
    """A .tar without an index, or a .tar.gz, in a bucket is told what it lacks."""
    data_dir = parse_url("s3://bucket/data")
    for kind, problem in {
        "tar": "has no index .*builder.index",
        "tar.gz": "a .tar with an index.*unpacked",
    }.items():
        path = write_archive(tmp_path, fake_patches, kind=kind)
        s3.client.put_object(
            Bucket="bucket", Key=f"source/{path.name}", Body=path.read_bytes()
        )
        with pytest.raises(ArchiveError, match=problem):
            build(parse_url(f"s3://bucket/source/{path.name}"), data_dir, S2, OPTIONS)
    s3.clear("source")
    assert s3.contents("data") == {}


def test_the_source_is_not_written_into(source: S3) -> None:
    """A data directory among the patches of a source is refused, also in a bucket."""
    given, data_dir = (parse_url(f"s3://bucket/source{n}") for n in ("", "/data"))
    with pytest.raises(OptionError, match=r"s3://bucket/source/data lies in the sou"):
        build(given, data_dir, S2, OPTIONS)
    assert source.contents("source/data") == {}


def test_tries_of_a_finished_build_send_nothing(source: S3) -> None:
    """A task that is still running when its build is over fails, and leaves nothing."""
    given: list[tuple[Callable[[Any], Any], Sequence[Any]]] = []

    class Remembering:
        def map(self, task: Any, values: Sequence[Any]) -> Iterator[Any]:
            given.append((task, values))
            return map(task, values)

    run(Remembering())
    made = source.contents("data")
    errors = [task(values[0])[1] for task, values in given]
    assert [type(error) for error in errors] == [EngineError, JournalError]
    assert source.contents("data") == made
