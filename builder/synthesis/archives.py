"""Writes synthetic archives, compressed while they are made; whole, or not at all."""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from builder.synthesis.files import encode_end, encode_member

# Beside the outputs, until all of them are complete.
INCOMPLETE_SUFFIX = ".incomplete"

# Patches that may wait for the compressor; bounds the memory.
_MAX_WAITING = 4


class Compressor(Protocol):
    """A compressor of zlib or zstd."""

    def compress(self, data: bytes, /) -> bytes: ...  # noqa: D102
    def flush(self) -> bytes: ...  # noqa: D102


@contextlib.contextmanager
def incomplete(outputs: Iterable[Path]) -> Iterator[list[Path]]:
    """Gives temporary names to write to; the files get theirs when all are complete.

    Args:
        outputs: The files; replaced if they exist. Folders are made if missing.
    """
    names = {path.with_name(path.name + INCOMPLETE_SUFFIX): path for path in outputs}
    for path in names:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield list(names)
        for path, output in names.items():
            os.replace(path, output)
    except BaseException:
        for path in names:
            path.unlink(missing_ok=True)
        raise


def tar_patches(
    first: bytes,
    patches: Iterable[tuple[str, Mapping[str, bytes]]],
    progress: Callable[[int, int], None],
    *,
    has_folders: bool,
) -> Iterator[bytes]:
    """Yields an archive before compression, patch by patch.

    Args:
        first: Its first member.
        patches: Path of the folder of each patch, file name → content.
        progress: Called after each patch, with the patches and bytes made so far.
        has_folders: Whether the folders of patches are members, too.
    """
    nbytes = len(first)
    yield first
    for done, (folder, files) in enumerate(patches, 1):
        members = [encode_member(folder, None)] if has_folders else []
        members += [encode_member(f"{folder}/{n}", files[n]) for n in files]
        part = b"".join(members)
        nbytes += len(part)
        yield part
        progress(done, nbytes)
    yield encode_end(nbytes)


def compress(parts: Iterable[bytes], compressor: Compressor, file: BinaryIO) -> None:
    """Writes parts as one stream; compresses one while the next is made."""
    waiting: collections.deque[Future[bytes]] = collections.deque()
    with ThreadPoolExecutor(max_workers=1) as pool:
        for part in parts:
            waiting.append(pool.submit(compressor.compress, part))
            if len(waiting) > _MAX_WAITING:
                file.write(waiting.popleft().result())
        while waiting:
            file.write(waiting.popleft().result())
    file.write(compressor.flush())
