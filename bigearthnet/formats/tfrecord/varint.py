"""Integers in groups of seven bits, as protocol buffers and Thrift write them."""

from __future__ import annotations

# Bits that there is room for in the ten bytes that an integer may take.
_MAX_BITS = 70


def encode_varint(number: int) -> bytes:
    """Encodes an integer, lowest group first; all bytes but the last have the top bit.

    Args:
        number: Not negative.
    """
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """Decodes the integer that starts at a byte; the inverse of `encode_varint`.

    Args:
        data: What holds it.
        position: Where it starts.

    Returns:
        The integer, and where it ends.

    Raises:
        IndexError: If the data ends before it does, or it has more than 64 bits.
    """
    number = 0
    for shift in range(0, _MAX_BITS, 7):
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    if byte < 0x80 and number < 2**64:
        return number, position
    raise IndexError("more than 64 bits")
