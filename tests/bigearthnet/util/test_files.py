from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigearthnet.util import files
from bigearthnet.util.files import DurableFile, FileInfo

TABLE = pa.table({"n": list(range(1000)), "text": [str(n) for n in range(1000)]})


def names(folder: Path) -> list[str]:
    """The paths of all files below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every further write fail, as on a full disk."""

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.writev", fail)


def test_a_file_is_described_by_what_was_written(tmp_path: Path) -> None:
    """Name, sizes and checksum of a finished file are those of its bytes."""
    with DurableFile(tmp_path, "a/b") as file:
        file.write_pieces((b"one", memoryview(b"three")), 8)
        written = file.write(memoryview(np.array([1, 2], "<u2")))
        file.data_nbytes += 5
        position = file.tell()
        info = file.finish()
    content = b"onethree\1\0\2\0"

    assert content == (tmp_path / "a" / "b").read_bytes()
    assert FileInfo("a/b", 12, 5, hashlib.sha256(content).hexdigest()) == info
    assert (4, 12) == (written, position)


def test_a_file_appears_when_it_is_finished(tmp_path: Path) -> None:
    """Until then it has another name, that of no shard."""
    with DurableFile(tmp_path, "a") as file:
        file.write(b"content")
        before = names(tmp_path)
        file.finish()

    assert "a" not in before
    assert ["a"] == names(tmp_path)


def test_a_file_that_is_not_finished_never_appears(tmp_path: Path) -> None:
    """The end of its context closes a file, and gives it no name."""
    with DurableFile(tmp_path, "a") as file:
        file.write(b"content")

    assert "a" not in names(tmp_path)
    assert file.closed


def test_what_a_killed_build_left_is_overwritten(tmp_path: Path) -> None:
    """A new file holds nothing of an unfinished one of the same name."""
    with DurableFile(tmp_path, "a") as file:
        file.write(b"something longer")
    with DurableFile(tmp_path, "a") as file:
        file.write(b"short")
        file.finish()

    assert b"short" == (tmp_path / "a").read_bytes()
    assert ["a"] == names(tmp_path)


def test_files_are_closed_once(tmp_path: Path) -> None:
    """A descriptor that somebody else got meanwhile stays open."""
    with DurableFile(tmp_path, "a") as file:
        file.finish()
        other = os.open(tmp_path / "a", os.O_RDONLY)
        file.close()

    assert 0 == os.fstat(other).st_size
    os.close(other)


def test_a_closed_file_is_not_written_to(tmp_path: Path) -> None:
    """What comes too late does not land in the file that has the descriptor now."""
    with DurableFile(tmp_path, "a") as file:
        pass
    with (tmp_path / "other").open("wb") as other:
        with pytest.raises(ValueError, match="closed"):
            file.write(b"late")
        other.flush()

    assert b"" == (tmp_path / "other").read_bytes()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_pyarrow_writes_to_a_file(form: str, tmp_path: Path) -> None:
    """What pyarrow's writers write is hashed, and read back as it was."""
    path = tmp_path / "table"
    with DurableFile(tmp_path, "table") as file:
        if form == "parquet":
            pq.write_table(TABLE, file)
        else:
            sink = pa.PythonFile(file, mode="w")
            with pa.ipc.new_stream(sink, TABLE.schema) as writer:
                writer.write_table(TABLE)
        info = file.finish()
    if form == "parquet":
        found = pq.read_table(path)
    else:
        found = pa.ipc.open_stream(path.read_bytes()).read_all()

    assert TABLE.equals(found)
    assert files.hash_file(path) == info.sha256
    assert path.stat().st_size == info.nbytes


def test_a_full_disk_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that fails is an OSError with the path of the file."""
    with DurableFile(tmp_path, "a") as file:
        fill_disk(monkeypatch)
        with pytest.raises(OSError, match="No space left") as caught:
            file.write(b"content")

    assert errno.ENOSPC == caught.value.errno
    assert str(caught.value.filename).startswith(str(tmp_path / "a"))


def test_a_full_disk_passes_through_pyarrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error that pyarrow's writer ends with still names the file."""
    with DurableFile(tmp_path, "a") as file:
        fill_disk(monkeypatch)
        with pytest.raises(OSError, match=f"No space left.*{tmp_path / 'a'}"):
            pq.write_table(TABLE, file)


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The folder of a store is not made by its files."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        DurableFile(tmp_path / "nowhere", "a")


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_all_pieces_are_written(
    most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces stand one after another, however few bytes a system call takes."""
    write = os.write
    monkeypatch.setattr("os.write", lambda file, data: write(file, data[:most]))
    monkeypatch.setattr(
        "os.writev", lambda file, pieces: write(file, b"".join(pieces)[:most])
    )
    path = tmp_path / "file"
    with path.open("wb") as file:
        files.write_all(file.fileno(), (b"one", b"", memoryview(b"three")), 8, path)

    assert b"onethree" == path.read_bytes()


def test_a_write_that_fails_names_its_file(tmp_path: Path) -> None:
    """A descriptor that cannot be written to is an OSError with the path."""
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as file, pytest.raises(OSError, match=str(path)) as caught:
        files.write_all(file.fileno(), (b"one",), 3, path)

    assert errno.EBADF == caught.value.errno


def test_json_keeps_text_and_order(tmp_path: Path) -> None:
    """JSON is written as UTF-8 that people can read, in the order given."""
    path = tmp_path / "x.json"

    files.write_json({"b": "é", "a": [1]}, path)

    assert '{\n "b": "é",\n "a": [\n  1\n ]\n}\n' == path.read_text(encoding="utf-8")
    assert [path] == list(tmp_path.iterdir())


def test_json_is_read_back(tmp_path: Path) -> None:
    """What was written is read; a file that is not there is a FileNotFoundError."""
    files.write_json({"b": "é", "a": [1]}, tmp_path / "a.json")

    assert {"b": "é", "a": [1]} == files.read_json_object(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        files.read_json_object(tmp_path / "b.json")


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_an_error(content: bytes, tmp_path: Path) -> None:
    """Damage of any kind is a ValueError."""
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(ValueError, match=r"Expecting|expected|decode|recursion"):
        files.read_json_object(tmp_path / "a.json")


def test_text_replaces_what_was_there(tmp_path: Path) -> None:
    """A text file is UTF-8, and takes the place of an older one as a whole."""
    path = tmp_path / "x.md"
    path.write_text("something longer")

    files.write_text("né\n", path)

    assert "né\n".encode() == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("nbytes", [0, 1, 2**20 + 1])
def test_hash_file_is_sha256(nbytes: int, tmp_path: Path) -> None:
    """The checksum of a file is that of its bytes, whatever its size."""
    content = np.arange(nbytes, dtype=np.uint8).tobytes()
    path = tmp_path / "file"
    path.write_bytes(content)

    assert hashlib.sha256(content).hexdigest() == files.hash_file(path)
