from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bigearthnet.engine.journal import Journal, parse_journal
from bigearthnet.errors import JournalError

# Text that must not be taken for the end of a line.
ENTRIES: list[dict[str, Any]] = [
    {"kind": "one", "number": 2**63, "text": "é\r\n\u2028\x00"},
    {"kind": "two", "none": None, "list": [1, {"a": False}]},
    {"kind": "one", "number": -1},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal that holds ENTRIES."""
    append_all(tmp_path / "journal.jsonl", ENTRIES)
    return tmp_path / "journal.jsonl"


def append_all(path: Path, entries: list[dict[str, Any]]) -> None:
    """Appends entries to a journal, and closes it."""
    journal = Journal(path)
    for entry in entries:
        journal.append(entry)
    journal.close()


def read_all(path: Path) -> list[dict[str, Any]]:
    """Returns the entries of a journal, opened anew."""
    journal = Journal(path)
    journal.close()
    return journal.entries


def fail_to_sync(_: int) -> None:
    """Fails as a broken disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_entries_come_back_in_order(path: Path) -> None:
    """What was appended is read, by an open journal and by one that is opened later."""
    journal = Journal(path)
    journal.append({"kind": "late"})
    journal.close()

    assert [*ENTRIES, {"kind": "late"}] == journal.entries
    assert [*ENTRIES, {"kind": "late"}] == read_all(path)
    assert [ENTRIES[0], ENTRIES[2]] == journal.find("one")
    assert [] == journal.find("three")


def test_a_line_is_a_checksum_and_json(path: Path) -> None:
    """The file can be read without us: CRC-32 in eight digits, a space, JSON."""
    lines = path.read_bytes().split(b"\n")

    assert b"" == lines.pop()
    assert ENTRIES == [json.loads(line[9:]) for line in lines]
    assert [line[:9] for line in lines] == [
        b"%08x " % zlib.crc32(line[9:]) for line in lines
    ]


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    """A journal that is not there begins without entries."""
    assert [] == read_all(tmp_path / "new.jsonl")
    assert b"" == (tmp_path / "new.jsonl").read_bytes()


def test_a_torn_line_is_cut_off(path: Path) -> None:
    """However much of the last line was written, it goes, and the next is whole."""
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    for length in range(start, len(content)):
        path.write_bytes(content[:length])
        journal = Journal(path)

        assert ENTRIES[:2] == journal.entries
        assert content[:start] == path.read_bytes()

        journal.append(ENTRIES[2])
        journal.close()

        assert content == path.read_bytes()


@pytest.mark.parametrize("tail", [b"\0", bytes(4096), bytes(50) + b"\n", b"\xff\n\n"])
def test_zeros_at_the_end_are_cut_off(tail: bytes, path: Path) -> None:
    """What a disk leaves where the content was not stored is no entry."""
    content = path.read_bytes()
    path.write_bytes(content + tail)

    assert ENTRIES == read_all(path)
    assert content == path.read_bytes()


def test_a_damaged_last_line_is_cut_off(path: Path) -> None:
    """A last line that has its length and not its content is no entry."""
    content = path.read_bytes()
    start = content.rindex(b"\n", 0, -1) + 1
    path.write_bytes(content[:start] + bytes(len(content) - start))

    assert ENTRIES[:2] == read_all(path)


@pytest.mark.parametrize("position", [0, 5, 8, 9, 30, -1])
def test_damage_in_the_middle_is_an_error(position: int, path: Path) -> None:
    """A changed byte before a good line is named, and nothing is cut off."""
    content = bytearray(path.read_bytes())
    end = content.index(b"\n")
    content[position if position >= 0 else end] ^= 1
    path.write_bytes(content)

    with pytest.raises(JournalError, match=r"journal\.jsonl is damaged.*--restart"):
        Journal(path)

    assert bytes(content) == path.read_bytes()


def test_the_error_says_where_the_damage_is(path: Path) -> None:
    """The first invalid line is named."""
    lines = path.read_bytes().splitlines(keepends=True)
    content = lines[0] + b"?" + lines[1] + lines[2]

    with pytest.raises(JournalError, match=r"checksum mismatch in line 2\."):
        parse_journal(content, path)


@pytest.mark.parametrize("number", [1, 2])
def test_an_entry_that_was_not_synchronised_is_not_kept(
    number: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a disk has refused is not read later, and what follows is."""
    journal = Journal(path)
    with monkeypatch.context() as context:
        context.setattr("os.fsync", fail_to_sync)
        for _ in range(number):
            with pytest.raises(OSError, match="Input/output error"):
                journal.append({"kind": "lost"})
    journal.append({"kind": "later"})
    journal.close()

    assert [*ENTRIES, {"kind": "later"}] == journal.entries == read_all(path)


def fail_once(monkeypatch: pytest.MonkeyPatch, nbytes: int) -> None:
    """Lets the next write take some bytes, and the disk be full for the rest of it."""
    write, state = os.write, iter([False])

    def writev(file: int, pieces: tuple[bytes, ...]) -> int:
        content = b"".join(pieces)
        return write(file, content if next(state, True) else content[:nbytes])

    def fail(file: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.writev", writev)
    monkeypatch.setattr("os.write", fail)


@pytest.fixture
def again(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    """A journal whose last entry was written in part, to a disk that was full."""
    journal = Journal(path)
    fail_once(monkeypatch, nbytes=12)
    with pytest.raises(OSError, match=r"No space left.*journal\.jsonl"):
        journal.append({"kind": "torn"})
    yield journal
    journal.close()


def test_what_follows_a_failed_entry_is_read(again: Journal, path: Path) -> None:
    """A part of an entry does not spoil those that are appended later."""
    later = [{"kind": "later", "number": number} for number in range(3)]
    for entry in later:
        again.append(entry)

    assert [*ENTRIES, *later] == again.entries
    assert [*ENTRIES, *later] == read_all(path)
