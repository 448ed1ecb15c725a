from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import keys, shards, stage_one, workers, workspace
from bigearthnet.engine.job import Job, JobSource
from bigearthnet.engine.leftovers import clear_folder, remove_workspace
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import encode
from bigearthnet.engine.workspace import open_workspace
from bigearthnet.errors import ArchiveError, ChecksumError, JournalError, OptionError
from bigearthnet.release import RELEASES, Digest
from bigearthnet.schema.configs import get_config
from bigearthnet.store.result import BuildResult

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ALL = ("tfrecord", "parquet", "arrow")


def run(
    source: Path,
    folder: Path,
    *,
    config: str = "s2",
    formats: tuple[str, ...] = ("tfrecord",),
    digest: Digest | None = None,
    num_patches: int | None = None,
    **options: Any,
) -> BuildResult:
    """Builds a source into `folder / "out"`, or resumes doing so."""
    settings = get_config(config, RELEASES)
    known = {"quiet": True, "workers": 1, "include_excluded": True}
    sources = (JobSource(settings.archives[0], source, digest, num_patches),)
    job = Job(settings, sources, formats, BuildOptions(**{**known, **options}))
    with open_workspace(folder / "work", {}) as work:
        result = encode(job, work)
        work.publish({form: folder / "out" / form for form in formats})
    remove_workspace(folder / "work")
    return result


@contextmanager
def watch(
    module: Any, name: str, end_at: int | None = None, *, late: bool = False
) -> Iterator[list[Any]]:
    """Notes the arguments of each call of a function, and interrupts one of them.

    Args:
        module: Where the function is called from.
        name: Its name there.
        end_at: Number of the call that is interrupted, from 1; None for none.
        late: Interrupts the call when its work is done.
    """
    calls: list[Any] = []
    function = getattr(module, name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == end_at and not late:
            raise KeyboardInterrupt
        result = function(*arguments, **options)
        if len(calls) == end_at:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as context:
        context.setattr(module, name, call)
        yield calls


def interrupt(
    source: Path, folder: Path, end_at: int, *, is_killed: bool = True, **options: Any
) -> None:
    """Interrupts stage one at a patch.

    Args:
        source: The archive.
        folder: See `run`.
        end_at: Number of the patch, from 1.
        is_killed: Leaves the workspace as a killed process does.
        options: See `run`.
    """
    with pytest.MonkeyPatch.context() as context:
        if is_killed:
            context.setattr(workspace, "clear_folder", clear_before)
        with (
            watch(stage_one, "decode_patch", end_at),
            pytest.raises(KeyboardInterrupt),
        ):
            run(source, folder, **options)


def clear_before(folder: Path, keep: tuple[str, ...] = ()) -> None:
    """Clears a folder before a build, and not after it."""
    if not keep:
        raise OSError
    clear_folder(folder, keep)


def interrupt_shards(
    source: Path, folder: Path, end_at: int, *, late: bool = False, **options: Any
) -> list[str]:
    """Interrupts stage two at a shard; returns the names of those written before."""
    with (
        watch(workers, "write_shard", end_at, late=late) as tasks,
        pytest.raises(KeyboardInterrupt),
    ):
        run(source, folder, **options)
    return [task.plan.name for task, *_ in tasks[:-1]]


def hash_files(folder: Path) -> dict[str, str]:
    """Returns path → sha256 of all files below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def find_states(folder: Path) -> dict[str, tuple[int, int]]:
    """Returns path → inode and time of the files of shards."""
    files = [path for path in folder.rglob("*-of-*") if path.is_file()]
    states = ((str(path.relative_to(folder)), path.stat()) for path in files)
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in states}


def describe(result: BuildResult) -> dict[str, Any]:
    """All that a build says of what it did."""
    return {
        "read": result.read.nonzero()[0].tolist(),
        "stored": result.stored.nonzero()[0].tolist(),
        "labels": result.labels[result.read].tolist(),
        "shards": [(s.split, s.num_patches, s.files) for s in result.shards],
        "sums": result.sums.to_json("train"),
        "sources": result.sources,
    }


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a shard of every patch."""
    monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", 1)


@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.parametrize(
    ("kind", "options", "numbers"),
    [
        ("tar.gz", {}, range(1, 7)),
        ("folder", {}, (1, 4, 6)),
        ("tar", {"formats": ALL}, (2, 6)),
        ("tar.gz", {"config": "s2-random"}, (3, 5)),
    ],
)
def test_a_source_that_was_not_spooled_to_its_end_is_read_again(
    kind: str,
    options: dict[str, Any],
    numbers: Iterable[int],
    is_killed: bool,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Interrupted at any patch, a build reads all of them again, and ends the same."""
    source = write_archive(tmp_path, fake_patches, kind=kind, shuffle=3)
    with watch(stage_one, "decode_patch") as raws:
        expected = describe(run(source, tmp_path / "expected", **options))
    order = [raw.name for raw, *_ in raws]
    for number in numbers:
        folder = tmp_path / str(number)
        interrupt(source, folder, number, is_killed=is_killed, **options)
        is_left = (folder / "work" / "spool-s2").exists()
        with watch(stage_one, "decode_patch") as raws:
            result = run(source, folder, **options)

        assert is_killed == is_left
        assert order == [raw.name for raw, *_ in raws]
        assert expected == describe(result)
        assert hash_files(tmp_path / "expected") == hash_files(folder)


@pytest.mark.parametrize(
    "options",
    [
        {"limit": 3},
        {"include_excluded": False},
        {"include_excluded": False, "limit": 4},
        {"countries": ("Finland",)},
    ],
)
def test_what_was_chosen_stays_chosen(
    options: dict[str, Any],
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A selection stores the same patches after an interruption."""
    # The patch that is excluded comes first.
    source = write_archive(tmp_path, dict(reversed(fake_patches.items())))
    with watch(stage_one, "decode_patch") as raws:
        expected = run(source, tmp_path / "expected", **options)
    for number in (2, len(raws)):
        folder = tmp_path / str(number)
        interrupt(source, folder, number, **options)
        result = run(source, folder, **options)

        assert options.get("limit") in (None, int(result.stored.sum()))
        assert describe(expected) == describe(result)
        assert hash_files(tmp_path / "expected") == hash_files(folder)


def test_spools_of_killed_builds_leave_nothing_in_the_shards(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Builds that were killed again and again, with other buckets, do no harm."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected")
    for bits in (6, 0, 3, 1, 6):
        with pytest.MonkeyPatch.context() as context:
            context.setattr(
                "bigearthnet.engine.spool.choose_bucket_bits", lambda _, n=bits: n
            )
            interrupt(source, tmp_path / "again", 5)
    run(source, tmp_path / "again", workers=2)

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    ("formats", "late", "numbers"),
    [
        (("tfrecord",), False, range(1, 7)),
        (("tfrecord",), True, (1, 4, 6)),
        (ALL, True, (2, 5)),
    ],
)
def test_no_shard_is_written_twice(
    formats: tuple[str, ...],
    late: bool,
    numbers: Iterable[int],
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Interrupted at any shard, a build writes the others, without the source."""
    source = write_archive(tmp_path, fake_patches)
    expected = describe(run(source, tmp_path / "expected", formats=formats))
    for number in numbers:
        folder = tmp_path / str(number)
        first = interrupt_shards(source, folder, number, late=late, formats=formats)
        states = find_states(folder / "work")
        with (
            watch(workers, "write_shard") as tasks,
            watch(stage_one, "open_source") as opened,
        ):
            result = run(source, folder, formats=formats)
        second = [task.plan.name for task, *_ in tasks]
        kept = states.items() & find_states(folder / "out").items()

        assert [] == opened
        assert 6 == len({*first, *second}) == len(first) + len(second)
        assert number - 1 == len(first)
        assert (number - 1 + late) * len(formats) == len(states)
        assert (number - 1) * len(formats) == len(kept)
        assert expected == describe(result)
        assert hash_files(tmp_path / "expected") == hash_files(folder)


@pytest.mark.usefixtures("small_shards")
def test_half_a_shard_is_not_used(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Files that were being written are removed, and nothing of them is left."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected", formats=ALL)
    with (
        watch(shards, "decode_record", 3),
        pytest.raises(KeyboardInterrupt),
    ):
        run(source, tmp_path / "again", formats=ALL)

    assert list((tmp_path / "again" / "work").rglob("*.unfinished"))

    run(source, tmp_path / "again", formats=ALL, workers=2)

    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.usefixtures("small_shards")
def test_a_finished_shard_that_went_is_an_error(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A shard whose spool is gone cannot be written again, and the error says so."""
    source = write_archive(tmp_path, fake_patches)
    interrupt_shards(source, tmp_path / "again", 4)
    next((tmp_path / "again" / "work" / "tfrecord").iterdir()).unlink()

    with pytest.raises(
        JournalError, match=r"is missing, or.*is not written yet.*--restart"
    ):
        run(source, tmp_path / "again")


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("late", [True, False])
def test_a_finished_build_that_was_not_published_goes_on(
    late: bool, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Between the last shard and the final name nothing is done twice."""
    source = write_archive(tmp_path, fake_patches)
    expected = describe(run(source, tmp_path / "expected"))
    with (
        watch(workspace, "sync_tree", 1, late=late),
        pytest.raises(KeyboardInterrupt),
    ):
        run(source, tmp_path / "again")
    states = find_states(tmp_path / "again" / "work")
    with (
        watch(workers, "write_shard") as tasks,
        watch(stage_one, "open_source") as opened,
    ):
        result = run(source, tmp_path / "again")

    assert [[], []] == [tasks, opened]
    assert expected == describe(result)
    assert states == find_states(tmp_path / "again" / "out")
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.parametrize("is_continued", [True, False])
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"digest": Digest("sha256", "0" * 64)}, ChecksumError, "expected sha256 0000"),
        ({"countries": ("Kosovo",)}, OptionError, "no patch to store"),
        ({"num_patches": 7}, ArchiveError, "expected 7 patches, found 6"),
    ],
)
def test_what_nobody_can_use_is_not_kept(
    options: dict[str, Any],
    error: type[Exception],
    match: str,
    is_continued: bool,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A source that is not the right one, or has nothing, leaves no spool behind."""
    source = write_archive(tmp_path, fake_patches)
    if is_continued:
        interrupt(source, tmp_path / "new", 4, **options)

    with pytest.raises(error, match=match):
        run(source, tmp_path / "new", **options)

    assert not (tmp_path / "new" / "work").exists()


def test_a_resumed_build_checks_all_of_its_source(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """The checksum is that of the whole file, though half of it was spooled before."""
    source = write_archive(tmp_path, fake_patches)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    expected: dict[str, Any] = {"digest": Digest("sha256", digest), "num_patches": 6}
    interrupt(source, tmp_path, 4, **expected)
    (found,) = run(source, tmp_path, **expected).sources

    assert (source.stat().st_size, digest) == (found.nbytes, found.sha256)


@pytest.mark.usefixtures("small_shards")
def test_shards_of_a_folder_that_changed_are_not_mixed(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """All shards are of the patches that were spooled, whatever becomes of these."""
    source = write_archive(tmp_path, fake_patches, kind="folder")
    run(source, tmp_path / "expected")
    written = interrupt_shards(source, tmp_path / "again", 2)
    for patch_id in fake_patches:
        path = source / "BigEarthNet-v1.0" / patch_id / f"{patch_id}_B01.tif"
        path.write_bytes(b"damaged")
    run(source, tmp_path / "again")

    assert 1 == len(written)
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_index_is_an_error(
    damage: str, fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """An index that is not what was recorded is named, with what to do."""
    source = write_archive(tmp_path, fake_patches)
    interrupt_shards(source, tmp_path, 2)
    path = tmp_path / "work" / "spool-s2" / "index"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flip" else content[:-1])
    if damage == "remove":
        path.unlink()

    with pytest.raises(
        JournalError, match=f"{path} is damaged or missing: expected sha256.*--restart"
    ):
        run(source, tmp_path)
