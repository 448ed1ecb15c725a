from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine_report import READING, SHARDS, SPOOL, read_runs
from benchmarks.engines import find_program, measure_reading

NUM_PATCHES = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves: sources in `work`, figures in `output`."""
    folder = tmp_path_factory.mktemp("engines")
    command = [sys.executable, "-m", "benchmarks.engines", "--engines=local,ray"]
    command += [f"--num_patches={NUM_PATCHES}", "--sizes=10,30", "--turns=1"]
    command += [f"--work={folder / 'work'}", f"--output={folder / 'output'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "spool, local, workers: 2, 6 tasks" in done.stderr
    assert done.stdout.startswith("| step | engine | workers |")
    return folder


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
def test_every_step_is_measured_in_both_sizes(folder: Path) -> None:
    """Both stages in small and large tasks, and reading, by one and by two workers."""
    runs = read_runs(folder / "output" / "engines.json")
    found = [(run.step, run.workers, run.size) for run in runs if run.engine == "local"]
    stages = [(step, size) for size in (10, 30) for step in (SPOOL, SHARDS)]
    assert found == [
        *((step, workers, size) for workers in (1, 2) for step, size in stages),
        *((READING, workers, None) for workers in (1, 2)),
    ]
    spooled = [run for run in runs if run.step == SPOOL and run.workers == 1]
    assert [run.tasks for run in spooled] == [6, 2]
    assert all(run.cpu_s > 0 and run.wall_s > 0 for run in runs)


def test_a_program_of_the_documentation_is_measured(folder: Path) -> None:
    """Dask's program reads every patch of the store, with the workers it is given."""
    work = folder / "work" / f"engines-{NUM_PATCHES}"
    options = {"work": work, "turns": 1, "timeout_s": 120}
    run = measure_reading("dask", 1, Path(sys.executable), options)
    local = read_runs(folder / "output" / "engines.json")[-1]
    assert (run.step, run.patches) == (READING, local.patches)
    assert run.wall_s > 0


@pytest.mark.parametrize(
    ("package", "text"), [("ray", "num_cpus=2"), ("pyspark", "local[2]")]
)
def test_programs_can_be_given_other_workers(package: str, text: str) -> None:
    """Each says once how many workers it has, as the benchmark looks for it."""
    assert find_program(package).count(text) == 1
