"""Words of messages."""

from __future__ import annotations


def count_of(number: int, noun: str) -> str:
    """Returns a number with its noun: `1 patch`, `1,000 patches`.

    Args:
        number: How many.
        noun: What, in the singular, whose plural ends in s or es.
    """
    plural = f"{noun}es" if noun.endswith(("ch", "sh", "s", "x")) else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
