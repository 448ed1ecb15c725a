"""The workspace of a build: the folder that holds everything until it is published.

    incomplete.<name>/build.json      source, options and versions; see `identity`
                      lock            held by the processes of the build
                      journal.jsonl   what is done; see `journal`
                      spool-<lane>/   the spool of a source; see `spool`, `spooled`
                      attempts-*/     what an engine's machines write; see `tries`
                      <store>/        the stores, until they are published

    quarantine.<name>.jsonl          the bad patches of a build that stored nothing
    drop.<name>.txt                  the patches of the store beside that it lacked

An interrupted build is resumed by opening its workspace again. Work that has an entry
in the journal is not repeated; everything else is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bigearthnet.engine.identity import check_identity, read_identity
from bigearthnet.engine.journal import Journal
from bigearthnet.engine.leftovers import (
    IDENTITY,
    LOCK,
    PREFIX,
    clear_folder,
    lock_folder,
)
from bigearthnet.errors import OptionError
from bigearthnet.schema.configs import Config
from bigearthnet.util.files import (
    make_folder,
    sync_folder,
    sync_tree,
    write_json,
)
from bigearthnet.util.remote import Place

if TYPE_CHECKING:
    from bigearthnet.engine.remote_work import RemoteWork

JOURNAL = "journal.jsonl"


def workspace_folder(data_dir: Path, config: Config) -> Path:
    """Returns the folder in which a configuration is built for a data directory."""
    return data_dir / f"{PREFIX}bigearthnet-{config.name}"


@dataclass
class Workspace:
    """An opened workspace.

    Attributes:
        folder: The folder.
        journal: What is done.
        lock: Descriptor of the lock; processes of the build inherit it, so that no
            other build begins while one of them is running.
        is_continued: Whether an earlier run has finished a part of the build.
        is_over: Whether the workspace can be deleted.
        remote: Its part at a URL; None if all machines of the build see the folder.
    """

    folder: Path
    journal: Journal
    lock: int
    is_continued: bool
    is_over: bool = False
    remote: RemoteWork | None = None

    @property
    def place(self) -> Place:
        """Where an interrupted build is kept."""
        return self.folder if self.remote is None else self.remote.folder

    def spool(self, lane: str) -> Path:
        """Returns the folder of the spool of a source; see `SpooledSource.lane`."""
        return self.folder / f"spool-{lane}"

    def spool_place(self, lane: str) -> Place:
        """Returns where the buckets of a source are, for all machines of the build."""
        return self.spool(lane) if self.remote is None else self.remote.spool(lane)

    def begin_spool(self, lane: str) -> Path:
        """Makes the folder of the spool of a source, empty, and returns it.

        Raises:
            OSError: If it cannot be made, or an earlier one cannot be deleted.
        """
        folder = self.spool(lane)
        if folder.exists():
            shutil.rmtree(folder)
        make_folder(folder)
        return folder

    def output(self, store: str) -> Path:
        """Returns the folder of an unfinished store, made if missing."""
        folder = self.folder / store
        make_folder(folder)
        return folder

    def output_place(self, store: str) -> Place:
        """Returns where shards are, for all machines of the build; made if missing."""
        return self.output(store) if self.remote is None else self.remote.output(store)

    def record(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry to the journal; see `Journal.append`."""
        self.journal.append(entry)
        if self.remote is not None:
            self.remote.send(self.remote.journal, self.folder / JOURNAL)

    @property
    def quarantine(self) -> Place:
        """Where a build that ends without a store leaves the list of bad patches."""
        name = f"quarantine.{self._name}.jsonl"
        if self.remote is None:
            return self.folder.with_name(name)
        return self.remote.folder.parent / name

    @property
    def drop_list(self) -> Path:
        """Where it leaves the list of patches that the store beside it would lack."""
        return self.folder.with_name(f"drop.{self._name}.txt")

    @property
    def _name(self) -> str:
        return self.folder.name.removeprefix(PREFIX)

    @property
    def is_published(self) -> bool:
        """Whether all stores are finished; some may have been renamed already."""
        return bool(self.journal.find("publish"))

    def check_targets(self, targets: Mapping[str, Path]) -> None:
        """Checks that no store of another build stands where those of this one go.

        Args:
            targets: Name of each store → its final folder.

        Raises:
            OptionError: If one of these exists and is not of this build.
        """
        for store, target in targets.items():
            is_ours = self.is_published and not (self.folder / store).exists()
            if target.exists() and not is_ours:
                raise OptionError(
                    f"{target} is there already. Delete it to build it again, or "
                    "choose another data_dir."
                )

    def publish(self, targets: Mapping[str, Path]) -> None:
        """Renames the finished stores to their final folders, or resumes doing so.

        Args:
            targets: Name of each store → its final folder, on the same disk.

        Raises:
            OptionError: See `check_targets`.
            OSError: If a store cannot be renamed.
        """
        self.check_targets(targets)
        if not self.is_published:
            for store in targets:
                sync_tree(self.folder / store)
            sync_folder(self.folder)
            self.journal.append({"kind": "publish"})
        for store, target in targets.items():
            if not target.exists():
                make_folder(target.parent)
                (self.folder / store).rename(target)
        for target in targets.values():
            sync_folder(target.parent)


@contextmanager
def open_workspace(
    folder: Path,
    identity: Mapping[str, Any],
    *,
    restart: bool = False,
    remote: RemoteWork | None = None,
) -> Iterator[Workspace]:
    """Opens the workspace of a build, new or interrupted; a context manager.

    At the end the workspace is deleted if it `is_over`, and after an error also if
    nothing in it can be resumed.

    Args:
        folder: The folder of the workspace; made, with its parents, if missing.
        identity: See `identify_build`: an interrupted build is resumed only if it has
            the same.
        restart: Deletes an interrupted build first.
        remote: The part of the workspace at a URL; see `open_remote_work`.

    Raises:
        OptionError: If another process builds in this folder, or it holds an
            interrupted build with another identity.
        JournalError: If the journal or the identity is damaged.
        OSError: If the folder cannot be made or written to.
    """
    missing = [parent for parent in folder.parents if not parent.exists()]
    lock = lock_folder(folder)
    work: Workspace | None = None
    is_begun = False
    try:
        if restart or not (folder / IDENTITY).exists():
            is_begun = True
            clear_folder(folder, keep=(LOCK,))
            write_json(identity, folder / IDENTITY)
        check_identity(read_identity(folder / IDENTITY), identity, folder)
        with closing(Journal(folder / JOURNAL)) as journal:
            is_continued = bool(journal.entries)
            work = Workspace(folder, journal, lock, is_continued, remote=remote)
            yield work
    except BaseException:
        is_over = is_begun if work is None else work.is_over or not work.journal.entries
        if is_over:
            with suppress(OSError):  # the error that ended the build matters more
                clear_folder(folder)
                for path in (folder, *missing):
                    path.rmdir()
                # What was found there may be the work of a driver that goes on.
                if remote is not None and (remote.is_new or (work and work.is_over)):
                    remote.clear()
        raise
    else:
        if work.is_over:
            clear_folder(folder)
            folder.rmdir()
            if remote is not None:
                remote.clear()
    finally:
        os.close(lock)
