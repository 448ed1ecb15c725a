"""Serializes examples as tf.train.Example messages, without TensorFlow.

Features are written in the order of their names, so that equal examples have equal
bytes. TensorFlow's parser is the oracle in the tests.

Source of the format: tensorflow/core/example/{example,feature}.proto; the encoding of
protocol buffers, https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np

from bigearthnet.schema.examples import Example, Value
from bigearthnet.schema.features import Feature

# Protobuf wire type 2: a length and as many bytes.
_LENGTH_DELIMITED = 2


def encode_varint(number: int) -> bytes:
    """Encodes an integer in groups of seven bits, lowest first.

    All bytes but the last have the top bit.

    Args:
        number: Of 64 bits; negative ones become their two's complement.
    """
    if 0 <= number < len(_ONE_BYTE):
        return _ONE_BYTE[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


# The integers of one byte, which are most of them.
_ONE_BYTE = [bytes((number,)) for number in range(0x80)]


def _open_field(number: int, nbytes: int) -> bytes:
    """Returns what stands before the content of a length-delimited field."""
    return _ONE_BYTE[number << 3 | _LENGTH_DELIMITED] + encode_varint(nbytes)


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
    packed = b"".join([encode_varint(number) for number in numbers])
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
