"""Measures what engines cost: both stages of a build, and reading, by their workers.

The same build as tasks of each engine with one and with two workers of this machine, in
two sizes of tasks, so that what a task costs can be told from what a patch costs.
Beside them `local`: the tasks in one process, or in two without any engine, which is
what these cores can give. Then the programs of docs/scale.md that read a Parquet store,
beside our own reader. Times are from the start of a stage to its last result; processor
time is that of all processes, the engine's own among them. Starting an engine is not
counted.

Engines are run by the first interpreter that has them: this one, or one of --pythons.
Writes engines.json into --output. Needs Linux.

Example:
  python -m benchmarks.engines --work=/dev/shm/engines --output=benchmarks/results
"""

from __future__ import annotations

import re
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from absl import flags

from benchmarks import measure
from benchmarks.engine_report import READING, Run, encode_runs, format_runs
from benchmarks.environments import find_versions
from benchmarks.sources import make_parts
from bigearthnet.errors import OptionError
from bigearthnet.util import command
from bigearthnet.util.files import write_json
from bigearthnet.util.options import look_up

_ROOT: Final = Path(__file__).parent.parent
_PROGRAMS: Final = _ROOT / "benchmarks" / "programs"
BUILDERS: Final = ("local", "dask", "spark", "beam")
READERS: Final = ("local", "dask", "ray", "spark")
# Engine → what pip calls it; and what its program in docs/scale.md imports.
_PACKAGES: Final = {
    "local": "numpy",
    "dask": "distributed",
    "spark": "pyspark",
    "beam": "apache-beam",
    "ray": "ray",
}
_IMPORTS: Final = {"dask": "dask", "ray": "ray", "spark": "pyspark"}
WORKERS: Final = (1, 2)


def find_python(package: str, pythons: Sequence[Path]) -> tuple[Path, str]:
    """Returns the first interpreter that has a package, and its version of it.

    Raises:
        RunError: If none has.
    """
    for python in pythons:
        if python.exists() and (found := find_versions(python, (package,))):
            return python, found[package]
    raise measure.RunError(f"{package} is in none of {', '.join(map(str, pythons))}")


def measure_builds(
    engine: str,
    workers: int,
    python: Path,
    archives: Mapping[int, Path],
    options: Mapping[str, Any],
) -> list[Run]:
    """Runs the builds of an engine with a number of workers.

    Args:
        engine: Its name.
        workers: Worker processes.
        python: Has the engine.
        archives: Patches of a task → the archive.
        options: `work`, `turns`, `timeout_s`, `num_patches`.

    Returns:
        A run for each stage and size, medians over the turns.

    Raises:
        RunError: If it fails.
    """
    shutil.rmtree(options["work"] / "build", ignore_errors=True)  # of one that failed
    said = _run(
        [
            python,
            _PROGRAMS / "engine_build.py",
            f"--engine={engine}",
            f"--workers={workers}",
            f"--turns={options['turns']}",
            f"--work={options['work'] / 'build'}",
            *(f"{size}={path}" for size, path in archives.items()),
        ],
        options["timeout_s"],
    )
    return [
        Run(stage, engine, workers, size, options["num_patches"], **_find_medians(took))
        for size in archives
        for stage in said[str(size)][0]
        for took in [[turn[stage] for turn in said[str(size)]]]
    ]


def measure_reading(
    reader: str, workers: int, python: Path, options: Mapping[str, Any]
) -> Run:
    """Has the store read, by a program of docs/scale.md or by our reader.

    Args:
        reader: Name of the engine, or `local` for ours.
        workers: Worker processes.
        python: Has the engine.
        options: As of `measure_builds`.

    Raises:
        RunError: If it fails.
    """
    import pyarrow.parquet as pq

    work = options["work"]
    call: list[str | Path] = [
        python,
        _PROGRAMS / "engine_read.py",
        f"--engine={reader}",
        f"--workers={workers}",
        f"--turns={options['turns']}",
        f"--work={work}",
    ]
    if reader in _IMPORTS:
        program = work / f"read_{reader}.py"
        program.write_text(find_program(_IMPORTS[reader]))
        call.append(f"--program={program}")
    turns = _run(call, options["timeout_s"])
    files = list((work / "data" / "huggingface" / "s2").iterdir())
    patches = sum(pq.read_metadata(path).num_rows for path in files)
    return Run(READING, reader, workers, None, patches, **_find_medians(turns))


def find_program(package: str) -> str:
    """Returns the program of docs/scale.md that imports a package."""
    text = (_ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", text, re.S)
    pattern = re.compile(rf"^(import|from) {package}\b", re.M)
    return next(program for program in programs if pattern.search(program))


def _run(call: Sequence[str | Path], timeout_s: float) -> Any:
    said, _ = measure.run_program(call, {"PYTHONPATH": str(_ROOT)}, timeout_s=timeout_s)
    return said


def _find_medians(turns: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: statistics.median(turn[name] for turn in turns) for name in turns[0]
    }
    return found | ({"tasks": int(found["tasks"])} if "tasks" in found else {})


def measure_all(
    engines: Sequence[str],
    pythons: Sequence[Path],
    archives: Mapping[int, Path],
    options: Mapping[str, Any],
) -> tuple[list[Run], dict[str, str], dict[str, str]]:
    """Measures builds and reading of all engines; goes on after one that fails.

    Returns:
        The runs; of what failed why; and package of each engine → its version.
    """
    runs: list[Run] = []
    failed: dict[str, str] = {}
    versions: dict[str, str] = {}
    for names, is_build in ((BUILDERS, True), (READERS, False)):
        for name in [name for name in names if name in engines]:
            title = name if is_build else f"reading by {name}"
            try:
                package = _PACKAGES[name]
                python, versions[package] = find_python(package, pythons)
                for workers in WORKERS:
                    found = (
                        measure_builds(name, workers, python, archives, options)
                        if is_build
                        else [measure_reading(name, workers, python, options)]
                    )
                    runs += found
                    for run in found:
                        print(run.describe(), file=sys.stderr, flush=True)
            except measure.RunError as error:
                failed[title] = " ".join(str(error).split())
                print(f"{title}: {failed[title]}", file=sys.stderr, flush=True)
    return runs, failed, versions


def _define_flags() -> None:
    flags.DEFINE_list("engines", [*_PACKAGES], "What is measured, and local.")
    command.define_path_list(
        "pythons",
        ".venv-spark/bin/python,.venv-beam/bin/python",
        "Interpreters of other environments, as `make test-engines` makes them.",
    )
    flags.DEFINE_integer("num_patches", 3_000, "Patches of the source.")
    flags.DEFINE_list("sizes", ["250", "1000"], "Most patches of a task; two numbers.")
    flags.DEFINE_integer("turns", 2, "Counted runs of each.", lower_bound=1)
    command.define_path("work", "benchmarks-work", "Folder for sources and shards.")
    command.define_path("output", "benchmarks-results", "Folder for engines.json.")
    flags.DEFINE_integer("timeout", 600, "Seconds after which a program is killed.")


def _main() -> None:
    values = flags.FLAGS
    for name in values.engines:
        look_up(_PACKAGES, name, "engine (--engines)")
    sizes = [int(size) for size in values.sizes]
    if len(set(sizes)) < 2:
        raise OptionError(f"sizes: expected two numbers, got {values.sizes}.")
    work = values.work.resolve() / f"engines-{values.num_patches}"
    work.mkdir(parents=True, exist_ok=True)
    print(f"{values.num_patches:,} patches in {work}", file=sys.stderr, flush=True)
    archives = make_parts(work, values.num_patches, sizes)
    options = {
        "work": work,
        "turns": values.turns,
        "timeout_s": values.timeout,
        "num_patches": values.num_patches,
    }
    pythons = [
        Path(sys.executable),
        *(path.absolute() for path in values.pythons),
    ]
    engines = ["local", *values.engines]
    runs, failed, versions = measure_all(engines, pythons, archives, options)
    found = {
        "machine": measure.describe_machine(),
        "versions": versions,
        "turns": values.turns,
        "failed": failed,
        "runs": encode_runs(runs),
    }
    values.output.mkdir(parents=True, exist_ok=True)
    write_json(found, values.output / "engines.json")
    print(format_runs(runs, failed))


if __name__ == "__main__":
    command.run(_main, _define_flags)
