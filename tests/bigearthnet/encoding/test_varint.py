from __future__ import annotations

import pytest

from bigearthnet.encoding.varint import encode_varint


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
