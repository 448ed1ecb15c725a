"""Breaks builds at random moments, runs them again, and compares what comes out.

Builds of a small synthetic archive, in all formats and with many small shards, are
ended by SIGKILL and SIGINT, and meet full disks, broken disks, failed synchronisations
and losses of power. After each the same build is run again, and every file it leaves
must be, byte for byte, that of a build that was not disturbed.

Example:
  python -m benchmarks.faults --work=/tmp/faults --output=benchmarks/results
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from absl import flags

from benchmarks.faults import builds, injected, kills
from bigearthnet.util import command
from builder.synthesize import write_archive
from builder.table import format_table
from builder.verify import verify

# The most patches of a shard: many shards, so that most moments lie in one.
_SHARD = 8
_NUM_PATCHES = 120


def run(
    work: Path, num_kills: int, num_interrupts: int, num_faults: int, seed: int
) -> dict[str, dict[str, object]]:
    """Runs all trials.

    Args:
        work: Existing folder for everything.
        num_kills: Builds that SIGKILL ends.
        num_interrupts: Builds that SIGINT ends.
        num_faults: Builds for each fault of the file system.
        seed: Seed of the moments.

    Returns:
        What was done → `trials`, `differences`, the first of them, and `seconds`.
    """
    source = work / "synthetic.tar.gz"
    write_archive(source, _NUM_PATCHES, seed=0)
    victims = kills.Victims(source, _SHARD)
    for name in ("warm", "expected"):
        victims.measure(work / name)
    differences = sum(r.num_differences for r in verify(work / "expected", quiet=True))
    assert not differences, f"{differences} differences without any fault"
    expected = builds.hash_tree(work / "expected")
    results = {}
    for name, kind, trials in (
        ("SIGKILL", signal.SIGKILL, num_kills),
        ("SIGINT", signal.SIGINT, num_interrupts),
        ("folder removed", None, num_interrupts),
    ):
        found = kills.run_trials(kind, trials, victims, work, expected, seed)
        results[name] = _collect(name, found)
    for fault in injected.FAULTS:
        with builds.small_shards(_SHARD):
            problems = injected.run_trials(
                fault, num_faults, source, work, expected, seed
            )
            found = ((problem, "") for problem in problems)
            results[fault.name] = _collect(fault.name, found)
    return results


def _collect(name: str, found: Iterable[tuple[str, str]]) -> dict[str, object]:
    start, trials = time.monotonic(), 0
    differences: list[str] = []
    stages: dict[str, int] = {}
    for problem, stage in found:
        trials += 1
        stages[stage] = stages.get(stage, 0) + 1
        if problem:
            differences.append(problem)
            print(f"{name}, build {trials}: {problem}", file=sys.stderr, flush=True)
        elif trials % 10 == 0:
            print(f"{name}: {trials} builds", file=sys.stderr, flush=True)
    return {
        "trials": trials,
        "differences": len(differences),
        "first": differences[:3],
        "ended_in": {stage: count for stage, count in stages.items() if stage},
        "seconds": round(time.monotonic() - start, 1),
    }


def _define_flags() -> None:
    command.define_path("work", None, "Folder for builds; emptied.", required=True)
    command.define_path("output", None, "Folder that gets faults.json.")
    flags.DEFINE_integer("kills", 200, "Builds that SIGKILL ends.")
    flags.DEFINE_integer("interrupts", 50, "Builds that SIGINT ends.")
    flags.DEFINE_integer("faults", 100, "Builds for each fault of the file system.")
    flags.DEFINE_integer("seed", 0, "Seed of the moments.")


def _main() -> int:
    values, work = flags.FLAGS, flags.FLAGS.work
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    results = run(work, values.kills, values.interrupts, values.faults, values.seed)
    rows = [
        (name, r["trials"], r["differences"], r["seconds"])
        for name, r in results.items()
    ]
    print(format_table(("what", "builds", "differences", "seconds"), rows))
    if values.output is not None:
        path = values.output / "faults.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(work)
    return 1 if any(r["differences"] for r in results.values()) else 0


if __name__ == "__main__":
    command.run(_main, _define_flags)
