"""Finds values in a serialized tf.train.Example, without copying or decoding others.

Source of the format: tensorflow/core/example/{example,feature}.proto; the encoding of
protocol buffers, https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Collection

# Tags, that is field number << 3 | wire type 2, of messages, strings and bytes.
_FIRST, _SECOND, _THIRD = 0x0A, 0x12, 0x1A
# Of Feature: which list it is. The second, of floats, is not used.
_BYTES_LIST, _INT64_LIST = _FIRST, _THIRD

# Bits that there is room for in the ten bytes that an integer may take.
_MAX_BITS = 70


class ExampleError(ValueError):
    """Raised when bytes are not a serialized example with what is asked for."""


def locate_features(
    data: bytes | memoryview, nbytes: int, names: Collection[bytes]
) -> dict[bytes, tuple[int, int]]:
    """Finds features by name.

    Args:
        data: A serialized example, and whatever may follow.
        nbytes: Bytes of the example.
        names: Names of the features to find, in UTF-8.

    Returns:
        Name → where the serialized tf.train.Feature starts, and where it ends.

    Raises:
        ExampleError: If one of them is not there, or the bytes are no example.
    """
    found: dict[bytes, tuple[int, int]] = {}
    try:
        position, end = _open(data, 0, nbytes, _FIRST)
        while len(found) < len(names):
            # An entry of a map: the first field is its key, the second its value.
            entry, position = _open(data, position, end, _FIRST)
            start, stop = _open(data, entry, position, _FIRST)
            name = bytes(data[start:stop])
            if name in names:
                found[name] = _open(data, stop, position, _SECOND)
    except ExampleError:
        for name in names:
            if name not in found:
                raise ExampleError(f"has no feature {name.decode()!r}") from None
        raise
    return found


def find_bytes(data: bytes | memoryview, start: int, stop: int) -> tuple[int, int]:
    """Finds the value of a feature that is one string of bytes.

    Args:
        data: What holds the serialized tf.train.Feature.
        start: Where that starts.
        stop: Where it ends.

    Returns:
        Where the value starts, and where it ends.

    Raises:
        ExampleError: If the feature is something else.
    """
    start, end = _open(data, start, stop, _BYTES_LIST)
    start, end = _open(data, start, end, _FIRST)
    if end != stop:
        raise ExampleError("has more than one value")
    return start, end


def read_integers(data: bytes | memoryview, start: int, stop: int) -> list[int]:
    """Returns the values of a feature of integers; see `find_bytes`.

    Raises:
        ExampleError: If the feature is something else.
    """
    start, end = _open(data, start, stop, _INT64_LIST)
    if start == end:
        return []
    position, end = _open(data, start, end, _FIRST)
    numbers = []
    while position < end:
        number, position = decode_varint(data, position, end)
        # Negative ones are stored as 64-bit two's complement.
        numbers.append(number - (number >> 63 << 64))
    return numbers


def _open(
    data: bytes | memoryview, position: int, end: int, tag: int
) -> tuple[int, int]:
    """Returns where the content of a field starts and ends, of a tag that must come."""
    if position + 1 >= end or data[position] != tag:
        raise ExampleError("is not a valid example")
    start, nbytes = position + 2, data[position + 1]
    if nbytes > 0x7F:
        nbytes, start = decode_varint(data, position + 1, end)
    if start + nbytes > end:
        raise ExampleError("is not a valid example")
    return start, start + nbytes


def decode_varint(data: bytes | memoryview, position: int, end: int) -> tuple[int, int]:
    """Decodes the integer that starts at a byte; see `encode.encode_varint`.

    Args:
        data: What holds it.
        position: Where it starts.
        end: Where it must end at the latest.

    Returns:
        The integer, not negative, and where it ends.

    Raises:
        ExampleError: If it does not end there, or has more than 64 bits.
    """
    number = 0
    for shift in range(0, _MAX_BITS, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80 and number < 2**64:
            return number, position
    raise ExampleError("is not a valid example")
