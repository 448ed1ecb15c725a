"""Writing to files, shared by both stages."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

# What file systems without hard links say.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True)
class FileInfo:
    """One file of a shard that was written.

    Attributes:
        name: Path of the file below its store's folder.
        nbytes: Size of the file in bytes.
        data_nbytes: Bytes of the examples alone: serialized, or as an Arrow table.
        sha256: Checksum of the file.
    """

    name: str
    nbytes: int
    data_nbytes: int
    sha256: str


class DurableFile:
    """A file that is hashed while it is written, and appears whole and durable.

    A context manager; also a file object that pyarrow can write to.

    Attributes:
        data_nbytes: Bytes of the examples alone; the writer counts them.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Opens the file under another name than it will have.

        Args:
            folder: Existing folder of the store.
            name: Path of the file below it; one folder is made.

        Raises:
            OSError: If the file cannot be opened.
        """
        self.data_nbytes = 0
        self._name, self._path = name, folder / name
        self._nbytes, self._sha256 = 0, hashlib.sha256()
        self._unfinished = self._path.with_name(f"{self._path.name}.unfinished")
        self._folder = folder
        if self._path.parent != folder:
            self._path.parent.mkdir(exist_ok=True)
        self._file = os.open(
            self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666
        )
        self.closed = False

    def write_pieces(self, pieces: Sequence[bytes | memoryview], nbytes: int) -> None:
        """Appends pieces; see `write_all`.

        Raises:
            ValueError: If the file is closed: its descriptor may be another's by now.
        """
        if self.closed:
            raise ValueError(f"{self._unfinished} is closed.")
        for piece in pieces:
            self._sha256.update(piece)
        write_all(self._file, pieces, nbytes, self._unfinished)
        self._nbytes += nbytes

    def write(self, data: bytes | memoryview) -> int:
        """Appends bytes; returns how many."""
        view = memoryview(data)
        self.write_pieces((view,), view.nbytes)
        return view.nbytes

    def tell(self) -> int:
        """Returns how many bytes were written."""
        return self._nbytes

    def flush(self) -> None:
        """Does nothing: nothing is kept back."""

    def finish(self) -> FileInfo:
        """Makes the file durable and gives it its name.

        Raises:
            OSError: If it cannot be made durable.
        """
        os.fsync(self._file)
        self.close()
        self._unfinished.rename(self._path)
        sync_folder(self._path.parent)
        if self._path.parent != self._folder:
            sync_folder(self._folder)
        return FileInfo(
            self._name, self._nbytes, self.data_nbytes, self._sha256.hexdigest()
        )

    def close(self) -> None:
        """Closes the file, finished or not."""
        if not self.closed:
            self.closed = True
            os.close(self._file)

    def __enter__(self) -> DurableFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def write_all(
    file: int, pieces: Sequence[bytes | memoryview], nbytes: int, path: Path
) -> None:
    """Writes pieces one after another, without putting them together.

    Args:
        file: Descriptor of an open file.
        pieces: What to write; as many as one system call takes (IOV_MAX, 1024).
        nbytes: Bytes of all pieces.
        path: Path of the file, for error messages.

    Raises:
        OSError: If the file cannot be written, for want of space for example; the
            message names it.
    """
    try:
        written = os.writev(file, pieces)
        if written < nbytes:  # a system call may take less than it was given
            rest = memoryview(b"".join(pieces))[written:]
            while rest:
                rest = rest[os.write(file, rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def write_json(content: Mapping[str, object], path: Path) -> None:
    """Writes JSON for people and programs; see `write_bytes`."""
    write_bytes(encode_json(content), path)


def encode_json(content: Mapping[str, object]) -> bytes:
    """Returns what `write_json` writes."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


class _Readable(Protocol):
    def read_text(self, encoding: str) -> str: ...


def read_json_object(path: _Readable) -> dict[str, Any]:
    """Reads what `write_json` wrote, in a file that may be damaged by now.

    An editor may have put a byte order mark first.

    Raises:
        OSError: If the file is missing or cannot be read.
        ValueError: If it does not hold a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as cause:  # brackets within brackets, thousands of them
        raise ValueError(str(cause)) from None
    if not isinstance(content, dict):
        raise ValueError("expected a JSON object")
    return content


def write_text(text: str, path: Path) -> None:
    """Writes a text file in UTF-8; see `write_bytes`."""
    write_bytes(text.encode(), path)


def write_bytes(content: bytes | memoryview, path: Path) -> None:
    """Writes a file; it appears whole and durable, or not at all."""
    with DurableFile(path.parent, path.name) as file:
        file.write(content)
        file.finish()


def hash_file(path: Path) -> str:
    """Returns the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> None:
    """Makes a folder and its parents, if they are missing, and their names durable.

    Raises:
        OSError: If one cannot be made.
    """
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def link_files(source: Path, target: Path) -> None:
    """Gives the files of a folder second names in another; or moves them there.

    Args:
        source: The folder; it has no folders in it.
        target: Existing folder on the same disk.

    Raises:
        OSError: If that cannot be done.
    """
    for path in source.iterdir():
        try:
            os.link(path, target / path.name)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            path.rename(target / path.name)


def sync_tree(folder: Path) -> None:
    """Makes all files of a folder and below durable, and their names.

    Raises:
        OSError: If one of them cannot be opened or synchronised.
    """
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_folder(Path(here, name))
        sync_folder(Path(here))


def sync_folder(path: Path) -> None:
    """Makes the names of a folder's files durable; of a file, its content.

    Raises:
        OSError: If it cannot be opened or synchronised.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
