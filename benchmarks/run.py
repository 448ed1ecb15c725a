"""Measures ours and the peers side by side, in one run, round after round.

Makes a synthetic archive, installs each peer into a virtual environment of its own,
runs every program once to warm up and to look at its memory, then in alternating
rounds. Writes results.json, results.md and pictures into --output. Peers that take
minutes for what takes us seconds get fewer patches (--num_few).

Example:
  python -m benchmarks.run --num_patches=12000 --work=/dev/shm/benchmarks
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from absl import flags

from benchmarks import measure
from benchmarks.environments import ENVIRONMENTS, OURS, SetupError, find_versions
from benchmarks.report import RowResult, draw, make_json, make_table
from benchmarks.rows import ROWS as ROWS_V1
from benchmarks.rows import Row
from benchmarks.rows_v2 import ROWS as ROWS_V2
from benchmarks.sources import Sources
from bigearthnet.util import command

ROWS = (*ROWS_V1, *ROWS_V2)
_ROOT = Path(__file__).parent
# Our package is found by programs that need it, installed or not.
_VARIABLES = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1"}


def choose_rows(only: list[str]) -> list[Row]:
    """Returns the rows whose name begins with one of some texts; all without any.

    Limits and our own rows that the chosen ones are compared with come, too.
    """
    chosen = [row for row in ROWS if not only or row.name.startswith(tuple(only))]
    needed = {name for row in chosen for name in (row.name, row.limit, row.ours)}
    return [row for row in ROWS if row.name in needed]


def prepare(row: Row, environments: Path) -> Path:
    """Returns the interpreter of a row's environment, installed if need be.

    Raises:
        SetupError: If it cannot be installed.
    """
    if row.environment == OURS:
        return Path(sys.executable)
    return ENVIRONMENTS[row.environment].prepare(environments)


def run_row(
    row: Row, python: Path, sources: Sources, timeout_s: float, *, watch_memory: bool
) -> measure.Measurement:
    """Runs the program of a row once, with an empty folder to write to.

    Raises:
        RunError: If it fails.
        SetupError: If what it reads cannot be made.
    """
    source, patches = sources.get(row.source)
    work = sources.work / "out"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    program = _ROOT / "programs" / f"{row.program}.py"
    arguments = [
        f"--source={source}",
        f"--work={work}",
        f"--patches={patches}",
        *row.arguments,
    ]
    variables = dict(_VARIABLES)
    if row.environment == OURS:
        variables["PYTHONPATH"] = str(_ROOT.parent)
    try:
        return measure.run(
            [python, program, *arguments],
            variables,
            timeout_s=timeout_s,
            watch_memory=watch_memory,
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run_all(
    rows: list[Row], sources: Sources, rounds: int, timeout_s: float
) -> list[RowResult]:
    """Runs all rows, first once each, then in alternating rounds."""
    results = [RowResult(row) for row in rows]
    pythons: dict[str, Path] = {}
    for number in range(rounds + 1):
        for result in results:
            row = result.row
            if result.error is not None:
                continue
            try:
                if number == 0:
                    pythons[row.name] = prepare(row, sources.environments)
                    result.versions = find_versions(pythons[row.name], row.packages)
                measured = run_row(
                    row,
                    pythons[row.name],
                    sources,
                    timeout_s,
                    watch_memory=number == 0,
                )
            except (SetupError, measure.RunError) as error:
                result.error = " ".join(str(error).split())
                print(f"{row.name}: {result.error}", file=sys.stderr, flush=True)
                continue
            if number == 0:
                result.peak_pss = measured.peak_pss
            else:
                result.runs.append(measured)
            print(
                f"round {number} of {rounds}, {row.name}: {measured.rate:,.0f} "
                "patches/s",
                file=sys.stderr,
                flush=True,
            )
    return results


def write_results(
    results: list[RowResult],
    output: Path,
    machine: dict[str, object],
    options: dict[str, object],
) -> None:
    """Writes results.json, results.md and the pictures."""
    output.mkdir(parents=True, exist_ok=True)
    content = make_json(results, machine, options)
    (output / "results.json").write_text(json.dumps(content, indent=1) + "\n")
    (output / "results.md").write_text(make_table(results))
    for value, label in (
        ("rate", "patches/s"),
        ("cpu_per_1000", "processor seconds for 1,000 patches, start-up included"),
        ("peak_pss", "peak memory of all processes (bytes)"),
        ("patch_nbytes", "bytes of a patch on disk"),
    ):
        draw(results, output / f"{value}.png", value, label)


def _define_flags() -> None:
    flags.DEFINE_integer("num_patches", 12_000, "Patches of the archive.")
    flags.DEFINE_integer("num_few", 600, "Patches for peers that are slow.")
    flags.DEFINE_integer("rounds", 3, "Counted runs of each program.")
    flags.DEFINE_list("only", [], "Only rows whose names begin so, and their limits.")
    command.define_path("work", "benchmarks-work", "Folder for archives and stores.")
    command.define_path(
        "environments", None, "Folder for the peers' environments; else in --work."
    )
    command.define_path("output", "benchmarks-results", "Folder for the results.")
    flags.DEFINE_integer("timeout", 1800, "Seconds after which a program is killed.")
    flags.DEFINE_bool("list", False, "Only list the rows.")


def _main() -> None:
    values = flags.FLAGS
    rows = choose_rows(values.only)
    if values.list:
        for row in rows:
            print(f"{row.name:32} {row.title}")
        return
    work = values.work.resolve()
    environments = (values.environments or work / "environments").resolve()
    sources = Sources(work, environments, values.num_patches, values.num_few)
    results = run_all(rows, sources, values.rounds, values.timeout)
    output = values.output
    names = ("num_patches", "num_few", "rounds", "only")
    options = {name: values[name].value for name in names}
    write_results(results, output, measure.describe_machine(), options)
    print((output / "results.md").read_text())


if __name__ == "__main__":
    command.run(_main, _define_flags)
