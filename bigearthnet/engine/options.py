"""The options of a build: what to store of a source, and how."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from bigearthnet.errors import OptionError
from bigearthnet.release.splits import COUNTRIES

# More processes than this would only wait for the disk.
_MAX_WORKERS = 8


def count_workers() -> int:
    """Returns the default number of processes of stage two: the CPUs, up to eight."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MAX_WORKERS)
    return min(os.cpu_count() or 1, _MAX_WORKERS)


@dataclass(frozen=True)
class BuildOptions:
    """What to store of a source, and how.

    Attributes:
        include_excluded: Stores the patches with snow, cloud or without a label of the
            scheme, too, as split `excluded`.
        limit: Stops after as many stored patches; None for all.
        countries: Stores patches of these countries only; empty for all.
        workers: Processes of stage two; see `count_workers` for the default.
        decompressors: Threads that decompress one source file in stage one; see
            `source.open_source`.
        max_bad: The most bad patches that are set aside; None to end with the first.
        quiet: Shows no progress.
    """

    include_excluded: bool = False
    limit: int | None = None
    countries: tuple[str, ...] = ()
    workers: int = field(default_factory=lambda: count_workers())
    decompressors: int = 1
    max_bad: int | None = None
    quiet: bool = False

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            OptionError: If a value is invalid.
        """
        for name in ("limit", "max_bad", "workers", "decompressors"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"{name}: expected at least 1, got {value}.")
        for country in self.countries:
            if country not in COUNTRIES:
                raise OptionError(
                    f"unknown country: expected some of {', '.join(COUNTRIES)}, got "
                    f"{country!r}."
                )
