"""Locks and deletes workspaces, and deletes other files that killed builds leave."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bigearthnet.errors import OptionError
from bigearthnet.util.files import make_folder, read_json_object, sync_folder
from bigearthnet.util.locks import try_lock

# TFDS's own prefix of unfinished folders; it never reads from there.
PREFIX = "incomplete."

# A folder without an identity is not a workspace, and may be cleared.
IDENTITY, LOCK = "build.json", "lock"

# How folders begin in which machines of an engine write; those of what is to go, where
# none of them writes.
ATTEMPTS, _DISCARDED = "attempts-", "discarded-"

# Seconds to wait for the lock: workers of a killed build take a moment to end.
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
                f"another process builds in {folder}. Wait until it has finished, or "
                "choose another data_dir."
            )
        time.sleep(0.05)


def remove_workspace(folder: Path) -> None:
    """Deletes the workspace of a finished build, if there is one.

    Raises:
        OptionError: If another process builds in it.
        OSError: If it cannot be deleted.
    """
    if folder.exists():
        lock = lock_folder(folder)
        try:
            clear_folder(folder)
        finally:
            os.close(lock)
        folder.rmdir()


def clear_folder(folder: Path, keep: Iterable[str] = ()) -> None:
    """Deletes the content of a workspace: its identity first, and its lock last.

    If that is interrupted, the rest has no identity, and is cleared by the next build.

    Args:
        folder: The workspace; its lock is held.
        keep: Names that stay.

    Raises:
        OSError: If something cannot be deleted.
    """
    first = folder / IDENTITY
    if first.exists():
        first.unlink()
        sync_folder(folder)
    remove_attempts(folder)
    others = [path for path in folder.iterdir() if path.name not in keep]
    for path in sorted(others, key=lambda path: path.name == LOCK):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def remove_attempts(folder: Path) -> None:
    """Ends all tries of an engine's tasks: they can rename nothing any more.

    A try may be writing while its folder is deleted. So the folder is renamed first:
    then the try finds no path to it, and all that it can still do is delete, too.

    Args:
        folder: The workspace; its lock is held.

    Raises:
        OSError: If something cannot be renamed or deleted.
    """
    for path in folder.glob(f"{ATTEMPTS}*"):
        path.rename(folder / path.name.replace(ATTEMPTS, _DISCARDED, 1))
    for path in folder.glob(f"{_DISCARDED}*"):
        while path.exists():
            with suppress(FileNotFoundError):  # deleted by the try itself
                shutil.rmtree(path)


def remove_finished(folder: Path, formats: Sequence[str]) -> None:
    """Deletes a workspace if it is of a build of exactly these formats.

    Args:
        folder: The workspace, which may be missing, or in use by another process.
        formats: Names of the formats; their stores are finished.
    """
    try:
        if read_json_object(folder / IDENTITY)["formats"] == sorted(formats):
            remove_workspace(folder)
    except (OSError, ValueError, LookupError):
        return  # in use, missing, damaged, or of something else


def remove_leftovers(target: Path, keep: Path | None = None) -> None:
    """Deletes the unfinished folders that killed builds of TFDS left.

    Args:
        target: The final folder of the build; its workspace is locked.
        keep: The unfinished folder that is in use.
    """
    for path in target.parent.glob(f"{PREFIX}*_{target.name}"):
        if path != keep:
            shutil.rmtree(path)
