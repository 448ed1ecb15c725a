from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import keys, shards, stage_one, workers, workspace
from bigearthnet.engine.leftovers import remove_workspace
from bigearthnet.engine.options import BuildOptions
from bigearthnet.engine.pipeline import BuildResult, encode
from bigearthnet.engine.workspace import open_workspace
from bigearthnet.errors import ArchiveError, ChecksumError, JournalError, OptionError
from bigearthnet.release import V1
from bigearthnet.release.patch_index import PatchIndex, load_index
from bigearthnet.release.splits import SPLITS
from bigearthnet.schema.configs import get_config

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]

ALL = ("tfrecord", "parquet", "arrow")


def run(
    source: Path,
    folder: Path,
    *,
    config: str = "s2",
    formats: tuple[str, ...] = ("tfrecord",),
    boot: str = "A",
    **options: Any,
) -> BuildResult:
    """Builds a source into `folder / "out"`, or goes on with it; notes every patch."""
    settings = get_config(config)
    known = {"quiet": True, "workers": 1, "note_nbytes": 1, "include_excluded": True}
    with open_workspace(folder / "work", {}, boot=boot) as work:
        result = encode(
            source,
            work,
            formats,
            config=settings,
            release=V1,
            patches=load_index(settings.scheme),
            options=BuildOptions(**{**known, **options}),
        )
        work.publish({form: folder / "out" / form for form in formats})
    remove_workspace(folder / "work")
    return result


@contextmanager
def watch(
    module: Any, name: str, end_at: int | None = None, *, late: bool = False
) -> Iterator[list[Any]]:
    """Notes the first argument of each call of a function, and interrupts one of them.

    Args:
        module: Where the function is called from.
        name: Its name there.
        end_at: Number of the call that is interrupted, from 1; None for none.
        late: Interrupts the call when its work is done.
    """
    calls: list[Any] = []
    function = getattr(module, name)

    def call(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments[0])
        if len(calls) == end_at and not late:
            raise KeyboardInterrupt
        result = function(*arguments, **options)
        if len(calls) == end_at:
            raise KeyboardInterrupt
        return result

    with pytest.MonkeyPatch.context() as context:
        context.setattr(module, name, call)
        yield calls


def interrupt(source: Path, folder: Path, end_at: int, **options: Any) -> list[str]:
    """Interrupts stage one at a patch; returns the ids of those that were decoded."""
    with (
        watch(stage_one, "decode_patch", end_at) as raws,
        pytest.raises(KeyboardInterrupt),
    ):
        run(source, folder, **options)
    return [raw.patch_id for raw in raws[:-1]]


def interrupt_shards(
    source: Path, folder: Path, end_at: int, *, late: bool = False, **options: Any
) -> list[str]:
    """Interrupts stage two at a shard; returns the names of those written before."""
    with (
        watch(workers, "write_shard", end_at, late=late) as plans,
        pytest.raises(KeyboardInterrupt),
    ):
        run(source, folder, **options)
    return [plan.name for plan in plans[:-1]]


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
        "read": result.index.read.nonzero()[0].tolist(),
        "stored": result.index.stored.nonzero()[0].tolist(),
        "labels": result.index.labels[result.index.read].tolist(),
        "shards": [(s.split, s.num_patches, s.files) for s in result.shards],
        "sums": result.sums.to_json("train"),
        "source": (result.source_nbytes, result.source_sha256),
    }


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes a shard of every patch."""
    monkeypatch.setattr(keys, "MAX_PATCHES_PER_SHARD", 1)


@pytest.mark.parametrize(
    ("kind", "options", "numbers"),
    [
        ("tar.gz", {}, range(1, 7)),
        ("folder", {}, range(1, 7)),
        ("tar", {"sync_nbytes": 1, "formats": ALL}, (2, 6)),
        ("tar.gz", {"config": "s2-random"}, (3, 5)),
    ],
)
def test_no_patch_is_decoded_twice(
    kind: str,
    options: dict[str, Any],
    numbers: Iterable[int],
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """Interrupted at any patch, a build decodes the others, and ends the same."""
    source = write_archive(tmp_path, fake_patches, kind=kind, shuffle=3)
    with watch(stage_one, "decode_patch") as raws:
        expected = describe(run(source, tmp_path / "expected", **options))
    order = [raw.patch_id for raw in raws]
    for number in numbers:
        folder = tmp_path / str(number)
        first = interrupt(source, folder, number, **options)
        with watch(stage_one, "decode_patch") as raws:
            result = run(source, folder, **options)

        assert order == first + [raw.patch_id for raw in raws]
        assert number - 1 == len(first)
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
    """A selection stores the same patches after an interruption, each decoded once."""
    # The patch that is excluded comes first.
    source = write_archive(tmp_path, dict(reversed(fake_patches.items())))
    with watch(stage_one, "decode_patch") as raws:
        expected = run(source, tmp_path / "expected", **options)
    stored = {raw.patch_id for raw in raws if expected.index.is_stored(raw.row)}
    for number in (2, len(raws)):
        folder = tmp_path / str(number)
        first = interrupt(source, folder, number, **options)
        with watch(stage_one, "decode_patch") as others:
            result = run(source, folder, **options)

        assert int(result.index.stored.sum()) == options.get("limit", len(stored))
        assert {raw.patch_id for raw in raws} == {*first, *(r.patch_id for r in others)}
        assert not {r.patch_id for r in others} & {*first} & stored
        assert describe(expected) == describe(result)
        assert hash_files(tmp_path / "expected") == hash_files(folder)


def test_a_build_that_is_interrupted_again_and_again_ends(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """One more patch in each run is enough, whatever the buckets are called."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected")
    for bits in (6, 0, 3, 1, 6):
        with pytest.MonkeyPatch.context() as context:
            context.setattr(
                "bigearthnet.engine.spool.choose_bucket_bits", lambda n=bits: n
            )
            assert 1 == len(interrupt(source, tmp_path / "again", 2))
    with watch(stage_one, "decode_patch") as raws:
        run(source, tmp_path / "again", workers=2)

    assert 1 == len(raws)
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


def test_what_came_after_the_last_note_is_done_again(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """Records of which nobody took note do not end up in a shard."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected")
    options = {"note_nbytes": 400_000}  # three patches
    first = interrupt(source, tmp_path / "again", 6, **options)
    with watch(stage_one, "decode_patch") as raws:
        run(source, tmp_path / "again", **options)

    assert 5 == len(first)
    assert list(fake_patches)[3:] == [raw.patch_id for raw in raws]
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.parametrize("sync_nbytes", [1, 2**40])
def test_a_loss_of_power_costs_what_was_not_synchronised(
    sync_nbytes: int,
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """In another run of the machine only what is durable is relied on."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected")
    interrupt(source, tmp_path / "again", 5, sync_nbytes=sync_nbytes)
    with watch(stage_one, "decode_patch") as raws:
        run(source, tmp_path / "again", sync_nbytes=sync_nbytes, boot="B")

    assert (2 if sync_nbytes == 1 else 6) == len(raws)
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
            watch(workers, "write_shard") as plans,
            watch(stage_one, "open_source") as opened,
        ):
            result = run(source, folder, formats=formats)
        second = [plan.name for plan in plans]
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
def test_shards_outlive_a_loss_of_power(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A spool that is lost is filled again, and finished shards are kept."""
    source = write_archive(tmp_path, fake_patches)
    run(source, tmp_path / "expected")
    first = interrupt_shards(source, tmp_path / "again", 4)
    with (
        watch(workers, "write_shard") as plans,
        watch(stage_one, "decode_patch") as raws,
    ):
        run(source, tmp_path / "again", boot="B")

    assert (6, 3) == (len(raws), len(plans))
    assert not {*first} & {plan.name for plan in plans}
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.usefixtures("small_shards")
def test_a_finished_shard_that_went_is_an_error(
    fake_patches: Patches, write_archive: WriteArchive, tmp_path: Path
) -> None:
    """A shard whose spool is gone cannot be written again, and the error says so."""
    source = write_archive(tmp_path, fake_patches)
    interrupt_shards(source, tmp_path / "again", 4)
    next((tmp_path / "again" / "work" / "tfrecord").iterdir()).unlink()

    with pytest.raises(JournalError, match=r"is not there.*is not written.*--restart"):
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
        watch(workers, "write_shard") as plans,
        watch(stage_one, "open_source") as opened,
    ):
        result = run(source, tmp_path / "again")

    assert [[], []] == [plans, opened]
    assert expected == describe(result)
    assert states == find_states(tmp_path / "again" / "out")
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")


@pytest.mark.parametrize("is_continued", [True, False])
@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"expected_sha256": "0" * 64}, ChecksumError, "expected sha256 0000"),
        ({"countries": ("Kosovo",)}, OptionError, "no patch to store"),
        ({"expected_patches": 7}, ArchiveError, "expected 7 patches, found 6"),
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
    interrupt(source, tmp_path, 4, expected_sha256=digest, expected_patches=6)
    result = run(source, tmp_path, expected_sha256=digest, expected_patches=6)

    assert (source.stat().st_size, digest) == (
        result.source_nbytes,
        result.source_sha256,
    )


@pytest.mark.usefixtures("small_shards")
def test_shards_of_a_folder_that_changed_are_not_mixed(
    fake_patches: Patches,
    patch_index: PatchIndex,
    write_archive: WriteArchive,
    tmp_path: Path,
) -> None:
    """A finished shard is not used for other patches than it was written of."""
    source = write_archive(tmp_path, fake_patches, kind="folder")
    written = interrupt_shards(source, tmp_path / "again", 2, max_bad=3)
    train = [
        patch_id
        for patch_id in fake_patches
        if patch_index.splits[patch_index.find(patch_id)] == SPLITS.index("train")
    ]
    patch_id = min(train, key=lambda name: keys.hash_key("train", name))
    path = source / "BigEarthNet-v1.0" / patch_id / f"{patch_id}_B01.tif"
    path.write_bytes(b"damaged")
    result = run(source, tmp_path / "again", boot="B", max_bad=3)
    run(source, tmp_path / "expected", max_bad=3)

    assert ["train-00000-of-00002"] == written
    assert [patch_id] == [bad.patch_id for bad in result.quarantine]
    assert hash_files(tmp_path / "expected") == hash_files(tmp_path / "again")
