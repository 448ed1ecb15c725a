"""The journal of a build: what is done, one line each, durable, never changed.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a space, and the JSON. An
invalid last line was being written when the build was interrupted, and is cut off.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bigearthnet.errors import JournalError
from bigearthnet.util.files import sync_folder, write_all
from bigearthnet.util.remote import RemotePath


class Journal:
    """An open journal.

    Attributes:
        entries: Everything that was written, in order.
    """

    def __init__(self, path: Path) -> None:
        """Opens a journal, or creates an empty one, and cuts off an invalid last line.

        Raises:
            JournalError: If a line before the last one is invalid.
            OSError: If it cannot be read or written.
        """
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        self.entries, good = parse_journal(content, path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        if good < len(content):
            os.ftruncate(self._file, good)
        # Even if it is not new: the build that created it may have been killed here.
        sync_folder(path.parent)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Appends an entry, which is durable when this returns.

        Args:
            entry: What is done, JSON with a `kind`. All that it is about must be
                durable before.

        Raises:
            OSError: If it cannot be written; the journal is then as it was.
        """
        text = json.dumps(entry, separators=(",", ":")).encode()
        line = _make_line(text)
        end = os.fstat(self._file).st_size
        try:
            write_all(self._file, (line,), len(line), self._path)
            os.fsync(self._file)
        except OSError:  # an entry that may not be durable must not be read later
            os.ftruncate(self._file, end)
            raise
        self.entries.append(json.loads(text))

    def find(self, kind: str) -> list[dict[str, Any]]:
        """Returns the entries of one kind, in order."""
        return [entry for entry in self.entries if entry["kind"] == kind]

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


def parse_journal(
    content: bytes, path: Path | RemotePath
) -> tuple[list[dict[str, Any]], int]:
    """Returns the entries of a journal, and the bytes of its valid lines.

    Args:
        content: Content of the file.
        path: Its place, for the error.

    Raises:
        JournalError: If an invalid line is followed by a valid one.
    """
    lines = content.splitlines(keepends=True)
    parsed = [_parse_line(line) for line in lines]
    entries = [entry for entry in parsed if entry is not None]
    if parsed[: len(entries)] != entries:
        raise JournalError(
            f"{path} is damaged: checksum mismatch in line {parsed.index(None) + 1}. "
            "Build again with --restart, which discards what is done."
        )
    return entries, sum(map(len, lines[: len(entries)]))


def _make_line(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Returns the entry of a line, or None if the line is invalid."""
    text = line[9:-1]
    return json.loads(text) if line == _make_line(text) else None
