"""Splits and parts of them, written as TensorFlow Datasets and `datasets` do."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from bigearthnet.errors import OptionError
from bigearthnet.store import Described
from bigearthnet.util.wording import count_of

_PART = re.compile(r"([\w-]+)(?:\[([^:\[\]]*):([^:\[\]]*)\])?", re.A)
_PERCENT = re.compile(r"(-?\d+(?:\.\d+)?)%", re.A)
_NUMBER = re.compile(r"-?\d+", re.A)


def parse_split(
    split: str, store: Described
) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
    """Says which patches of which splits are meant.

    Args:
        split: Name of a split, or of several joined by `+`, each with a slice if
            wanted: `train[:10%]`, `train[100:200]`, `train[-5%:]+validation`; or `all`.
            Percentages are rounded to the next patch, as TensorFlow Datasets does.
        store: The store, which says how many patches there are.

    Returns:
        Names of the splits, in the order in which they are first named; and numbers of
        patches in them, counted through from the first split, ascending, int64; None
        for all.

    Raises:
        OptionError: If there is no such split, it is written in another way, or a patch
            is asked for twice.
    """
    text = "+".join(store.splits) if split == "all" else split
    parts: dict[str, list[npt.NDArray[np.int64]]] = {}
    for part in text.split("+") if isinstance(text, str) else [""]:
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise _refuse(split)
        name, first, last = match.groups()
        store.check_split(name)
        count = store.num_patches(name)
        start, stop = (_find(bound, count, split) for bound in (first, last))
        if first and last and first.endswith("%") != last.endswith("%"):
            raise _refuse(split)
        rows = np.arange(count)[0 if start is None else start : stop]
        parts.setdefault(name, []).append(rows)
    numbers, offset, total = [], 0, 0
    for name, several in parts.items():
        numbers += [rows + offset for rows in several]
        offset += store.num_patches(name)
        total += store.num_patches(name)
    rows = np.sort(np.concatenate(numbers))
    if (np.diff(rows) == 0).any():
        raise OptionError(f"split {split!r} has patches twice: expected each once.")
    return tuple(parts), None if len(rows) == total else rows


def _find(bound: str | None, count: int, split: str) -> int | None:
    """Returns the patch that a slice begins or ends with; None for no bound."""
    if not bound:
        return None
    if match := _PERCENT.fullmatch(bound.strip()):
        number, most = float(match[1]), 100.0
        place = round(number * count / 100)
    elif _NUMBER.fullmatch(bound.strip()):
        number, most = int(bound), count
        place = int(bound)
    else:
        raise _refuse(split)
    if abs(number) > most:
        raise OptionError(
            f"split {split!r}: {bound} is out of range, of {count_of(count, 'patch')}."
        )
    return place + count if place < 0 else place


def _refuse(split: object) -> OptionError:
    return OptionError(
        f"split: expected names joined by +, each with a slice if wanted, for example "
        f"train, train[:10%], train[100:200] or train[10%:]+validation, got {split!r}."
    )
