"""Notes now and then which patches are in the spool, so that stage one can go on.

`index` in the workspace gets the rows of the spool's index that are new, and the
journal how far it is whole (`spooled`), when all of the source was read (`source`), and
how far all of it is durable (`durable`). A process that is killed loses what came after
the last note; a machine that goes down, what came after the last synchronisation, which
takes place beside the work, since it is the disk's.
"""

from __future__ import annotations

import os
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bigearthnet.engine.spool import bucket_path
from bigearthnet.engine.spool_index import SpoolIndex
from bigearthnet.engine.workspace import Workspace
from bigearthnet.errors import JournalError
from bigearthnet.util.files import sync_folder, write_all

_INDEX = "index"


@dataclass
class Trusted:
    """What of a spool can be relied on.

    Attributes:
        nbytes: Bytes of the index.
        crc: CRC-32 of these.
        source: The journal's entry of the source, once all of it was read.
    """

    nbytes: int
    crc: int
    source: dict[str, Any] | None


def find_trusted(entries: list[dict[str, Any]], boot: str | None) -> Trusted:
    """Finds out what of a spool is there after an interruption.

    Args:
        entries: The journal.
        boot: What names this run of the machine: what was written in the same run is
            there, whatever became of the process.
    """
    notes: list[dict[str, Any]] = []
    durable, published = 0, False
    for entry in entries:
        if entry["kind"] in ("spooled", "source"):
            notes.append(entry)
        elif entry["kind"] == "durable":
            durable = entry["index_nbytes"]
        elif entry["kind"] == "resumed":  # what came after is void
            notes = [n for n in notes if n["index_nbytes"] <= entry["index_nbytes"]]
            durable = min(durable, entry["index_nbytes"])
        elif entry["kind"] == "publish":  # which makes everything durable
            published = True
    good = [
        note
        for note in notes
        if published
        or note["index_nbytes"] <= durable
        or (boot and note["boot"] == boot)
    ]
    if not good:
        return Trusted(0, 0, None)
    last = good[-1]
    source = last if last["kind"] == "source" else None
    return Trusted(last["index_nbytes"], last["crc"], source)


class Checkpoints:
    """Restores the index of a spool, and notes what is added; a context manager.

    Attributes:
        source: The journal's entry of the source, once all of it was read.
    """

    def __init__(
        self,
        work: Workspace,
        index: SpoolIndex,
        *,
        note_nbytes: int,
        sync_nbytes: int,
    ) -> None:
        """Restores what can be relied on.

        Args:
            work: The workspace.
            index: The empty index to fill.
            note_nbytes: Bytes of the spool between two notes.
            sync_nbytes: Bytes of the spool between two synchronisations.

        Raises:
            JournalError: If the index is not what the journal says.
            OSError: If it cannot be read or written.
        """
        self._work, self._index = work, index
        self._note_nbytes, self._sync_nbytes = note_nbytes, sync_nbytes
        self._path = work.folder / _INDEX
        trusted = find_trusted(work.journal.entries, work.boot)
        index.load(self._read(trusted))
        if trusted.source is None and not self._is_whole():
            trusted = Trusted(0, 0, None)
            index.clear()
        self.source = trusted.source
        if work.journal.entries and self.source is None:
            note = {"kind": "resumed", "index_nbytes": trusted.nbytes}
            work.journal.append(note, durable=False)
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        os.ftruncate(self._file, trusted.nbytes)
        os.lseek(self._file, 0, os.SEEK_END)
        self._rows: list[int] = []
        self._index_nbytes, self._crc = trusted.nbytes, trusted.crc
        self._unnoted = self._unsynced = 0
        self._thread = ThreadPoolExecutor(1)
        self._sync: Future[None] | None = None

    def _read(self, trusted: Trusted) -> bytes:
        content = self._path.read_bytes() if self._path.exists() else b""
        content = content[: trusted.nbytes]
        if len(content) < trusted.nbytes or zlib.crc32(content) != trusted.crc:
            raise JournalError(
                f"{self._path} is damaged. Build anew with --restart, or delete its "
                "folder."
            )
        return content

    def _is_whole(self) -> bool:
        """Whether every bucket has all the records that the index knows of."""
        for place, end in self._index.bucket_ends().items():
            path = bucket_path(self._work.spool, *place)
            if not path.exists() or path.stat().st_size < end:
                return False
        return True

    def add(self, row: int, nbytes: int) -> None:
        """Takes note that the index has something new of a patch.

        Args:
            row: Row of the patch.
            nbytes: Bytes that its record takes in the spool.

        Raises:
            OSError: If it cannot be written, or an earlier synchronisation failed.
        """
        self._rows.append(row)
        self._unnoted += nbytes
        if self._unnoted >= self._note_nbytes:
            self._note()

    def finish(self, source: dict[str, Any]) -> None:
        """Takes note that stage one is done.

        Args:
            source: What is to be known of the source, JSON.

        Raises:
            OSError: If it cannot be written.
        """
        self._note()
        self.source = {"kind": "source", **source, **self._place()}
        self._work.journal.append(self.source, durable=False)
        if self._sync is not None:  # large enough to have been synchronised before
            self._begin_sync()

    def _note(self) -> None:
        content = self._index.dump(self._rows)
        write_all(self._file, (content,), len(content), self._path)
        self._index_nbytes += len(content)
        self._crc = zlib.crc32(content, self._crc)
        self._unsynced += self._unnoted
        self._rows, self._unnoted = [], 0
        self._work.journal.append({"kind": "spooled", **self._place()}, durable=False)
        if self._unsynced >= self._sync_nbytes:
            self._begin_sync()

    def _place(self) -> dict[str, Any]:
        return {
            "index_nbytes": self._index_nbytes,
            "crc": self._crc,
            "boot": self._work.boot,
        }

    def _begin_sync(self) -> None:
        self._wait()
        self._unsynced = 0
        self._sync = self._thread.submit(self._synchronise, self._index_nbytes)

    def _synchronise(self, nbytes: int) -> None:
        """Makes the spool durable, as far as it was noted when this was asked for."""
        for path in list(self._work.spool.iterdir()):
            with suppress(FileNotFoundError):  # stage two is done with it
                sync_folder(path)
        sync_folder(self._work.spool)
        os.fsync(self._file)
        self._work.journal.append(
            {"kind": "durable", "index_nbytes": nbytes}, durable=True
        )

    def _wait(self) -> None:
        """Waits for a synchronisation, and raises what it raised."""
        if self._sync is not None:
            self._sync.result()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._wait()
        finally:
            self._thread.shutdown()
            os.close(self._file)
