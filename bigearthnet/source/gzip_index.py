"""The points at which a gzip file can be entered, in the format of indexed_gzip.

That is what rapidgzip writes and reads: a header, the points, and for each point but
the first the 32 KiB that were decompressed before it. Here it is cut into pieces, each
of which rapidgzip takes for a whole one.

Source of the format: `indexed_gzip/zran_file_util.c`, version 1.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

# Magic, version, flags, bytes of the file, of its content, between points and of a
# window, and number of points.
_HEADER = struct.Struct("<5sBBQQIII")
_MAGIC, _VERSION = b"GZIDX", 1
_POINT = np.dtype(
    [("file", "<u8"), ("content", "<u8"), ("bits", "u1"), ("has_window", "u1")]
)


class GzipIndex:
    """An index of a whole file, which is cut into those of sections."""

    def __init__(self, index: bytes) -> None:
        """Takes what `decompress.ParallelGzip.export_index` returned."""
        self._header = _HEADER.unpack_from(index)
        magic, version, *_, self._window_nbytes, count = self._header
        assert (magic, version) == (_MAGIC, _VERSION), (magic, version)
        self._points: npt.NDArray[np.void] = np.frombuffer(
            index, _POINT, count, _HEADER.size
        )
        self._windows = memoryview(index)[_HEADER.size + self._points.nbytes :]

    def cut(self, start: int, stop: int) -> bytes:
        """Returns the index of a section.

        Args:
            start: Bytes of the content before it.
            stop: Bytes before its end.
        """
        contents = self._points["content"]
        first = int(np.searchsorted(contents, start, "right")) - 1
        last = int(np.searchsorted(contents, stop, "left")) + 1
        points = self._points[first:last]
        before = int(self._points["has_window"][:first].sum())
        count = int(points["has_window"].sum())
        size = self._window_nbytes
        header = _HEADER.pack(*self._header[:-1], len(points))
        windows = self._windows[before * size : (before + count) * size]
        return header + points.tobytes() + windows
