"""What was measured of engines: runs, what follows from them, and their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bigearthnet.errors import OptionError
from bigearthnet.util.files import read_json_object

SPOOL: Final = "spool"
SHARDS: Final = "shards"
READING: Final = "reading"


@dataclass(frozen=True)
class Run:
    """One step of the work by an engine; of several turns the medians.

    Attributes:
        step: `spool` (stage one), `shards` (stage two), or `reading`.
        engine: Its name; `local` is without one, of reading our own reader.
        workers: Worker processes.
        size: Most patches of a task; None of reading.
        patches: Patches of the step.
        wall_s: Seconds until the last result.
        cpu_s: Processor seconds of all processes.
        tasks: Tasks of the step; None of reading.
        in_tasks_s: Seconds inside of tasks, over all workers; None of reading.
    """

    step: str
    engine: str
    workers: int
    size: int | None
    patches: int
    wall_s: float
    cpu_s: float
    tasks: int | None = None
    in_tasks_s: float | None = None

    @property
    def rate(self) -> float:
        """Patches per second."""
        return self.patches / self.wall_s

    def describe(self) -> str:
        """Returns a line about it."""
        tasks = "" if self.tasks is None else f", {self.tasks} tasks"
        return (
            f"{self.step}, {self.engine}, workers: {self.workers}{tasks}: "
            f"{self.rate:,.0f} patches/s, {self.cpu_s / self.wall_s:.2f} cores"
        )


def encode_runs(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Returns runs as JSON has them."""
    return [asdict(run) for run in runs]


def read_runs(path: Path) -> list[Run]:
    """Reads the runs of an `engines.json`.

    Raises:
        OptionError: If it is not there.
    """
    if not path.exists():
        raise OptionError(f"{path} is not there: run python -m benchmarks.engines.")
    return [Run(**run) for run in read_json_object(path)["runs"]]


def find_linear(run: Run, runs: Sequence[Run]) -> float | None:
    """Returns a run's rate ÷ that of one worker, as often as it has workers."""
    for one in runs:
        if (one.step, one.engine, one.size, one.workers) == (
            run.step,
            run.engine,
            run.size,
            1,
        ):
            return run.rate / (run.workers * one.rate)
    return None


def find_overhead(run: Run, runs: Sequence[Run]) -> tuple[float, float] | None:
    """Returns the seconds of wall and of processors that a run takes more than local.

    Args:
        run: A run of an engine.
        runs: All runs.
    """
    for local in runs:
        if local.engine == "local" and (local.step, local.workers, local.size) == (
            run.step,
            run.workers,
            run.size,
        ):
            return run.wall_s - local.wall_s, run.cpu_s - local.cpu_s
    return None


def format_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], texts: int
) -> str:
    """Returns a table in Markdown.

    Args:
        header: Title of each column.
        rows: The cells.
        texts: Columns of text, on the left; the others are numbers.
    """
    marks = ["---"] * texts + ["---:"] * (len(header) - texts)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def format_runs(runs: Sequence[Run], failed: Mapping[str, str]) -> str:
    """Returns the tables of all runs in Markdown, and what failed."""
    titles = {"local": "`local`"}
    rates, costs = [], []
    for run in runs:
        linear = find_linear(run, runs) if run.workers > 1 else None
        inside = run.in_tasks_s
        share = None if inside is None else inside / run.workers / run.wall_s
        head = [run.step, titles.get(run.engine, run.engine), str(run.workers)]
        head.append("" if run.tasks is None else f"{run.tasks} of {run.size:,}")
        rates.append(
            [
                *head,
                f"{run.rate:,.0f}",
                "" if linear is None else f"{linear:.2f}",
                f"{1000 * run.cpu_s / run.patches:.2f}",
                f"{run.cpu_s / run.wall_s:.2f}",
                "" if share is None else f"{share:.2f}",
            ]
        )
        more = find_overhead(run, runs)
        if run.tasks and run.workers == 1 and run.engine != "local" and more:
            per = [(s, n) for n in (run.patches, run.tasks) for s in more]
            cells = [f"{1000 * s / n:.{2 if n == run.patches else 0}f}" for s, n in per]
            costs.append([head[0], head[1], head[3], *cells])
    tables = [
        format_table(
            (
                "step",
                "engine",
                "workers",
                "tasks",
                "patches/s",
                "of linear",
                "CPU ms a patch",
                "cores used",
                "in tasks",
            ),
            rates,
            2,
        ),
        "One worker, more than `local`:",
        format_table(
            (
                "step",
                "engine",
                "tasks",
                "ms a patch",
                "CPU ms a patch",
                "ms a task",
                "CPU ms a task",
            ),
            costs,
            2,
        ),
        *(f"{name}: {reason}" for name, reason in failed.items()),
    ]
    return "\n\n".join(tables)
