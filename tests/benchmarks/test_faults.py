from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.faults import builds, injected, kills
from benchmarks.faults.layer import BROKEN, FULL, FaultLayer, PowerLossError
from bigearthnet.util.files import sync_folder, write_text

Patches = dict[str, dict[str, bytes]]
WriteArchive = Callable[..., Path]
Action = Callable[[Path], object]

# Draws enough for each possible outcome to come up.
SEEDS = range(40)

# Where a build can be ended.
STAGES = {"begin or end", "stage one", "stage two", "publishing"}

LOSS = injected.FAULTS[-1]


def cut_power(root: Path, action: Action, seed: int) -> dict[str, bytes]:
    """Does something, and cuts the power; path → content of the files that are left."""

    def run() -> None:
        with FaultLayer(root, at=1, only="rmdir", seed=seed):
            action(root)
            os.rmdir(root)  # which fails

    with pytest.raises(PowerLossError):
        run()
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def find_outcomes(tmp_path: Path, action: Action, before: Action) -> list[list[str]]:
    """Cuts the power again and again; the different sets of files that are left."""
    found = []
    for seed in SEEDS:
        root = tmp_path / str(seed)
        root.mkdir()
        before(root)
        left = cut_power(root, action, seed)
        found.append(sorted(f"{name}={left[name].decode()}" for name in left))
    return sorted(set(map(tuple, found)))  # type: ignore[arg-type]


def append(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Writes to the end of a file as the engine does."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.writev(file, (content[:3], content[3:]))
    if sync:
        os.fsync(file)
    os.close(file)


def nothing(root: Path) -> None:
    """Does nothing."""


def test_what_was_not_synchronised_may_vanish(tmp_path: Path) -> None:
    """Of bytes that were not synchronised a part is left, or zeros in its place."""

    def write(root: Path) -> None:
        append(root / "a", b"durable", sync=True)
        sync_folder(root)
        append(root / "a", b"0123456789")

    ends = []
    for seed in SEEDS:
        root = tmp_path / str(seed)
        root.mkdir()
        content = cut_power(root, write, seed)["a"]

        assert content[:7] == b"durable"
        ends.append(content[7:])

    assert all(e in (b"0123456789"[: len(e)], bytes(len(e))) for e in ends)
    assert {True, False} == {end.startswith(b"\0") for end in ends if end}
    assert len(set(map(len, ends))) > 5


def test_what_was_synchronised_stays(tmp_path: Path) -> None:
    """A file that is written as the engine writes is there whole."""
    outcomes = find_outcomes(tmp_path, lambda r: write_text("text", r / "a"), nothing)

    assert [("a=text",)] == outcomes


def test_a_name_that_was_not_synchronised_may_vanish(tmp_path: Path) -> None:
    """A file whose content is durable is lost if its folder was not synchronised."""
    outcomes = find_outcomes(
        tmp_path, lambda r: append(r / "a", b"text", sync=True), nothing
    )

    assert [(), ("a=text",)] == outcomes


@pytest.mark.parametrize("is_synced", [True, False])
def test_renaming_is_taken_back_unless_it_was_synchronised(
    is_synced: bool, tmp_path: Path
) -> None:
    """Both names are as they were, or both as they are to be."""

    def rename(root: Path) -> None:
        os.rename(root / "new", root / "a")
        if is_synced:
            sync_folder(root)

    def before(root: Path) -> None:
        (root / "a").write_text("old")
        (root / "new").write_text("new")

    outcomes = find_outcomes(tmp_path, rename, before)

    assert [("a=new",), ("a=old", "new=new")][: 1 if is_synced else 2] == outcomes


def test_deleting_is_taken_back_unless_it_was_synchronised(tmp_path: Path) -> None:
    """A file that was deleted may be there again."""
    outcomes = find_outcomes(
        tmp_path,
        lambda root: os.unlink(root / "a"),
        lambda root: (root / "a").write_text("old"),
    )

    assert [(), ("a=old",)] == outcomes


def test_names_of_a_folder_vanish_from_the_last(tmp_path: Path) -> None:
    """Changes of one folder are lost in the order in which a disk would lose them."""

    def write(root: Path) -> None:
        os.mkdir(root / "folder")
        for name in "ab":
            append(root / "folder" / name, name.encode(), sync=True)
        sync_folder(root)
        append(root / "c", b"c", sync=True)

    a, b, c = "folder/a=a", "folder/b=b", "c=c"

    assert sorted([(), (a,), (a, b), (c,), (c, a), (c, a, b)]) == find_outcomes(
        tmp_path, write, nothing
    )


def test_calls_below_the_folder_are_counted(tmp_path: Path) -> None:
    """Calls that change nothing, or something elsewhere, are not."""
    root = tmp_path / "root"
    root.mkdir()
    with FaultLayer(root) as layer:
        append(tmp_path / "elsewhere", b"text", sync=True)
        os.listdir(root)
        elsewhere = layer.num_calls
        append(root / "a", b"text", sync=True)  # open, writev, fsync
        append(root / "a", b"text")  # writev
        os.rename(root / "a", root / "b")
        os.unlink(root / "b")
    with FaultLayer(root, only="writev") as writes:
        append(root / "a", b"text", sync=True)
        append(root / "a", b"text")

    assert (0, 6, 2) == (elsewhere, layer.num_calls, writes.num_calls)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_one_call_fails(number: int, tmp_path: Path) -> None:
    """The call that was chosen fails, and those before and after it do not."""
    failed = []
    with FaultLayer(tmp_path, at=number, error=BROKEN, only="writev"):
        for _ in range(3):
            try:
                append(tmp_path / "a", b"text")
            except OSError as error:
                failed.append((error.errno, error.filename))
    content = (tmp_path / "a").read_bytes()

    assert [(errno.EIO, str(tmp_path / "a"))] == failed
    assert 8 <= len(content) <= 12
    assert content.startswith(b"text" * (number - 1))
    assert content.endswith(b"text" * (3 - number))


def test_a_full_disk_takes_a_part(tmp_path: Path) -> None:
    """A write that fails may have written something."""
    sizes = set()
    for seed in SEEDS:
        path = tmp_path / str(seed)
        with (
            FaultLayer(tmp_path, at=1, error=FULL, only="writev", seed=seed),
            pytest.raises(OSError, match="No space left"),
        ):
            append(path, b"text")
        sizes.add(path.stat().st_size)

    assert {0, 1, 2, 3, 4} == sizes


def test_without_power_nothing_can_be_done(tmp_path: Path) -> None:
    """After the loss every call fails, so that nobody tidies up."""

    def run() -> None:
        with FaultLayer(tmp_path, at=1):
            for name in "ab":
                try:
                    append(tmp_path / name, b"text")
                finally:
                    append(tmp_path / "tidy", b"text")

    with pytest.raises(PowerLossError):
        run()

    assert [] == list(tmp_path.iterdir())


def test_the_functions_of_the_system_come_back(tmp_path: Path) -> None:
    """After a fault `os` is as it was, and nothing is left beside the folder."""
    before = {name: getattr(os, name) for name in ("open", "writev", "fsync", "rename")}
    root = tmp_path / "root"
    root.mkdir()
    cut_power(root, lambda folder: write_text("text", folder / "a"), 0)

    assert before == {name: getattr(os, name) for name in before}
    assert [root] == list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def source(
    fake_patches: Patches,
    write_archive: WriteArchive,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """An archive of the fake patches, in all four splits."""
    return write_archive(tmp_path_factory.mktemp("source"), fake_patches)


@pytest.fixture(scope="module")
def expected(
    source: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """Formats → the files of an undisturbed build."""
    found = {}
    for formats in (("arrow",), ("tfrecord", "parquet", "arrow")):
        folder = tmp_path_factory.mktemp("expected")
        with pytest.MonkeyPatch.context() as context, builds.small_shards(1):
            context.setattr(builds, "FORMATS", formats)
            builds.run_build(source, folder)
        found[" ".join(formats)] = builds.hash_tree(folder)
    return found


@pytest.mark.parametrize(
    ("fault", "trials"),
    [*((fault, 2) for fault in injected.FAULTS[:-1]), (LOSS, 12)],
    ids=lambda value: getattr(value, "name", None),
)
def test_builds_outlive_faults(
    fault: injected.Fault,
    trials: int,
    source: Path,
    expected: dict[str, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever happens at a random call, the next run leaves the right files."""
    monkeypatch.setattr(builds, "FORMATS", ("arrow",))
    with builds.small_shards(1):
        found = list(
            injected.run_trials(
                fault, trials, source, tmp_path, expected["arrow"], seed=5
            )
        )

    assert [""] * trials == found
    assert [] == list(tmp_path.iterdir())


def test_a_wrong_build_is_noticed(
    source: Path,
    expected: dict[str, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that differs, lacks or is too much is named."""
    monkeypatch.setattr(builds, "FORMATS", ("arrow",))
    wrong = {**expected["arrow"], "arrow/manifest.json": "0", "missing": "0"}
    del wrong["patches.parquet"]
    with builds.small_shards(1):
        (problem,) = injected.run_trials(LOSS, 1, source, tmp_path, wrong, seed=1)

    assert {"arrow/manifest.json", "missing", "patches.parquet"} == set(
        problem.split(", ")
    )


def test_an_error_that_does_not_go_away_is_a_problem(
    expected: dict[str, dict[str, str]], source: Path, tmp_path: Path
) -> None:
    """A build that fails without a fault is not taken for a finished one."""
    with pytest.MonkeyPatch.context() as context, builds.small_shards(1):
        context.setattr(builds, "FORMATS", ("arrow",))
        total = injected.count_calls(source, tmp_path / "count", None)
        context.setattr(injected, "count_calls", lambda *_: total)
        context.setattr("builder.jobs.open_workspace", fail_always, raising=True)
        (problem,) = injected.run_trials(
            LOSS, 1, source, tmp_path, expected["arrow"], seed=1
        )

    assert "OSError: always" == problem


def fail_always(*_: object, **__: object) -> None:
    """Fails."""
    raise OSError("always")


@pytest.mark.parametrize(("kind", "trials"), [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_builds_outlive_signals(
    kind: signal.Signals,
    trials: int,
    source: Path,
    expected: dict[str, dict[str, str]],
    tmp_path: Path,
) -> None:
    """A process that is ended at a random moment is replaced by the next one."""
    victims = kills.Victims(source, 1)
    victims.seconds = 0.5
    hashes = expected["tfrecord parquet arrow"]
    found = list(kills.run_trials(kind, trials, victims, tmp_path, hashes, seed=3))

    assert [""] * trials == [problem for problem, _ in found]
    assert {stage for _, stage in found} <= STAGES
    assert [] == list(tmp_path.iterdir())
