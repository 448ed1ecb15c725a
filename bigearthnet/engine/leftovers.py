"""Locks and clears the folders of unfinished builds, and what else builds leave."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bigearthnet.errors import OptionError
from bigearthnet.util.files import make_folder, sync_folder
from bigearthnet.util.locks import try_lock

# TFDS's own prefix for what is not finished; it never reads from there.
PREFIX = "incomplete."

# What a build is, which makes a folder a workspace; and its lock.
IDENTITY, LOCK = "build.json", "lock"

# Seconds that the processes of a killed build get to notice that it is gone.
_LOCK_PATIENCE_S = 5.0


def lock_folder(folder: Path) -> int:
    """Makes a folder and locks it; returns the descriptor that holds the lock.

    Raises:
        OptionError: If another process has it locked.
        OSError: If it cannot be made.
    """
    end = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        make_folder(folder)
        path = folder / LOCK
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if try_lock(file, path):
            return file
        os.close(file)
        if time.monotonic() > end:
            raise OptionError(
                f"another process builds in {folder}. Wait until it is done, or choose "
                "another data_dir."
            )
        time.sleep(0.05)


def remove_workspace(folder: Path) -> None:
    """Removes the workspace of a finished build; nothing happens if there is none.

    Raises:
        OptionError: If a process builds in it.
    """
    if folder.exists():
        lock = lock_folder(folder)
        try:
            clear_folder(folder)
        finally:
            os.close(lock)
        folder.rmdir()


def clear_folder(folder: Path, keep: Iterable[str] = ()) -> None:
    """Deletes what a workspace holds; first what makes it one.

    Args:
        folder: The workspace; its lock is held.
        keep: Names that stay.

    Raises:
        OSError: If something cannot be deleted.
    """
    first = folder / IDENTITY
    others = [path for path in folder.iterdir() if path.name not in keep]
    for path in sorted(others, key=lambda path: (path != first, path.name == LOCK)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        if path == first:
            sync_folder(folder)


def remove_finished(folder: Path, formats: Sequence[str]) -> None:
    """Removes the workspace of a build of some formats alone, unless one is at work.

    Args:
        folder: The workspace, which need not be there.
        formats: Names of the formats; their stores are finished.
    """
    try:
        found = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        if found["formats"] == sorted(formats):
            remove_workspace(folder)
    except (OSError, ValueError, LookupError, TypeError):
        return  # not one of these


def remove_leftovers(target: Path, keep: Path | None = None) -> None:
    """Removes what TFDS left of builds that were killed, of a folder that is built.

    Args:
        target: The folder that is to appear; its workspace is locked.
        keep: The one that is in use.
    """
    for path in target.parent.glob(f"{PREFIX}*_{target.name}"):
        if path != keep:
            shutil.rmtree(path)


def remove_unfinished(folder: Path) -> None:
    """Deletes files that were being written when a build was interrupted."""
    for path in folder.rglob("*.unfinished"):
        path.unlink()
