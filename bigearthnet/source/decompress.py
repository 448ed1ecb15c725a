"""Child process: a file → decompressed blocks in shared memory, and its checksums.

Run as a script by `blocks.BlockReader`, with nothing of the package imported, so that
it starts in milliseconds. It writes to standard output:

- for each slot of the ring that it filled, MESSAGE(bytes in the slot, bytes of the file
  read so far);
- at the end, MESSAGE(0, bytes of the file) and the file's checksums, one after
  another;
- after an error, MESSAGE(-n, 1 if the file is damaged, else 0) and n bytes of text.

It reads one byte from standard input for each slot that may be filled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import mmap
import os
import queue
import re
import struct
import sys
import threading
from collections.abc import Iterable
from typing import Any

MESSAGE = struct.Struct("<qq")

# Descriptor that messages are written to.
_messages = 1

# How much of the file is read at once, in bytes.
_READ_NBYTES = 512 * 1024

# Largest window of a zstd frame, as power of two of bytes, and thereby the memory it
# takes: what the program zstd accepts, too, unless it is told otherwise.
_MAX_WINDOW_LOG = 27


class HashingFile(io.RawIOBase):
    """Reads a file and hashes what was read, in a thread of its own.

    hashlib and the decompressors release the interpreter lock, so that the hash costs
    no time where there is a core for it.
    """

    def __init__(self, path: str, algorithms: Iterable[str]) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with us
        self.position = 0
        self._hashes = [hashlib.new(name) for name in algorithms]
        self._queue: queue.Queue[bytes | None] = queue.Queue(maxsize=8)
        self._thread = threading.Thread(target=self._update, daemon=True)
        self._thread.start()

    def _update(self) -> None:
        while (piece := self._queue.get()) is not None:
            for hash_ in self._hashes:
                hash_.update(piece)

    def readable(self) -> bool:
        """The file is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads into the buffer; 0 at the end."""
        view = memoryview(buffer)[:_READ_NBYTES]
        count = self._file.readinto(view) or 0
        self.position += count
        if count:
            self._queue.put(bytes(view[:count]))
        return count

    def digest(self) -> bytes:
        """Returns the checksums of what was read; nothing can be read afterwards."""
        self._queue.put(None)
        self._thread.join()
        self._file.close()
        return b"".join(hash_.digest() for hash_ in self._hashes)


class ParallelGzip(io.RawIOBase):
    """The decompressed stream of a gzip file that several threads read.

    They read ahead of what is asked for, each somewhere else, so that the hash follows
    through a second descriptor.
    """

    def __init__(self, path: str, file: HashingFile, threads: int) -> None:
        """Opens the file.

        Args:
            path: The file.
            file: The same, which is read as far as was decompressed.
            threads: How many decompress.
        """
        import rapidgzip

        super().__init__()
        self._nbytes = os.stat(path).st_size
        self._file = file
        self._stream = rapidgzip.open(path, parallelization=threads)

    _stream: Any = None

    def readable(self) -> bool:
        """The file is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Reads into the buffer; 0 at the end."""
        try:
            count: int = self._stream.readinto(buffer)
        except (RuntimeError, ValueError) as cause:  # which name threads and offsets
            reason = re.sub(r"\[.*?\]", "", str(cause)).partition("!")[0].strip()
            raise ValueError(f"rapidgzip: {reason}") from None
        end = self._stream.tell_compressed() // 8
        while self._file.position < end and self._file.read(_READ_NBYTES):
            pass
        if not count and end < self._nbytes:  # which it does not mind
            raise EOFError("the compressed data ends within a block")
        return count

    def export_index(self) -> bytes:
        """Returns where it can be entered, once all was read; see `gzip_index`."""
        content = io.BytesIO()
        self._stream.export_index(content)
        return content.getvalue()

    def close(self) -> None:
        """Ends the threads, which must not be running when the process ends."""
        if self._stream is not None:
            self._stream.close()
        super().close()


def open_stream(codec: str, path: str, file: HashingFile, threads: int) -> Any:
    """Opens the decompressed stream of a file; it has `readinto` and `close`."""
    if codec == "gzip" and threads > 1:
        return ParallelGzip(path, file, threads)
    if codec == "gzip":
        try:
            # isal's igzip is about three times as fast as zlib.
            from isal import igzip
        except ImportError:
            import gzip

            # It reads headers byte by byte.
            buffered = io.BufferedReader(file, _READ_NBYTES)
            return gzip.GzipFile(fileobj=buffered, mode="rb")
        return igzip.IGzipFile(fileobj=file, mode="rb")  # type: ignore[no-untyped-call]
    if codec == "zstd":
        try:
            from compression import zstd  # of Python 3.14
        except ImportError:
            from backports import zstd

        limit = zstd.DecompressionParameter.window_log_max
        return zstd.ZstdFile(file, options={limit: _MAX_WINDOW_LOG})
    return file


def fill(stream: Any, slot: memoryview) -> int:
    """Fills a slot as far as the stream goes; returns the bytes in it."""
    count = 0
    while count < len(slot):
        got = stream.readinto(slot[count:])
        if not got:
            break
        count += got
    return count


def main(
    codec: str,
    path: str,
    algorithms: Iterable[str],
    threads: int,
    ring: int,
    slot_nbytes: int,
    num_slots: int,
) -> None:
    """Fills slots until the file ends or the reader goes away."""
    file = HashingFile(path, algorithms)
    memory = memoryview(mmap.mmap(ring, slot_nbytes * num_slots))
    slots = [memory[i * slot_nbytes : (i + 1) * slot_nbytes] for i in range(num_slots)]
    filled = 0
    with contextlib.closing(open_stream(codec, path, file, threads)) as stream:
        while True:
            if filled >= num_slots and not os.read(0, 1):
                return
            count = fill(stream, slots[filled % num_slots])
            if count == 0:
                break
            filled += 1
            _send(MESSAGE.pack(count, file.position))
        while _rest := file.read(_READ_NBYTES):
            pass  # a decompressor may stop before the end; the hash covers the file
    _send(MESSAGE.pack(0, file.position) + file.digest())


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file is damaged.

    What decompressors raise (EOFError, BadGzipFile, zlib.error, ZstdError, …) does; a
    missing package, too little memory, or an error of the operating system do not.
    """
    if isinstance(error, OSError):
        return error.errno is None
    return not isinstance(error, ImportError | MemoryError)


def _send(message: bytes) -> None:
    while message:
        message = message[os.write(_messages, message) :]


if __name__ == "__main__":
    sys.path[:] = json.loads(sys.argv[1])
    # Standard output is the way to the parent; what others print goes to the terminal.
    _messages = os.dup(1)
    os.dup2(2, 1)
    _codec, _path, _names, *_numbers = sys.argv[2:]
    try:
        main(_codec, _path, _names.split(","), *map(int, _numbers))
    except BrokenPipeError:
        pass  # the reader went away
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".encode()
        _send(MESSAGE.pack(-len(reason), is_damage(error)) + reason)
