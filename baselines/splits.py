"""Several splits as one text, joined by +."""

from __future__ import annotations

from collections.abc import Sequence

from bigearthnet.errors import OptionError

# Value of `validation_split` for training without one.
NO_SPLIT = "none"


def split_names(joined: str, known: Sequence[str]) -> tuple[str, ...]:
    """Splits `a+b` into the names of splits.

    Args:
        joined: The names.
        known: The splits of the release.

    Raises:
        OptionError: If a name is not that of a split, or comes twice.
    """
    names = tuple(joined.split("+"))
    unknown = [name for name in names if name not in known]
    if unknown or len(set(names)) < len(names):
        raise OptionError(
            f"split: expected some of {', '.join(known)}, each once, joined by +, "
            f"got {joined!r}."
        )
    return names


def share_split(one: str, other: str) -> bool:
    """Whether two lists of splits of one release have a split in common."""
    return not set(one.split("+")).isdisjoint(other.split("+"))
