from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bigearthnet.errors import OptionError
from bigearthnet.util import options


def test_what_has_a_name_is_looked_up() -> None:
    """A name gives its value; another is an error with all there are."""
    assert 1 == options.look_up({"a": 1, "b": 2}, "a", "letter")
    for wrong in ("c", ["a"], None):
        with pytest.raises(OptionError, match="unknown letter: expected one of a, b, "):
            options.look_up({"a": 1, "b": 2}, wrong, "letter")  # type: ignore[arg-type]


@pytest.mark.parametrize("good", [1, 256, np.int64(3)])
def test_batch_sizes_are_positive_integers(good: int) -> None:
    """Integers of Python and numpy from one on are batch sizes."""
    options.check_batch_size(good)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "8", None])
def test_other_batch_sizes_are_refused(wrong: Any) -> None:
    """The error shows what came."""
    with pytest.raises(OptionError, match=f"batch_size: .*got {wrong!r}"):
        options.check_batch_size(wrong)


def test_seeds_are_integers_or_none() -> None:
    """Zero is a seed, None is none; others are refused with what came."""
    for good in (None, 0, 7, np.int64(3)):
        options.check_seed(good)
    for wrong in (-1, 1.5, "a", False):
        with pytest.raises(OptionError, match=f"seed: .*got {wrong!r}"):
            options.check_seed(wrong)  # type: ignore[arg-type]
