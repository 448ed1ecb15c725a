"""One field of the settings: what its flag says, and which values have a meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from bigearthnet.errors import OptionError


def setting(
    default: Any,
    description: str,
    least: float = 0,
    *,
    choices: Sequence[str] = (),
    later: bool = False,
) -> Any:
    """Describes a field.

    Args:
        default: Its default.
        description: Its flag's help.
        least: The lowest number that has a meaning.
        choices: The values that it may have, where its type does not say them.
        later: Whether settings of older runs have it not; its default is what these
            did.
    """
    metadata = {
        "help": description,
        "least": least,
        "choices": choices,
        "later": later,
    }
    return dataclasses.field(default=default, metadata=metadata)


def find_choices(owner: type, field: dataclasses.Field[Any]) -> list[str]:
    """Returns the values that a field may have; none where there is no list of them."""
    return list(
        field.metadata["choices"] or get_args(get_type_hints(owner)[field.name])
    )


def check_value(owner: type, field: dataclasses.Field[Any], value: object) -> None:
    """Checks type, choice and lower bound.

    Raises:
        OptionError: If one of them is not that of the field.
    """
    choices, least = find_choices(owner, field), field.metadata["least"]
    if type(value) is not type(field.default):
        kind = type(field.default).__name__
        raise OptionError(f"{field.name}: expected {kind}, got {value!r}.")
    if choices and value not in choices:
        raise OptionError(
            f"{field.name}: expected one of {', '.join(choices)}, got {value!r}."
        )
    if isinstance(value, int | float) and not least <= value < float("inf"):
        raise OptionError(f"{field.name}: expected at least {least}, got {value!r}.")
