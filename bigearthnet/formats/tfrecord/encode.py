"""Examples as tf.train.Example records in TFRecord files, without TensorFlow.

Features are written in the order of their names, so that equal examples have equal
bytes. TensorFlow and protobuf are the oracles in the tests.

Source of the formats: tensorflow/core/example/{example,feature}.proto;
tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of the length, data,
masked CRC-32C of the data).
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import numpy as np
import numpy.typing as npt

from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord.varint import encode_varint
from bigearthnet.schema.examples import Example, Value
from bigearthnet.schema.features import Feature

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
# Bytes of a record beside its data: length, its checksum, the data's checksum.
RECORD_OVERHEAD = 16
_HEADER_NBYTES = 12

# Largest record that is read, in bytes; ours have about 160,000.
MAX_RECORD_NBYTES = 2**26

# Protobuf wire type 2: a length and as many bytes.
_LENGTH_DELIMITED = 2


def _varint(number: int) -> bytes:
    """Encodes an integer as protobuf does; negative ones as 64-bit two's complement."""
    if 0 <= number < 0x80:
        return _ONE_BYTE[number]
    return encode_varint(number & 0xFFFF_FFFF_FFFF_FFFF)


_ONE_BYTE = [bytes((number,)) for number in range(0x80)]


def _open_field(number: int, nbytes: int) -> bytes:
    """Returns what stands before the content of a length-delimited field."""
    return _ONE_BYTE[number << 3 | _LENGTH_DELIMITED] + _varint(nbytes)


def _field(number: int, content: bytes) -> bytes:
    return _open_field(number, len(content)) + content


def _open_bytes(key: bytes, nbytes: int) -> bytes:
    """Returns what stands before the content of a bytes feature.

    An entry of the map of features, Features.feature: {1: key, 2: Feature}, up to the
    content of Feature{1: BytesList{1: content}}.

    Args:
        key: Field 1 of the entry: the feature's name.
        nbytes: Bytes of the content.
    """
    value = _open_field(1, nbytes)
    bytes_list = _open_field(1, len(value) + nbytes) + value
    feature = _open_field(2, len(bytes_list) + nbytes) + bytes_list
    return _open_field(1, len(key) + len(feature) + nbytes) + key + feature


def _encode_int64s(key: bytes, numbers: tuple[int, ...]) -> bytes:
    """Returns the entry of an integer feature: Feature{3: Int64List{1: packed}}."""
    packed = b"".join([_varint(number) for number in numbers])
    int64_list = _field(3, _field(1, packed) if numbers else b"")
    return _field(1, key + _field(2, int64_list))


# Content of a record in pieces, so that pixels are copied only once.
_Pieces = list[bytes | memoryview]

# Appends the pieces of one feature's value; returns how many bytes they are.
_Add = Callable[[Value, _Pieces], int]


def _add_tensor(feature: Feature, key: bytes) -> _Add:
    dtype, shape = np.dtype(feature.dtype).newbyteorder("<"), feature.shape
    nbytes = math.prod(shape) * dtype.itemsize
    opening = _open_bytes(key, nbytes)
    nbytes += len(opening)

    def add(value: Value, pieces: _Pieces) -> int:
        if not isinstance(value, np.ndarray):
            raise _wrong_kind(feature, value)
        if value.dtype != dtype or value.shape != shape:
            raise ValueError(
                f"{feature.name}: expected {dtype} of {shape}, got {value.dtype} of "
                f"{value.shape}."
            )
        pieces.append(opening)
        pieces.append(np.ascontiguousarray(value).data)
        return nbytes

    return add


def _add_bytes(feature: Feature, key: bytes) -> _Add:
    kind = bytes if feature.kind == "image" else str
    # Texts of a feature have few lengths.
    open_bytes = functools.lru_cache(maxsize=256)(functools.partial(_open_bytes, key))

    def add(value: Value, pieces: _Pieces) -> int:
        if not isinstance(value, kind):
            raise _wrong_kind(feature, value)
        content = value.encode() if isinstance(value, str) else value
        assert isinstance(content, bytes)
        opening = open_bytes(len(content))
        pieces.append(opening)
        pieces.append(content)
        return len(opening) + len(content)

    return add


def _add_int64s(feature: Feature, key: bytes) -> _Add:
    kind = {"classes": tuple, "bool": bool}.get(feature.kind, int)
    # Values repeat: classes, flags, and the coordinates of neighbours.
    encode = functools.lru_cache(maxsize=1024)(functools.partial(_encode_int64s, key))

    def add(value: Value, pieces: _Pieces) -> int:
        if not isinstance(value, kind):
            raise _wrong_kind(feature, value)
        numbers = value if isinstance(value, tuple) else (int(value),)
        content = encode(numbers)
        pieces.append(content)
        return len(content)

    return add


def _wrong_kind(feature: Feature, value: Value) -> TypeError:
    return TypeError(
        f"{feature.name}: expected a {feature.kind}, got {type(value).__name__}."
    )


def make_encoder(schema: tuple[Feature, ...]) -> Callable[[Example], bytes]:
    """Returns the function that serializes examples of a schema.

    The function raises KeyError, TypeError or ValueError for an example that is not of
    the schema, which is a mistake of the caller.
    """
    makers = {"tensor": _add_tensor, "image": _add_bytes, "text": _add_bytes}
    adders = [
        (feature.name, makers.get(feature.kind, _add_int64s)(feature, key))
        for feature in sorted(schema, key=lambda feature: feature.name)
        for key in [_field(1, feature.name.encode())]
    ]

    def encode(example: Example) -> bytes:
        pieces: _Pieces = [b""]
        nbytes = sum([add(example[name], pieces) for name, add in adders])
        pieces[0] = _open_field(1, nbytes)
        return b"".join(pieces)

    return encode


def masked_crc(data: bytes | npt.NDArray[np.uint8]) -> int:
    """Returns the CRC-32C of the data, masked as TFRecord has it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


def frame(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Returns what a record of a TFRecord file is made of: header, data, footer."""
    length = _LENGTH.pack(len(data))
    return length + _CRC.pack(masked_crc(length)), data, _CRC.pack(masked_crc(data))


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields offset and data of every record of a TFRecord file.

    Raises:
        ShardError: If the file is missing or truncated, or a checksum does not fit.
    """
    with _open(path) as file:
        offset = 0
        while header := file.read(_HEADER_NBYTES):
            data = _read_data(path, offset, header, file.read)
            yield offset, data
            offset += len(data) + RECORD_OVERHEAD


def read_record(path: Path, offset: int) -> bytes:
    """Returns the data of the record that starts at `offset`; see `read_records`."""
    with _open(path) as file:
        file.seek(offset)
        return _read_data(path, offset, file.read(_HEADER_NBYTES), file.read)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as cause:
        raise ShardError(f"{path} cannot be read ({cause.strerror}).") from None


def _read_data(
    path: Path, offset: int, header: bytes, read: Callable[[int], bytes]
) -> bytes:
    def error(problem: str) -> ShardError:
        return ShardError(
            f"{path}: the record at byte {offset} {problem}. The shard is damaged: "
            "build or download it again."
        )

    if len(header) < _HEADER_NBYTES:
        raise error("is truncated")
    (nbytes,), (crc,) = _LENGTH.unpack(header[:8]), _CRC.unpack(header[8:])
    if masked_crc(header[:8]) != crc or nbytes > MAX_RECORD_NBYTES:
        raise error("has a damaged length")
    data, footer = read(nbytes), read(_CRC.size)
    if len(data) < nbytes or len(footer) < _CRC.size:
        raise error("is truncated")
    if masked_crc(data) != _CRC.unpack(footer)[0]:
        raise error("has a wrong checksum")
    return data
