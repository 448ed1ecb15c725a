"""The workspace of a build at a URL, where another driver finds it, too.

    incomplete.bigearthnet-<config>/
        build.json              what is built, and the number that was drawn for it
        <number>/begun          is there as long as the build: who sends looks for it
        <number>/journal.jsonl  what is done; `publishing`, once stores are copied
        <number>/spool-<lane>/  a spool, see `tries`; its index, once it is whole
        <number>/<store>/       shards

A driver works in a folder of its own machine, a `workspace`, and sends its small files
here when they change. Two of them may do so at the same time: all files have names that
depend on the build alone, and the same bytes. One that was discarded in the meantime
has another number: it harms nothing of what followed.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigearthnet.engine.identity import check_identity
from bigearthnet.engine.journal import parse_journal
from bigearthnet.engine.leftovers import IDENTITY
from bigearthnet.engine.spooled import index_path, read_index
from bigearthnet.engine.workspace import JOURNAL
from bigearthnet.errors import EngineError, JournalError
from bigearthnet.util.files import encode_json, make_folder, write_bytes, write_json
from bigearthnet.util.remote import RemotePath
from bigearthnet.util.remote_files import has_file, list_sizes, remove_files, write_file

_BEGUN = "begun"
# More than a journal, or an index of a hundred million patches, has.
_MOST_NBYTES = 2**33


@dataclass(frozen=True)
class RemoteWork:
    """A workspace at a URL.

    Attributes:
        folder: The folder.
        number: The number that was drawn for the build.
        is_new: Whether this driver began it, and did not find it.
    """

    folder: RemotePath
    number: str
    is_new: bool

    @property
    def begun(self) -> RemotePath:
        """A file that is there as long as the build."""
        return self.folder / self.number / _BEGUN

    def spool(self, lane: str) -> RemotePath:
        """Returns the folder of the spool of a source; see `SpooledSource.lane`."""
        return self.folder / self.number / f"spool-{lane}"

    def output(self, store: str) -> RemotePath:
        """Returns the folder of an unfinished store."""
        return self.folder / self.number / store

    @property
    def journal(self) -> RemotePath:
        """The journal."""
        return self.folder / self.number / JOURNAL

    def send(self, path: RemotePath, source: Path) -> None:
        """Sends a file of a driver.

        Args:
            path: Its place; what is there is replaced.
            source: The file on this machine.

        Raises:
            EngineError: If the build is over, or was discarded.
            DownloadError: If it cannot be sent.
        """
        if not has_file(self.begun):
            raise build_is_over(path)
        write_file(path, source)

    def clear(self) -> None:
        """Deletes everything: what says that there is a build first.

        If another build was begun there since, that is left alone.

        If that is interrupted, the rest is deleted when the next build begins, or is
        refused.

        Raises:
            DownloadError: If something cannot be listed or deleted.
        """
        state = self.folder.read_files([IDENTITY], _MOST_NBYTES).get(IDENTITY)
        is_mine = state is None or self.number.encode() in state
        clear(self.folder if is_mine else self.folder / self.number)


def build_is_over(place: RemotePath) -> EngineError:
    """Returns the error of who comes too late to send something."""
    return EngineError(
        f"{place}: the build is over: another command finished it, or discarded it. "
        "Nothing was sent."
    )


def clear(folder: RemotePath) -> None:
    """Deletes a workspace at a URL; errors as of `RemoteWork.clear`."""
    remove_files(folder, [IDENTITY])
    names = list_sizes(folder)
    remove_files(folder, [name for name in names if name.endswith(f"/{_BEGUN}")])
    remove_files(folder, names)


def open_remote_work(
    folder: RemotePath, identity: Mapping[str, Any], local: Path, *, restart: bool
) -> RemoteWork:
    """Begins a build at a URL, or finds what an earlier driver has done.

    Args:
        folder: The workspace there.
        identity: See `identify_build`.
        local: The workspace on this machine, empty; it gets what was done.
        restart: Deletes an interrupted build first.

    Raises:
        OptionError: If there is an interrupted build with another identity.
        JournalError: If what is there is damaged.
        DownloadError, StoreError: If it cannot be read or written.
    """
    found = folder.read_files([IDENTITY], _MOST_NBYTES)
    make_folder(local)
    if restart or IDENTITY not in found:
        clear(folder)
        work = RemoteWork(folder, secrets.token_hex(8), is_new=True)
        write_file(work.begun, b"\n")
        content = encode_json({"number": work.number, "build": identity})
        write_file(folder / IDENTITY, content)
        return work
    try:
        state = json.loads(found[IDENTITY])
        number, build = str(state["number"]), dict(state["build"])
    except (ValueError, LookupError, TypeError):
        raise JournalError(
            f"{folder / IDENTITY} is damaged. Build again with --restart."
        ) from None
    check_identity(build, identity, folder)
    work = RemoteWork(folder, number, is_new=False)
    if not has_file(work.begun):
        raise JournalError(f"{work.begun} is gone. Build again with --restart.")
    write_json(build, local / IDENTITY)
    journal = (folder / number).read_files([JOURNAL], _MOST_NBYTES).get(JOURNAL, b"")
    write_bytes(journal, local / JOURNAL)
    entries, _ = parse_journal(journal, work.journal)
    for entry in entries:
        if "lane" in entry:
            path = index_path(local / f"spool-{entry['lane']}")
            make_folder(path.parent)
            place = index_path(work.spool(entry["lane"]))
            write_bytes(read_index(place, entry["index_sha256"]), path)
    return work
