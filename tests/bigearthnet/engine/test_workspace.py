from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine import leftovers, workspace
from bigearthnet.engine.leftovers import (
    remove_finished,
    remove_leftovers,
    remove_workspace,
)
from bigearthnet.engine.workspace import Workspace, open_workspace, workspace_folder
from bigearthnet.errors import JournalError, OptionError
from bigearthnet.release import RELEASES
from bigearthnet.schema.configs import get_config

IDENTITY: dict[str, Any] = {
    "source": {"bytes": 5, "mtime_ns": 2**62},
    "config": "s2",
    "formats": ["arrow", "tfrecord"],
    "limit": None,
    "countries": [],
}
FORMATS = ("tfrecord", "arrow", "parquet")

# Opens a workspace, says so, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from bigearthnet.engine.workspace import open_workspace
with open_workspace(Path(sys.argv[1]), {}) as work:
    work.journal.append({"kind": "begun"})
    print("open", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a workspace, in a folder that is not there either."""
    return tmp_path / "data" / "incomplete.bigearthnet-s2"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits a moment only for a lock."""
    monkeypatch.setattr(leftovers, "_LOCK_PATIENCE_S", 0.1)


def begin(folder: Path, identity: dict[str, Any] = IDENTITY) -> None:
    """Makes a workspace in which something is done."""
    with open_workspace(folder, identity) as work:
        work.journal.append({"kind": "begun"})
        (work.begin_spool("s2") / "bucket").write_bytes(b"spooled")


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a workspace open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "open\n" == process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def names(folder: Path) -> list[str]:
    """The paths of all files and folders below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def make_stores(work: Workspace) -> None:
    """Makes a store of each format, of one file in a folder."""
    for form in FORMATS:
        (work.output(form) / "train").mkdir()
        (work.output(form) / "train" / "shard").write_text(form)


def make_targets(data_dir: Path) -> dict[str, Path]:
    """Where the stores are to appear."""
    return {form: data_dir / form / "2.0.0" for form in FORMATS}


def interrupt_renames(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Interrupts the renaming of folders once so many are renamed."""
    rename, calls = Path.rename, itertools.count()

    def rename_or_end(self: Path, target: Path) -> Path:
        if self.is_dir() and next(calls) == after:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", rename_or_end)


def test_each_configuration_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Builds of several configurations into one directory do not meet."""
    found = [
        workspace_folder(tmp_path, get_config(n, RELEASES)) for n in ("s2", "s2-random")
    ]

    assert [
        tmp_path / "incomplete.bigearthnet-s2",
        tmp_path / "incomplete.bigearthnet-s2-random",
    ] == found


def test_a_build_begins_and_goes_on(folder: Path) -> None:
    """The journal, the spool and the stores are found again as they were left."""
    with open_workspace(folder, IDENTITY) as work:
        assert not work.is_continued
        work.journal.append({"kind": "begun"})
        (work.begin_spool("s2") / "bucket").write_bytes(b"spooled")
        (work.output("arrow") / "shard").write_bytes(b"a shard")
    with open_workspace(folder, IDENTITY) as work:
        assert work.is_continued
        assert [{"kind": "begun"}] == work.journal.entries
        assert b"spooled" == (work.spool("s2") / "bucket").read_bytes()
        assert folder / "arrow" == work.output("arrow")
        assert b"a shard" == (folder / "arrow" / "shard").read_bytes()


def test_a_spool_begins_empty(folder: Path) -> None:
    """What an interrupted build spooled goes, and the spools of other sources stay."""
    with open_workspace(folder, IDENTITY) as work:
        for lane in ("s2", "s1"):
            (work.begin_spool(lane) / "bucket").write_bytes(b"spooled")
        found = work.begin_spool("s2")

        assert work.spool("s2") == found
        assert [] == list(found.iterdir())
        assert b"spooled" == (work.spool("s1") / "bucket").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": 3}, "limit: was null, is 3"),
        ({"config": "s2-rgb"}, 'config: was "s2", is "s2-rgb"'),
        ({"more": 1}, "more: was null, is 1"),
        (
            {"source": {"bytes": 6, "mtime_ns": 2**62}},
            'source: was {"bytes": 5, "mtime_ns": 4611686018427387904}, is {"bytes": 6',
        ),
        (
            {"formats": ["arrow"], "countries": ["Finland"]},
            'formats: was ["arrow", "tfrecord"], is ["arrow"]; '
            'countries: was [], is ["Finland"]',
        ),
    ],
)
def test_another_build_is_refused(
    changes: dict[str, Any], said: str, folder: Path
) -> None:
    """What differs from the unfinished build is named, and the ways out."""
    begin(folder)
    before = names(folder)

    with (
        pytest.raises(OptionError) as caught,
        open_workspace(folder, {**IDENTITY, **changes}),
    ):
        pass

    assert f"{folder} holds an unfinished build" in str(caught.value)
    assert f"({said}" in str(caught.value)
    assert "--restart" in str(caught.value)
    assert all(f"{n}: was" not in str(caught.value) for n in {*IDENTITY} - {*changes})
    assert before == names(folder)


def test_a_build_that_lacks_what_is_asked_for_is_another(folder: Path) -> None:
    """An identity that has less than the unfinished build's is refused, too."""
    begin(folder)
    less = {name: value for name, value in IDENTITY.items() if name != "config"}

    with (
        pytest.raises(OptionError, match='config: was "s2", is null'),
        open_workspace(folder, less),
    ):
        pass


@pytest.mark.parametrize("identity", [IDENTITY, {**IDENTITY, "limit": 3}])
def test_restart_gives_up_what_is_there(identity: dict[str, Any], folder: Path) -> None:
    """With `restart` a build begins empty, whatever was there."""
    begin(folder)
    (folder / "arrow").mkdir()
    (folder / "arrow" / "stale").touch()
    with open_workspace(folder, identity, restart=True) as work:
        assert not work.is_continued
        assert ["build.json", "journal.jsonl", "lock"] == names(folder)
        work.journal.append({"kind": "begun"})
    with open_workspace(folder, identity) as work:
        assert work.is_continued


@pytest.mark.parametrize("content", ["", "{", "[]", "\0" * 20])
def test_a_damaged_identity_is_an_error(content: str, folder: Path) -> None:
    """What cannot be compared is not continued, but may be given up."""
    begin(folder)
    (folder / "build.json").write_text(content)

    with (
        pytest.raises(JournalError, match=r"build\.json is damaged.*--restart"),
        open_workspace(folder, IDENTITY),
    ):
        pass
    with open_workspace(folder, IDENTITY, restart=True) as work:
        assert not work.is_continued


def test_a_damaged_journal_is_an_error(folder: Path) -> None:
    """A journal that is damaged in its middle ends the build, and is kept."""
    begin(folder)
    journal = folder / "journal.jsonl"
    journal.write_bytes(b"?" + journal.read_bytes() * 2)

    with (
        pytest.raises(JournalError, match=r"journal\.jsonl is damaged"),
        open_workspace(folder, IDENTITY),
    ):
        pass
    assert journal.is_file()
    with open_workspace(folder, IDENTITY, restart=True) as work:
        assert not work.is_continued


def test_what_has_no_identity_was_being_removed(folder: Path) -> None:
    """What is left of a workspace is not mixed into a new one."""
    begin(folder)
    (folder / "build.json").unlink()
    with open_workspace(folder, IDENTITY) as work:
        assert not work.is_continued
        assert not work.spool("s2").exists()


@pytest.mark.usefixtures("impatient")
def test_a_second_build_is_refused(folder: Path) -> None:
    """As long as a process has it open, nobody else can use or remove a workspace."""
    with hold(folder):
        for use in (
            lambda: open_workspace(folder, {}).__enter__(),
            lambda: open_workspace(folder, {}, restart=True).__enter__(),
            lambda: remove_workspace(folder),
        ):
            with pytest.raises(OptionError, match=f"another process.*{folder}"):
                use()
        remove_finished(folder, [])

        assert ["build.json", "journal.jsonl", "lock"] == names(folder)


def test_a_killed_build_gives_way(folder: Path) -> None:
    """The lock of a process that was killed is free, and its work is there."""
    with hold(folder) as process:
        process.kill()
        process.wait()
        with open_workspace(folder, {}) as work:
            assert work.is_continued


def test_a_child_keeps_the_lock(folder: Path, impatient: None) -> None:
    """A process of a build that still lives keeps others out after its end."""
    with open_workspace(folder, {}) as work:
        work.journal.append({"kind": "begun"})
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            pass_fds=(work.lock,),
        )
    with pytest.raises(OptionError, match="another process"):
        open_workspace(folder, {}).__enter__()
    child.communicate(b"\n")
    with open_workspace(folder, {}) as work:
        assert work.is_continued


def test_a_short_overlap_is_waited_for(folder: Path) -> None:
    """Processes of a killed build get some time to end."""
    with open_workspace(folder, {}) as work:
        work.journal.append({"kind": "begun"})
        child = subprocess.Popen(["sleep", "0.3"], pass_fds=(work.lock,))
    with open_workspace(folder, {}) as work:
        assert work.is_continued
    assert 0 == child.wait()


@pytest.mark.parametrize("is_over", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_build_without_result_leaves_nothing(
    is_over: bool, error: type[BaseException], folder: Path
) -> None:
    """After an error a workspace that helps nobody vanishes, its parents included."""

    def fail() -> None:
        with open_workspace(folder, IDENTITY) as work:
            work.output("arrow")
            (work.begin_spool("s2") / "bucket").touch()
            if is_over:
                work.journal.append({"kind": "begun"})
                work.is_over = True
            raise error

    with pytest.raises(error):
        fail()

    assert not folder.parent.exists()
    assert folder.parent.parent.exists()


def test_parents_that_were_there_stay(folder: Path) -> None:
    """An error removes what the build has made, and nothing else."""
    (folder.parent / "other").mkdir(parents=True)

    with pytest.raises(ValueError, match="nothing"), open_workspace(folder, {}):
        raise ValueError("nothing")

    assert ["other"] == names(folder.parent)


def test_a_build_with_a_result_is_kept_after_an_error(folder: Path) -> None:
    """What stands in the journal can be used again."""

    def fail() -> None:
        with open_workspace(folder, {}) as work:
            work.journal.append({"kind": "begun"})
            raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        fail()
    with open_workspace(folder, {}) as work:
        assert work.is_continued


def test_the_error_of_the_build_comes_through(folder: Path) -> None:
    """A folder that was taken away does not hide what ended the build."""

    def fail() -> None:
        with open_workspace(folder, {}):
            os.rename(folder, folder.with_name("elsewhere"))
            raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        fail()


def test_a_workspace_that_is_over_is_removed(folder: Path) -> None:
    """Without an error, too, nothing is left of it, but the folders above are."""
    with open_workspace(folder, {}) as work:
        work.journal.append({"kind": "begun"})
        (work.begin_spool("s2") / "bucket").touch()
        work.is_over = True

    assert [] == list(folder.parent.iterdir())


def test_finished_stores_get_their_names(folder: Path) -> None:
    """Every store appears whole, below folders that are made."""
    targets = make_targets(folder.parent)
    with open_workspace(folder, IDENTITY) as work:
        make_stores(work)
        before = work.is_published
        work.publish(targets)
        assert [False, True] == [before, work.is_published]
    remove_workspace(folder)

    for form, target in targets.items():
        assert ["train", "train/shard"] == names(target)
        assert form == (target / "train" / "shard").read_text()
    assert sorted(FORMATS) == sorted(path.name for path in folder.parent.iterdir())


@pytest.mark.parametrize("after", range(len(FORMATS)))
def test_an_interrupted_publication_goes_on(after: int, folder: Path) -> None:
    """Stores that have their names keep them, and the others get theirs."""
    targets = make_targets(folder.parent)

    def publish() -> None:
        with open_workspace(folder, {}) as work:
            make_stores(work)
            work.publish(targets)

    with pytest.MonkeyPatch.context() as context:
        interrupt_renames(context, after)
        with pytest.raises(KeyboardInterrupt):
            publish()

    assert after == sum(target.exists() for target in targets.values())
    with open_workspace(folder, {}) as work:
        assert work.is_published
        work.publish(targets)
    for form, target in targets.items():
        assert form == (target / "train" / "shard").read_text()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("is_begun", [True, False])
def test_a_foreign_store_is_never_touched(
    is_begun: bool, form: str, folder: Path
) -> None:
    """A folder that has the name of a store is neither replaced nor added to."""
    targets = make_targets(folder.parent)
    targets[form].mkdir(parents=True)
    (targets[form] / "foreign").touch()
    with open_workspace(folder, {}) as work:
        make_stores(work)
        if is_begun:
            work.journal.append({"kind": "publish"})
        with pytest.raises(OptionError, match=f"{targets[form]} is there already"):
            work.publish(targets)

    assert ["foreign"] == names(targets[form])
    assert all((folder / name / "train" / "shard").is_file() for name in FORMATS)
    assert 1 == sum(target.exists() for target in targets.values())


def test_a_workspace_is_removed_identity_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal that is interrupted leaves nothing that could be taken for a build."""
    begin(folder)

    def fail(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", fail)
    with pytest.raises(KeyboardInterrupt):
        remove_workspace(folder)

    assert not (folder / "build.json").exists()
    assert (folder / "lock").exists()


def test_nothing_is_removed_where_nothing_is(folder: Path) -> None:
    """Removing a workspace that is not there does not make one."""
    remove_workspace(folder)
    remove_finished(folder, ["tfrecord"])

    assert not folder.parent.exists()


@pytest.mark.parametrize(
    ("formats", "is_removed"),
    [
        (["tfrecord", "arrow"], True),
        (["arrow", "tfrecord"], True),
        (["tfrecord"], False),
        (["tfrecord", "arrow", "parquet"], False),
    ],
)
def test_only_the_workspace_of_what_is_finished_is_removed(
    formats: list[str], is_removed: bool, folder: Path
) -> None:
    """A build of other formats goes on, though one of them is finished."""
    begin(folder)
    remove_finished(folder, formats)

    assert is_removed != folder.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"formats": 1}', "\xff"])
def test_a_workspace_that_cannot_be_read_is_left(content: str, folder: Path) -> None:
    """What says nothing of its formats is not removed as finished."""
    begin(folder)
    (folder / "build.json").write_text(content, encoding="latin-1")
    remove_finished(folder, ["tfrecord"])

    assert (folder / "spool-s2" / "bucket").exists()


def test_leftovers_of_tfds_are_removed(tmp_path: Path) -> None:
    """Only unfinished folders of the same version go, and not the one in use."""
    for name in ("incomplete.a_2.0.0", "incomplete.b_2.0.0", "incomplete.c_1.0.0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shard").touch()
    for name in ("2.0.0", "c_2.0.0", "incomplete.bigearthnet-s2"):
        (tmp_path / name).mkdir()
    remove_leftovers(tmp_path / "2.0.0", keep=tmp_path / "incomplete.b_2.0.0")
    remove_leftovers(tmp_path / "nothing" / "2.0.0")

    assert [
        "2.0.0",
        "c_2.0.0",
        "incomplete.b_2.0.0",
        "incomplete.bigearthnet-s2",
        "incomplete.c_1.0.0",
    ] == sorted(path.name for path in tmp_path.iterdir())


def test_a_workspace_that_cannot_be_begun_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full from the start is left as it was."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace, "write_json", fail)
    with pytest.raises(OSError, match="No space"), open_workspace(folder, {}):
        pass

    assert not folder.parent.exists()
