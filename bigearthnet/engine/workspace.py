"""The folder of an unfinished build: who may write to it, and what is done in it.

    incomplete.<name>/build.json      what is built from what; see `identity`
                      journal.jsonl   what is done; see `journal`
                      spool/          stage one
                      <format>/       the stores, until they are published

A build that was interrupted, however, is continued by opening its workspace again. All
that is done stands in the journal; what does not is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigearthnet.engine.journal import Journal
from bigearthnet.engine.leftovers import (
    IDENTITY,
    LOCK,
    PREFIX,
    clear_folder,
    lock_folder,
    remove_unfinished,
)
from bigearthnet.errors import JournalError, OptionError
from bigearthnet.schema.configs import Config
from bigearthnet.util.files import make_folder, sync_folder, sync_tree, write_json

_JOURNAL, _SPOOL = "journal.jsonl", "spool"


def workspace_folder(data_dir: Path, config: Config) -> Path:
    """Returns where a configuration is built that goes to a data directory."""
    return data_dir / f"{PREFIX}bigearthnet-{config.name}"


@dataclass
class Workspace:
    """An opened workspace.

    Attributes:
        folder: The folder.
        journal: What is done.
        lock: Descriptor of the lock; processes of the build inherit it, so that no
            other build begins while one of them lives.
        boot: What names this run of the machine; None if that is not known.
        is_continued: Whether an earlier run has begun the build.
        is_over: Whether nothing of it is needed any more.
    """

    folder: Path
    journal: Journal
    lock: int
    boot: str | None
    is_continued: bool
    is_over: bool = False

    @property
    def spool(self) -> Path:
        """The folder of the spool."""
        return self.folder / _SPOOL

    def output(self, form: str) -> Path:
        """Returns the folder of a store that is not finished, made if missing."""
        folder = self.folder / form
        make_folder(folder)
        return folder

    def nbytes(self) -> int:
        """Returns the bytes of all files that are there."""
        return sum(
            os.stat(os.path.join(here, name)).st_size
            for here, _, names in os.walk(self.folder)
            for name in names
        )

    @property
    def is_published(self) -> bool:
        """Whether the stores are finished, and some of them may have their names."""
        return bool(self.journal.find("publish"))

    def publish(self, targets: Mapping[str, Path]) -> None:
        """Gives the finished stores their names; what was interrupted goes on.

        Args:
            targets: Name of each format → folder that is to appear, on the same disk.

        Raises:
            OptionError: If one is there that is not of this build.
            OSError: If one cannot be renamed.
        """
        begun = self.is_published
        for form, target in targets.items():
            is_there = (self.folder / form).exists()
            if target.exists() and (is_there or not begun):
                raise OptionError(
                    f"{target} is there already. Delete it to build it again, or "
                    "choose another data_dir."
                )
        if not begun:
            sync_tree(self.folder)
            self.journal.append({"kind": "publish"}, durable=True)
        for form, target in targets.items():
            if not target.exists():
                make_folder(target.parent)
                (self.folder / form).rename(target)
        for target in targets.values():
            sync_folder(target.parent)
        sync_folder(self.folder)


@contextmanager
def open_workspace(
    folder: Path,
    identity: Mapping[str, Any],
    *,
    restart: bool = False,
    boot: str | None = None,
) -> Iterator[Workspace]:
    """Begins a build, or continues one that was interrupted.

    Afterwards it is there unless it is over; after an error, also unless nothing is
    done.

    Args:
        folder: The folder of the workspace; made, with its parents, if missing.
        identity: What is built from what, JSON: an unfinished build is continued if
            it says the same.
        restart: Gives up what is there of an unfinished build.
        boot: What names this run of the machine; None to ask the system.

    Raises:
        OptionError: If another process builds in this folder, or the unfinished build
            that it holds is another one.
        JournalError: If its records are damaged.
        OSError: If the folder cannot be made or written to.
    """
    missing = [parent for parent in folder.parents if not parent.exists()]
    lock = lock_folder(folder)
    journal: Journal | None = None
    work: Workspace | None = None
    is_begun = False
    try:
        if restart or not (folder / IDENTITY).exists():
            is_begun = True
            clear_folder(folder, keep=(LOCK,))
            make_folder(folder / _SPOOL)
            write_json(identity, folder / IDENTITY)
        _check_identity(folder / IDENTITY, identity)
        journal = Journal(folder / _JOURNAL)
        remove_unfinished(folder)
        work = Workspace(
            folder,
            journal,
            lock,
            boot or read_boot_id(),
            is_continued=bool(journal.entries),
        )
        yield work
    except BaseException:
        is_over = is_begun if work is None else work.is_over or not work.journal.entries
        if is_over:
            with suppress(OSError):  # the error that ended the build says more
                clear_folder(folder)
                for path in (folder, *missing):
                    path.rmdir()
        raise
    else:
        if work.is_over:
            clear_folder(folder)
            folder.rmdir()
    finally:
        if journal is not None:
            journal.close()
        os.close(lock)


def _check_identity(path: Path, identity: Mapping[str, Any]) -> None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        assert isinstance(found, dict)
    except (ValueError, AssertionError):
        raise JournalError(
            f"{path} is damaged. Build anew with --restart, or delete its folder."
        ) from None
    expected = json.loads(json.dumps(identity))
    names = [n for n in {**found, **expected} if found.get(n) != expected.get(n)]
    if names:
        changes = "; ".join(
            f"{n}: was {_shorten(found.get(n))}, is {_shorten(expected.get(n))}"
            for n in names
        )
        raise OptionError(
            f"{path.parent} holds an unfinished build of something else ({changes}). "
            "To continue it, build the same again; to give it up, delete the folder "
            "(--restart of builder.build does)."
        )


def _shorten(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def read_boot_id() -> str | None:
    """Returns what names this run of the machine; None where that is not known.

    As long as it is the same, what was written is there, synchronised or not.

    Source: random(4), /proc/sys/kernel/random/boot_id.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
