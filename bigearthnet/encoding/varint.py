"""Integers in groups of seven bits, as protocol buffers and Thrift write them."""

from __future__ import annotations


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
