"""A file layer that fails, and that forgets what was not synchronised.

It stands in for functions of `os` while a build runs in this process, and counts the
calls that change something below a folder. At a chosen one it raises an error, or cuts
the power: then the folder is put into a state that a disk may be in, in which

- a file holds at least what it held when it was last synchronised, and of what was
  written since a part, or zeros in its place;
- of the names that were made, changed or deleted in a folder since that was last
  synchronised, the first ones up to a random one hold.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

_PATCHED = (
    "fsync",
    "ftruncate",
    "link",
    "mkdir",
    "open",
    "rename",
    "rmdir",
    "unlink",
    "write",
    "writev",
)


class PowerLossError(BaseException):
    """Raised where the power was cut; nothing in a build may catch it."""


@dataclass
class _Change:
    """A name that was changed, and how to take that back."""

    folder: str
    undo: Callable[[], object]


class FaultLayer:
    """Replaces functions of `os`; a context manager.

    Attributes:
        calls: The functions so far that changed something, or synchronised.
    """

    def __init__(
        self,
        root: Path,
        *,
        at: int | None = None,
        error: int | None = None,
        only: str | None = None,
        seed: int = 0,
        loses_all: bool = False,
    ) -> None:
        """Takes a folder to watch.

        Args:
            root: Existing folder; what it holds is taken for durable.
            at: Number of the call that fails, from 1; None for none.
            error: `errno` that it fails with; None to cut the power.
            only: Counts the calls of this function of `os` alone.
            seed: Seed of what survives.
            loses_all: Whether nothing survives that was not synchronised.
        """
        self.calls: list[str] = []
        self._root, self._at, self._error = str(root), at, error
        self._only, self._loses_all = only, loses_all
        self._random = random.Random(seed)
        self._real = {name: getattr(os, name) for name in _PATCHED}
        self._backup = Path(f"{root}.backup")
        self._paths: dict[int, str] = {}
        self._changes: list[_Change] = []
        self._synced = {f.stat().st_ino: f.stat().st_size for f in _files(self._root)}
        self._is_down = False

    @property
    def num_calls(self) -> int:
        """How many calls there were."""
        return len(self.calls)

    def __enter__(self) -> FaultLayer:
        self._backup.mkdir()
        for name in _PATCHED:
            setattr(os, name, getattr(self, f"_{name}"))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name, function in self._real.items():
            setattr(os, name, function)
        if self._is_down:
            self._lose()
        shutil.rmtree(self._backup)

    def _count(self, name: str, path: object) -> None:
        """Counts a call below the root; fails if it is its turn."""
        if self._is_down:
            raise PowerLossError
        if not str(path).startswith(self._root) or self._only not in (None, name):
            return
        self.calls.append(name)
        if self.num_calls == self._at:
            if self._error is not None:
                raise OSError(self._error, os.strerror(self._error), str(path))
            self._is_down = True
            raise PowerLossError(f"call {self.num_calls}: {name} {path}")

    def _note(self, path: object, undo: Callable[[], object]) -> None:
        text = os.path.abspath(os.fspath(path))  # type: ignore[call-overload]
        if text.startswith(self._root):
            self._changes.append(_Change(os.path.dirname(text), undo))

    def _open(self, path: Any, flags: int, *args: Any, **options: Any) -> int:
        is_new = bool(flags & os.O_CREAT) and not os.path.exists(path)
        if is_new:
            self._count("open", path)
        file: int = self._real["open"](path, flags, *args, **options)
        above = self._paths.get(options.get("dir_fd", -1), "")
        self._paths[file] = os.path.join(above, str(path))
        if is_new:
            self._note(path, lambda: self._remove(path))
        if flags & os.O_TRUNC:
            self._synced.pop(os.fstat(file).st_ino, None)
        return file

    def _write(self, file: int, data: Any) -> int:
        self._count("write", self._paths.get(file, ""))
        count: int = self._real["write"](file, data)
        return count

    def _writev(self, file: int, pieces: Any) -> int:
        try:
            self._count("writev", self._paths.get(file, ""))
        except (PowerLossError, OSError):
            content = b"".join(pieces)  # a part of it may have been written
            part = content[: self._random.randrange(len(content) + 1)]
            self._real["write"](file, part)
            raise
        count: int = self._real["writev"](file, pieces)
        return count

    def _ftruncate(self, file: int, nbytes: int) -> None:
        self._count("ftruncate", self._paths.get(file, ""))
        self._real["ftruncate"](file, nbytes)
        inode = os.fstat(file).st_ino
        self._synced[inode] = min(self._synced.get(inode, 0), nbytes)

    def _fsync(self, file: int) -> None:
        path = self._paths.get(file, "")
        self._count("fsync", path)
        status = os.fstat(file)
        if os.path.isdir(path):
            here = os.path.abspath(path)
            self._changes = [c for c in self._changes if c.folder != here]
        else:
            self._synced[status.st_ino] = status.st_size
        # Not the real one: the disk has no part in it.

    def _mkdir(self, path: Any, *args: Any, **options: Any) -> None:
        self._count("mkdir", path)
        self._real["mkdir"](path, *args, **options)
        self._note(path, lambda: shutil.rmtree(path, ignore_errors=True))

    def _rename(self, source: Any, target: Any, **options: Any) -> None:
        self._count("rename", target)
        saved = self._save(target)
        self._real["rename"](source, target, **options)

        def undo() -> None:
            if os.path.exists(target):
                self._real["rename"](target, source)
            self._restore(saved, target)

        self._note(target, undo)

    def _link(self, source: Any, target: Any, **options: Any) -> None:
        self._count("link", target)
        self._real["link"](source, target, **options)
        self._note(target, lambda: self._remove(target))

    def _unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        where = path if dir_fd is None else os.path.join(self._paths[dir_fd], path)
        self._count("unlink", where)
        saved = self._save(where)
        self._real["unlink"](path, dir_fd=dir_fd)
        self._note(where, lambda: self._restore(saved, where))

    def _rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self._count("rmdir", path if dir_fd is None else self._paths[dir_fd])
        self._real["rmdir"](path, dir_fd=dir_fd)

    def _save(self, path: Any) -> Path | None:
        """Keeps a second name of a file that is about to lose its own."""
        if not os.path.isfile(path) or not str(path).startswith(self._root):
            return None
        saved = self._backup / str(len(list(self._backup.iterdir())))
        self._real["link"](path, saved)
        return saved

    def _restore(self, saved: Path | None, path: Any) -> None:
        if saved is not None and os.path.isdir(os.path.dirname(path)):
            self._remove(path)
            self._real["link"](saved, path)

    def _remove(self, path: Any) -> None:
        if os.path.lexists(path):
            self._real["unlink"](path)

    def _lose(self) -> None:
        """Puts the folder into a state that the disk may be in."""
        kept: dict[str, int] = {}
        for folder in {change.folder for change in self._changes}:
            count = sum(change.folder == folder for change in self._changes)
            kept[folder] = 0 if self._loses_all else self._random.randrange(count + 1)
        lost = []
        for change in self._changes:
            if kept[change.folder] > 0:
                kept[change.folder] -= 1
            else:
                lost.append(change)
        for change in reversed(lost):
            change.undo()
        for path in _files(self._root):
            self._shorten(path)

    def _shorten(self, path: Path) -> None:
        status = path.stat()
        synced = min(self._synced.get(status.st_ino, 0), status.st_size)
        kept = (
            synced if self._loses_all else self._random.randint(synced, status.st_size)
        )
        os.truncate(path, kept)
        if self._random.random() < 0.5:  # the size was stored, the content was not
            os.truncate(path, synced)
            os.truncate(path, kept)


def _files(root: str) -> list[Path]:
    return [path for path in Path(root).rglob("*") if path.is_file()]


# What a file system says when it is full, broken, and read-only.
FULL, BROKEN, READ_ONLY = errno.ENOSPC, errno.EIO, errno.EROFS
