from __future__ import annotations

import pytest

from bigearthnet.formats.tfrecord.varint import decode_varint, encode_varint


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (300, b"\xac\x02"),
        (2**64 - 1, b"\xff" * 9 + b"\x01"),
    ],
)
def test_groups_of_seven_bits_come_lowest_first(number: int, expected: bytes) -> None:
    """Worked by hand; 300 is the example of the guide to protocol buffers."""
    assert expected == encode_varint(number)
    assert (number, 3 + len(expected)) == decode_varint(b"abc" + expected + b"d", 3)


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01"]
)
def test_what_is_cut_off_or_too_large_is_refused(data: bytes) -> None:
    """An integer must end within the data, and have 64 bits at most."""
    with pytest.raises(IndexError):
        decode_varint(data, 0)
