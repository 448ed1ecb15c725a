"""What a patch and a task of each step cost: fitted to measured runs, and checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.engine_report import SHARDS, SPOOL, Run, format_table
from bigearthnet.errors import OptionError

# Of reading a .tar.gz in docs/scale.md, 3,000 patches: with two threads of rapidgzip
# 4.44 processor seconds, 3.6 of them decompressing, which threads share; the others are
# parsing, by one thread. With one thread of isal, 1.51 seconds.
_RAPIDGZIP_MS: Final = 1.2
_PARSE_MS: Final = 0.28
_ISAL_MS: Final = 0.503
CORES: Final = (2, 4, 8, 16)


@dataclass(frozen=True)
class Rate:
    """Processor milliseconds of a step.

    Attributes:
        patch_ms: Of a patch.
        task_ms: Of a task, beside its patches.
    """

    patch_ms: float
    task_ms: float = 0.0

    def find_cpu_s(self, patches: int, tasks: int) -> float:
        """Returns the processor seconds of all workers."""
        return (patches * self.patch_ms + tasks * self.task_ms) / 1000

    def find_wall_s(self, tasks: int, size: int, workers: int) -> float:
        """Returns the seconds of as many workers, in whole rounds of tasks.

        Args:
            tasks: Tasks of the step.
            size: Patches of the largest task.
            workers: Workers of one core, which wait for nothing.
        """
        return math.ceil(tasks / workers) * self.find_cpu_s(size, 1)


def fit_rate(runs: Sequence[Run], engine: str, step: str) -> Rate:
    """Returns the rate of a step by one worker of an engine, of two sizes of tasks.

    What an engine spends once a step, such as Beam on starting workers, counts as of
    patches.

    Raises:
        OptionError: If it was not measured so.
    """
    found = sorted(
        (run.tasks or 0, run.cpu_s, run.patches)
        for run in runs
        if (run.engine, run.step, run.workers) == (engine, step, 1)
    )
    if len(found) < 2:
        raise OptionError(f"{engine} was not measured with two sizes of tasks: {step}.")
    (few, few_s, patches), (many, many_s, _) = found[0], found[-1]
    task_s = max(0.0, (many_s - few_s) / (many - few))
    return Rate(1000 * (few_s - task_s * few) / patches, 1000 * task_s)


def check(runs: Sequence[Run]) -> str:
    """Returns the model beside every measured run of a stage, in Markdown.

    The rates are those of one worker, so that its processor time is what the model was
    made of; its wall, and all of two workers, are not.
    """
    rows = []
    for run in runs:
        if run.step not in (SPOOL, SHARDS) or not run.tasks:
            continue
        rate = fit_rate(runs, run.engine, run.step)
        cpu_s = rate.find_cpu_s(run.patches, run.tasks)
        size = math.ceil(run.patches / run.tasks)
        wall_s = rate.find_wall_s(run.tasks, size, run.workers)
        rows.append(
            [
                run.step,
                run.engine,
                str(run.workers),
                f"{run.tasks} of {run.size:,}",
                f"{rate.patch_ms:.2f}",
                f"{rate.task_ms:.0f}",
                *(f"{cpu_s:.2f}", f"{run.cpu_s:.2f}", f"{cpu_s / run.cpu_s:.2f}"),
                *(f"{wall_s:.2f}", f"{run.wall_s:.2f}", f"{wall_s / run.wall_s:.2f}"),
            ]
        )
    header = (
        "step,engine,workers,tasks,ms a patch,ms a task,CPU s: model,measured,ratio"
    )
    return format_table(
        (*header.split(","), "wall s: model", "measured", "ratio"), rows, 2
    )


def format_decompression(spool: Rate) -> str:
    """Returns what reading one `.tar.gz` would give on more cores, in Markdown.

    One thread less than cores decompresses, beside the one that parses, and of a build
    decodes and writes the spool, too.

    Args:
        spool: Rate of stage one.
    """
    columns = []
    for cores in CORES:
        threads = max(2, cores - 1)
        reading, stage = (
            1000
            / max(
                _RAPIDGZIP_MS / threads,
                alone_ms,
                (_RAPIDGZIP_MS + alone_ms) / cores,
            )
            for alone_ms in (_PARSE_MS, spool.patch_ms)
        )
        columns.append((cores, threads, reading, stage))
    first = 1000 / max(_ISAL_MS, _PARSE_MS), 1000 / max(_ISAL_MS, spool.patch_ms)
    rows = [["any", "1 (isal)", *(f"{rate:,.0f}" for rate in first)]]
    rows += [[str(c), str(n), f"{r:,.0f}", f"{s:,.0f}"] for c, n, r, s in columns]
    header = ("cores", "threads", "patches/s, read", "patches/s, stage one of a build")
    return format_table(header, rows, 0)
