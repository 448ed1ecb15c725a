from __future__ import annotations

import pytest

from bigearthnet.util.wording import count_of


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "patch", "0 patches"),
        (1, "bad patch", "1 bad patch"),
        (1_000, "patch", "1,000 patches"),
        (2, "file", "2 files"),
    ],
)
def test_a_number_agrees_with_its_noun(number: int, noun: str, expected: str) -> None:
    """One has the singular; any other number, none among them, the plural."""
    assert expected == count_of(number, noun)
