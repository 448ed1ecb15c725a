"""Folders that get their names only when all that belongs together is finished."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from bigearthnet.encoding.files import sync_folder
from bigearthnet.errors import OptionError

# TFDS's own name for a build that is not finished; it never reads from one.
_PREFIX = "incomplete."


@contextmanager
def staging_folders(targets: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Makes a folder beside each target, and gives all their names at the end.

    Args:
        targets: Anything → a folder that is to appear.

    Yields:
        The same keys → the folder to write to. After an error nothing is left of them.

    Raises:
        OptionError: If a target is there already.
    """
    for target in targets.values():
        if target.exists():
            raise OptionError(
                f"{target} is there already. Delete it to build it again, or choose "
                "another data_dir."
            )
    missing = dict.fromkeys(
        parent
        for target in targets.values()
        for parent in target.parents
        if not parent.exists()
    )
    folders: dict[str, Path] = {}
    try:
        for key, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            name = tempfile.mkdtemp(
                prefix=_PREFIX, suffix=f"_{target.name}", dir=target.parent
            )
            folders[key] = Path(name)
            folders[key].chmod(0o777 & ~_read_umask())
        yield folders
        for key, target in targets.items():
            _publish(folders[key], target)
        for target in targets.values():
            sync_folder(target.parent)
    except BaseException:
        for key, folder in folders.items():
            if not folder.exists():  # published already
                targets[key].rename(folder)
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        for parent in missing:
            with suppress(OSError):  # not empty: somebody else's by now
                parent.rmdir()
        raise


def _read_umask() -> int:
    """Returns the process's mask of permissions, which can only be read by setting."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _publish(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        if target.exists():
            raise OptionError(
                f"{target} is there already: another build was finished first."
            ) from None
        raise error


def find_leftovers(target: Path) -> list[Path]:
    """Finds folders of builds of the same thing that were killed, or still run."""
    return sorted(target.parent.glob(f"{_PREFIX}*_{target.name}"))
