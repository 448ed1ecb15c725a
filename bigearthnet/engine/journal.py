"""A journal: what is done, one line each, appended and never changed.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a space, and the JSON.
What stands after the last whole line was being written when the machine went down.
"""

from __future__ import annotations

import json
import os
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigearthnet.errors import JournalError
from bigearthnet.util.files import sync_folder, write_all


class Journal:
    """An open journal; a context manager.

    Attributes:
        entries: Everything that was written, in order.
    """

    def __init__(self, path: Path) -> None:
        """Opens a journal, or begins one, and cuts off what was not written whole.

        Raises:
            JournalError: If a line in its middle is damaged.
            OSError: If it cannot be read or written.
        """
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        self.entries, good = parse_journal(content, path)
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        self._nbytes = good
        if good < len(content):
            os.ftruncate(self._file, good)

    def append(self, entry: Mapping[str, Any], *, durable: bool) -> None:
        """Writes an entry; any thread may call it.

        Args:
            entry: What happened; JSON.
            durable: Whether it must survive a loss of power, and with it all that was
                written before.

        Raises:
            OSError: If it cannot be written.
        """
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        with self._lock:
            try:
                write_all(self._file, (line,), len(line), self._path)
            except OSError:  # other threads go on, and half a line must not be before
                os.ftruncate(self._file, self._nbytes)
                raise
            self._nbytes += len(line)
            self.entries.append(json.loads(text))
        if durable:
            os.fsync(self._file)
            sync_folder(self._path.parent)

    def find(self, kind: str) -> list[dict[str, Any]]:
        """Returns the entries of one kind, in order."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def close(self) -> None:
        """Closes the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def parse_journal(content: bytes, path: Path) -> tuple[list[dict[str, Any]], int]:
    """Returns the entries of a journal, and the bytes of its whole lines.

    Args:
        content: What the file holds.
        path: Its path, for the error.

    Raises:
        JournalError: If a damaged line is followed by a good one.
    """
    entries: list[dict[str, Any]] = []
    good, damaged = 0, False
    for line in content.splitlines(keepends=True):
        entry = _parse_line(line)
        if entry is None:
            damaged = True
        elif damaged:
            raise JournalError(
                f"{path} is damaged after {good} bytes, {len(entries)} entries. Build "
                "anew with --restart, or delete its folder."
            )
        else:
            entries.append(entry)
            good += len(line)
    return entries, good


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Returns the entry of a line, or None if it is not a whole one."""
    crc, space, text = line.partition(b" ")
    if not line.endswith(b"\n") or not space or crc != b"%08x" % zlib.crc32(text[:-1]):
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) and "kind" in entry else None
