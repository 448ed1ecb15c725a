"""Faults of the file system, in this process: full and broken disks, loss of power."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.faults import builds
from benchmarks.faults.layer import (
    BROKEN,
    FULL,
    READ_ONLY,
    FaultLayer,
    PowerLossError,
)
from bigearthnet.errors import BigEarthNetError


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: What it is, for people.
        error: `errno` of the call that fails; None for a loss of power.
        only: Function of `os` that fails; None for any that changes something.
        most: How many of them may follow one another before a build gets through.
    """

    name: str
    error: int | None
    only: str | None = None
    most: int = 1


FAULTS = (
    Fault("disk full in a write (ENOSPC)", FULL, "writev"),
    Fault("broken disk in a write (EIO)", BROKEN, "writev"),
    Fault("failed synchronisation (EIO)", BROKEN, "fsync"),
    Fault("failed renaming (EIO)", BROKEN, "rename"),
    Fault("any change fails (EIO)", BROKEN),
    Fault("folder turns read-only (EROFS)", READ_ONLY),
    Fault("loss of power, up to three times", None, None, 3),
)


def run_trials(
    fault: Fault,
    trials: int,
    source: Path,
    work: Path,
    expected: dict[str, str],
    seed: int = 0,
) -> Iterator[str]:
    """Breaks builds at random calls, and goes on until they are finished.

    Args:
        fault: What happens.
        trials: How many builds.
        source: The archive.
        work: Existing folder to build in.
        expected: What `builds.hash_tree` says of an undisturbed build.
        seed: Seed of when it happens.

    Yields:
        For each build "" if all is as expected, or what is not.
    """
    numbers = random.Random(f"{fault.name} {seed}")
    total = count_calls(source, work / "count", fault.only)
    for trial in range(trials):
        folder = work / f"trial-{trial}"
        folder.mkdir()
        for run in itertools.count():
            at = numbers.randint(1, total) if run < fault.most else None
            problem = _try(fault, source, folder, at, seed=numbers.randrange(2**32))
            if problem is None:
                break
            if problem:
                yield problem
                break
        if problem is None:
            yield builds.compare(expected, builds.hash_tree(folder))
        shutil.rmtree(folder)


def count_calls(source: Path, folder: Path, only: str | None) -> int:
    """Returns how many calls an undisturbed build makes that may fail."""
    folder.mkdir()
    with FaultLayer(folder, only=only) as layer:
        builds.run_build(source, folder)
    shutil.rmtree(folder)
    return layer.num_calls


def _try(
    fault: Fault, source: Path, folder: Path, at: int | None, seed: int
) -> str | None:
    """Runs a build once; None if it was finished, "" after the fault, or a problem."""
    try:
        with FaultLayer(folder, at=at, error=fault.error, only=fault.only, seed=seed):
            builds.run_build(source, folder)
    except PowerLossError:
        return ""
    except (OSError, BigEarthNetError) as error:
        if builds.IS_THERE in str(error):
            return None  # it was finished before; what it left is compared
        return "" if at is not None else f"{type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
