from __future__ import annotations

import os
from pathlib import Path

import pytest

from bigearthnet.errors import OptionError
from builder.staging import find_leftovers, staging_folders


def make_targets(root: Path) -> dict[str, Path]:
    """Two folders that are to appear, at different depths."""
    return {"a": root / "x" / "y" / "1.0", "b": root / "flat"}


def paths(root: Path) -> set[str]:
    """Everything below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def fail_in(targets: dict[str, Path], error: BaseException) -> None:
    """Writes to both folders, and then fails."""
    with staging_folders(targets) as folders:
        for folder in folders.values():
            (folder / "file").write_text("content")
        raise error


def test_folders_appear_together(tmp_path: Path) -> None:
    """All folders get their names at the end, with what was written, and not before."""
    targets = make_targets(tmp_path)
    with staging_folders(targets) as folders:
        for key, folder in folders.items():
            (folder / "file").write_text(key)
        before = [target.exists() for target in targets.values()]

    assert [False, False] == before
    assert ["a", "b"] == [(t / "file").read_text() for t in targets.values()]
    assert {"x", "x/y", "x/y/1.0", "x/y/1.0/file", "flat", "flat/file"} == paths(
        tmp_path
    )


def test_unfinished_folders_stand_beside_their_targets(tmp_path: Path) -> None:
    """They are on the same disk, under names that readers pass over and people know."""
    targets = make_targets(tmp_path)
    with staging_folders(targets) as folders:
        for key, folder in folders.items():
            assert targets[key].parent == folder.parent
            assert folder.name.startswith("incomplete.")
            assert folder.name.endswith(f"_{targets[key].name}")
            assert [folder] == find_leftovers(targets[key])


def test_finished_folders_are_for_everybody(tmp_path: Path) -> None:
    """A finished folder can be listed by other users, like any new folder."""
    targets = make_targets(tmp_path)
    with staging_folders(targets):
        pass

    assert [0o755, 0o755] == [t.stat().st_mode & 0o777 for t in targets.values()]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
def test_after_an_error_nothing_is_left(error: BaseException, tmp_path: Path) -> None:
    """No target, no unfinished folder and no parent stays, whatever went wrong."""
    with pytest.raises(type(error)):
        fail_in(make_targets(tmp_path / "new"), error)

    assert set() == paths(tmp_path)


def test_after_an_error_what_is_of_others_stays(tmp_path: Path) -> None:
    """Folders that were there before, or hold something else by now, are kept."""
    targets = make_targets(tmp_path)
    (tmp_path / "x").mkdir()

    def write() -> None:
        with staging_folders(targets):
            (tmp_path / "x" / "y" / "other").mkdir()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()

    assert {"x", "x/y", "x/y/other"} == paths(tmp_path)


@pytest.mark.parametrize("key", ["a", "b"])
def test_what_is_there_is_refused(key: str, tmp_path: Path) -> None:
    """One target that exists is an error before anything is made, and is kept."""
    targets = make_targets(tmp_path)
    targets[key].mkdir(parents=True)
    before = paths(tmp_path)

    with (
        pytest.raises(OptionError, match=f"{targets[key]} is there already. Delete"),
        staging_folders(targets),
    ):
        pass

    assert before == paths(tmp_path)


def test_another_build_may_be_first(tmp_path: Path) -> None:
    """A target that appeared meanwhile is kept as it is, and the error says so."""
    targets = {"b": tmp_path / "flat"}
    match = "flat is there already: another build was finished first"

    def write() -> None:
        with staging_folders(targets) as folders:
            (folders["b"] / "file").write_text("mine")
            targets["b"].mkdir()
            (targets["b"] / "file").write_text("theirs")

    with pytest.raises(OptionError, match=match):
        write()

    assert {"flat", "flat/file"} == paths(tmp_path)
    assert "theirs" == (targets["b"] / "file").read_text()


def test_leftovers_are_of_the_same_target(tmp_path: Path) -> None:
    """Only unfinished folders of that very target are found, in order of names."""
    for name in (
        "incomplete.2_flat",
        "incomplete.1_flat",
        "incomplete.1_other",
        "flat",
    ):
        (tmp_path / name).mkdir()

    assert [tmp_path / "incomplete.1_flat", tmp_path / "incomplete.2_flat"] == (
        find_leftovers(tmp_path / "flat")
    )
    assert [] == find_leftovers(tmp_path / "nowhere" / "flat")


def test_a_failure_while_names_are_given_takes_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a folder cannot be made durable, no target stays, nor anything else."""

    def fail(path: Path) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr("builder.staging.sync_folder", fail)
    targets = {"one": tmp_path / "one", "two": tmp_path / "two"}

    with pytest.raises(OSError, match="Invalid argument"), staging_folders(targets):
        pass

    assert [] == list(tmp_path.iterdir())


def test_folders_have_the_permissions_of_the_user(tmp_path: Path) -> None:
    """A mask that lets the group write holds for the folders, too."""
    before = os.umask(0o002)
    try:
        with staging_folders({"one": tmp_path / "one"}):
            pass
    finally:
        os.umask(before)

    assert 0o775 == (tmp_path / "one").stat().st_mode & 0o777
