"""Compressed pixels of a TIFF → pixels: DEFLATE of differences along rows.

Source: TIFF Revision 6.0 (Adobe, 1992), section 14; Adobe Photoshop TIFF Technical
Notes (2002), "ZIP/Deflate compression".
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Strip(NamedTuple):
    """Some rows of an image.

    Attributes:
        start: Where they begin in the file, in bytes.
        nbytes: Their bytes there.
        pixel_nbytes: Bytes of their pixels.
    """

    start: int
    nbytes: int
    pixel_nbytes: int


def inflate(
    tiff: bytes, strips: Sequence[Strip], shape: tuple[int, int], dtype: str
) -> bytes | None:
    """Decompresses an image, never into more memory than its pixels take.

    Args:
        tiff: Content of the file.
        strips: The rows, from the top.
        shape: Shape (y, x) of the image.
        dtype: NumPy name of the pixels' type, an unsigned integer.

    Returns:
        Little-endian pixels; None if a strip is damaged, or of another length.
    """
    pieces = []
    for start, nbytes, pixel_nbytes in strips:
        decoder = zlib.decompressobj()
        try:
            # One more than there should be: only so the checksum is read, too.
            piece = decoder.decompress(tiff[start : start + nbytes], pixel_nbytes + 1)
        except zlib.error:
            return None
        if len(piece) != pixel_nbytes or not decoder.eof:
            return None
        pieces.append(piece)
    little_endian = np.dtype(dtype).newbyteorder("<")
    differences = np.frombuffer(b"".join(pieces), little_endian).reshape(shape)
    return np.cumsum(differences, axis=1, dtype=little_endian).tobytes()
