from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.engine_report import (
    READING,
    SPOOL,
    Run,
    encode_runs,
    find_linear,
    find_overhead,
    format_runs,
    read_runs,
)
from bigearthnet.errors import OptionError
from bigearthnet.util.files import write_json

RUNS = [
    Run(SPOOL, "local", 1, 100, 1_000, 2.0, 2.0, 10, 2.0),
    Run(SPOOL, "dask", 1, 100, 1_000, 4.0, 3.0, 10, 3.6),
    Run(SPOOL, "dask", 2, 100, 1_000, 2.5, 3.0, 10, 3.0),
    Run(READING, "dask", 1, None, 500, 1.0, 1.5),
]


def test_two_workers_are_compared_with_one() -> None:
    """400 patches/s by two workers are 0.8 of twice 250 by one."""
    assert find_linear(RUNS[2], RUNS) == pytest.approx(0.8)


def test_an_engine_is_compared_with_the_same_work_without_it() -> None:
    """Two seconds more of wall and one of processors; nothing to compare, no figure."""
    assert find_overhead(RUNS[1], RUNS) == (2.0, 1.0)
    assert find_overhead(RUNS[3], RUNS) is None


def test_the_tables_have_every_run_and_what_failed() -> None:
    """Rates, shares, overhead of a patch and a task, and why something failed."""
    text = format_runs(RUNS, {"beam": "it broke"})
    lines = text.splitlines()
    assert "| spool | dask | 2 | 10 of 100 | 400 | 0.80 | 3.00 | 1.20 | 0.60 |" in lines
    assert "| reading | dask | 1 |  | 500 |  | 3.00 | 1.50 |  |" in lines
    assert "| spool | dask | 10 of 100 | 2.00 | 1.00 | 200 | 100 |" in lines
    assert lines[-1] == "beam: it broke"


def test_runs_are_read_again(tmp_path: Path) -> None:
    """A file of runs gives them back; without one, the error says what makes it."""
    path = tmp_path / "engines.json"
    with pytest.raises(OptionError, match=r"benchmarks\.engines"):
        read_runs(path)
    write_json({"runs": encode_runs(RUNS)}, path)
    assert read_runs(path) == RUNS
