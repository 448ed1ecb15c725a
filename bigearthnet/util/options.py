"""Checks of options that several functions take; invalid values are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from bigearthnet.errors import OptionError
from bigearthnet.util.extras import advise_install

_Value = TypeVar("_Value")


def look_up(options: Mapping[str, _Value], name: str, what: str) -> _Value:
    """Returns the value of a name, in upper or lower case.

    Args:
        options: All that there is, by name.
        name: The name.
        what: What the names are of, for the error message.

    Raises:
        OptionError: If there is nothing of that name.
    """
    if isinstance(name, str):
        for option, value in options.items():
            if option.casefold() == name.casefold():
                return value
    raise OptionError(
        f"unknown {what}: expected one of {', '.join(options)}, got {name!r}."
    )


def check_batch_size(batch_size: int) -> None:
    """Refuses an invalid batch size.

    Raises:
        OptionError: If it is not an integer of at least 1.
    """
    if not _is_integer(batch_size) or batch_size < 1:
        raise OptionError(f"batch_size: expected at least 1, got {batch_size!r}.")


def check_seed(seed: int | None) -> None:
    """Refuses an invalid seed.

    Raises:
        OptionError: If it is neither None nor an integer of at least 0.
    """
    if seed is not None and (not _is_integer(seed) or seed < 0):
        raise OptionError(f"seed: expected 0 or more, or None, got {seed!r}.")


def check_epoch(epoch: int) -> None:
    """Refuses an invalid number of an epoch.

    Raises:
        OptionError: If it is not an integer of at least 0.
    """
    if not _is_integer(epoch) or epoch < 0:
        raise OptionError(f"first_epoch: expected 0 or more, got {epoch!r}.")


def check_skip(skip: int, count: int) -> None:
    """Refuses an invalid number of patches to leave out.

    Args:
        skip: The number.
        count: Patches that there are.

    Raises:
        OptionError: If it is not an integer from 0 to `count`.
    """
    if not _is_integer(skip) or not 0 <= skip <= count:
        raise OptionError(f"skip: expected 0 to {count:,}, got {skip!r}.")


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_tensorflow(what: str) -> None:
    """Checks that TensorFlow is installed.

    Args:
        what: Name of the function that needs it.

    Raises:
        OptionError: If TensorFlow cannot be imported.
    """
    try:
        import tensorflow as tf  # noqa: F401
    except ImportError as cause:
        raise OptionError(
            f"{what} needs TensorFlow ({cause}). Without it, bigearthnet.torch_dataset "
            "gives the same to PyTorch, and reader.images(...) of "
            "bigearthnet.open_reader to numpy; or install the extra [tfds], "
            f"{advise_install('tfds')}"
        ) from None
