"""Thrift's compact protocol, as far as the headers and footers of Parquet need it.

A struct is read without knowing its definition: field id → type and value. So what
pyarrow wrote can be taken over whole, whatever fields its version knows.

Source of the format: thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bigearthnet.errors import ShardError
from bigearthnet.formats.tfrecord.varint import decode_varint, encode_varint

# Types of fields and elements; a field that is a bool has its value in its type.
TRUE, FALSE, BYTE, I16, I32, I64, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12

# Largest count that stands in the four bits of a list's header, and largest step
# between two field ids in those of a field's.
_MAX_SHORT = 14
_MAX_STEP = 15


class Field(NamedTuple):
    """A value with its type.

    Attributes:
        kind: One of the types of this module.
        value: int for the integers, bytes for BINARY, `Struct` for STRUCT, `Elements`
            for LIST, None for TRUE and FALSE.
    """

    kind: int
    value: Any = None


class Elements(NamedTuple):
    """A list: the type of its elements, and their values."""

    kind: int
    values: list[Any]


# Field id → field, in ascending order of the ids.
Struct = dict[int, Field]


def structs(values: list[Struct]) -> Field:
    """Returns a field that is a list of structs."""
    return Field(LIST, Elements(STRUCT, values))


def integers(values: list[int]) -> Field:
    """Returns a field that is a list of 32-bit integers, or of an enumeration."""
    return Field(LIST, Elements(I32, values))


def encode_struct(struct: Struct) -> bytes:
    """Encodes a struct.

    Args:
        struct: Its fields, in ascending order of their ids.
    """
    encoded = bytearray()
    last = 0
    for number, (kind, value) in struct.items():
        step = number - last
        if 0 < step <= _MAX_STEP:
            encoded.append(step << 4 | kind)
        else:
            encoded.append(kind)
            encoded += _encode_integer(number)
        if kind not in (TRUE, FALSE):
            encoded += _ENCODE[kind](value)
        last = number
    encoded.append(0)
    return bytes(encoded)


def _encode_integer(number: int) -> bytes:
    # Zigzag: 0, -1, 1, -2 become 0, 1, 2, 3.
    return encode_varint(number << 1 if number >= 0 else ~number << 1 | 1)


def _encode_binary(content: bytes) -> bytes:
    return encode_varint(len(content)) + content


def _encode_list(elements: Elements) -> bytes:
    kind, values = elements
    count = len(values)
    if count <= _MAX_SHORT:
        header = bytes((count << 4 | kind,))
    else:
        header = bytes((0xF0 | kind,)) + encode_varint(count)
    if kind in (TRUE, FALSE):
        return header + bytes(values)
    return header + b"".join([_ENCODE[kind](value) for value in values])


_ENCODE: dict[int, Callable[[Any], bytes]] = {
    BYTE: lambda value: bytes((value,)),
    I16: _encode_integer,
    I32: _encode_integer,
    I64: _encode_integer,
    BINARY: _encode_binary,
    LIST: _encode_list,
    STRUCT: encode_struct,
}


def decode_struct(data: bytes | memoryview) -> tuple[Struct, int]:
    """Decodes the struct that some bytes begin with; the inverse of `encode_struct`.

    Returns:
        The struct, and how many bytes it takes.

    Raises:
        ShardError: If the bytes end too early, or have a type that Parquet has not.
    """
    reader = _Reader(data)
    try:
        return reader.read_struct(), reader.position
    except IndexError:
        raise ShardError(f"Thrift struct is cut off after {len(data)} bytes.") from None


class _Reader:
    def __init__(self, data: bytes | memoryview) -> None:
        self._data = data
        self.position = 0

    def read_struct(self) -> Struct:
        """Reads fields up to the end of a struct."""
        struct: Struct = {}
        number = 0
        while header := self._read_byte():
            step, kind = header >> 4, header & 0xF
            number = number + step if step else self._read_integer()
            struct[number] = Field(kind, self._read_value(kind))
        return struct

    def _read_value(self, kind: int) -> Any:
        match kind:
            case 1 | 2:
                return None
            case 3:
                return self._read_byte()
            case 4 | 5 | 6:
                return self._read_integer()
            case 8:
                return self._read_binary()
            case 9:
                return self._read_list()
            case 12:
                return self.read_struct()
        raise ShardError(
            f"Thrift type {kind} at byte {self.position}: Parquet has no such fields."
        )

    def _read_list(self) -> Elements:
        header = self._read_byte()
        count, kind = header >> 4, header & 0xF
        if count > _MAX_SHORT:
            count = self._read_varint()
        if kind in (TRUE, FALSE):
            return Elements(kind, [self._read_byte() for _ in range(count)])
        return Elements(kind, [self._read_value(kind) for _ in range(count)])

    def _read_binary(self) -> bytes:
        nbytes = self._read_varint()
        self.position += nbytes
        if self.position > len(self._data):
            raise IndexError
        return bytes(self._data[self.position - nbytes : self.position])

    def _read_integer(self) -> int:
        number = self._read_varint()
        return number >> 1 ^ -(number & 1)

    def _read_varint(self) -> int:
        number, self.position = decode_varint(self._data, self.position)
        return number

    def _read_byte(self) -> int:
        byte = self._data[self.position]
        self.position += 1
        return byte
