"""Examples as tf.train.Example records in TFRecord files, without TensorFlow.

Features are written in the order of their names, so that equal examples have equal
bytes. TensorFlow and protobuf are the oracles in the tests.

Source of the formats: tensorflow/core/example/{example,feature}.proto;
tensorflow/core/lib/io/record_writer.h (length, masked CRC-32C of the length, data,
masked CRC-32C of the data).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import numpy as np

from bigearthnet.errors import ShardError
from bigearthnet.examples import Example, Value
from bigearthnet.features import Feature

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
# Bytes of a record beside its data: length, its checksum, the data's checksum.
RECORD_OVERHEAD = 16
_HEADER_NBYTES = 12

# Largest record that is read, in bytes; ours have about 160,000.
_MAX_RECORD_NBYTES = 2**26

# Protobuf wire type 2: a length and as many bytes.
_LENGTH_DELIMITED = 2


def _varint(number: int) -> bytes:
    """Encodes an integer as protobuf does; negative ones as 64-bit two's complement."""
    number &= 0xFFFF_FFFF_FFFF_FFFF
    if number < 0x80:
        return bytes((number,))
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | _LENGTH_DELIMITED,)) + _varint(len(content)) + content


def _encode_bytes(content: bytes) -> bytes:
    """Encodes Feature{bytes_list{value}}; the one copy of the pixels is made later."""
    return _field(1, _field(1, content))


def _encode_int64s(numbers: tuple[int, ...]) -> bytes:
    """Encodes Feature{int64_list{value, packed}}."""
    packed = b"".join([_varint(number) for number in numbers])
    return _field(3, _field(1, packed) if numbers else b"")


def _encode_value(feature: Feature, value: Value) -> bytes:
    match feature.kind, value:
        case "tensor", np.ndarray():
            if value.dtype != feature.dtype or value.shape != feature.shape:
                raise ValueError(
                    f"{feature.name}: expected {feature.dtype} of {feature.shape}, "
                    f"got {value.dtype} of {value.shape}."
                )
            little_endian = value.astype(value.dtype.newbyteorder("<"), copy=False)
            return _encode_bytes(little_endian.tobytes())
        case "image", bytes():
            return _encode_bytes(value)
        case "text", str():
            return _encode_bytes(value.encode())
        case "classes", tuple():
            return _encode_int64s(value)
        case (("integer" | "class"), int()):
            return _encode_int64s((value,))
        case "bool", bool():
            return _encode_int64s((int(value),))
    raise TypeError(
        f"{feature.name}: expected a {feature.kind}, got {type(value).__name__}."
    )


def make_encoder(schema: tuple[Feature, ...]) -> Callable[[Example], bytes]:
    """Returns the function that serializes examples of a schema.

    The function raises KeyError, TypeError or ValueError for an example that is not of
    the schema, which is a mistake of the caller.
    """
    ordered = sorted(
        (feature.name, _field(1, feature.name.encode()), feature) for feature in schema
    )

    def encode(example: Example) -> bytes:
        entries = [
            _field(1, key + _field(2, _encode_value(feature, example[name])))
            for name, key, feature in ordered
        ]
        return _field(1, b"".join(entries))

    return encode


def masked_crc(data: bytes) -> int:
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
        ShardError: If the file is truncated or a checksum does not fit.
    """
    with path.open("rb") as file:
        offset = 0
        while header := file.read(_HEADER_NBYTES):
            data = _read_data(path, offset, header, file.read)
            yield offset, data
            offset += len(data) + RECORD_OVERHEAD


def read_record(path: Path, offset: int) -> bytes:
    """Returns the data of the record that starts at `offset`; see `read_records`."""
    with path.open("rb") as file:
        file.seek(offset)
        return _read_data(path, offset, file.read(_HEADER_NBYTES), file.read)


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
    if masked_crc(header[:8]) != crc or nbytes > _MAX_RECORD_NBYTES:
        raise error("has a damaged length")
    data, footer = read(nbytes), read(_CRC.size)
    if len(data) < nbytes or len(footer) < _CRC.size:
        raise error("is truncated")
    if masked_crc(data) != _CRC.unpack(footer)[0]:
        raise error("has a wrong checksum")
    return data
