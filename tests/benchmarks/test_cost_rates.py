from __future__ import annotations

import pytest

from benchmarks.cost_rates import Rate, check, fit_rate, format_decompression
from benchmarks.engine_report import SHARDS, SPOOL, Run
from bigearthnet.errors import OptionError

# 2 ms a patch and 50 ms a task, by one worker and by two.
RUNS = [
    Run(SPOOL, "dask", 1, 250, 1_000, 2.3, 2.2, 4),
    Run(SPOOL, "dask", 1, 50, 1_000, 3.0, 3.0, 20),
    Run(SPOOL, "dask", 2, 50, 1_000, 2.0, 3.2, 20),
]


def test_a_patch_and_a_task_are_told_apart() -> None:
    """Two sizes of tasks give both costs; one size gives none."""
    rate = fit_rate(RUNS, "dask", SPOOL)
    assert (rate.patch_ms, rate.task_ms) == pytest.approx((2.0, 50.0))
    with pytest.raises(OptionError, match="two sizes of tasks: shards"):
        fit_rate(RUNS, "dask", SHARDS)


def test_workers_take_whole_rounds() -> None:
    """Five tasks of 100 patches are three rounds of two workers."""
    rate = Rate(2.0, 50.0)
    assert rate.find_cpu_s(500, 5) == pytest.approx(1.25)
    assert rate.find_wall_s(5, 100, 2) == pytest.approx(0.75)


def test_the_model_is_compared_with_what_was_measured() -> None:
    """Model, measured and ratio, of processors and of wall."""
    lines = check(RUNS).splitlines()
    assert lines[-1].startswith("| spool | dask | 2 | 20 of 50 | 2.00 | 50 |")
    assert lines[-1].endswith("| 3.00 | 3.20 | 0.94 | 1.50 | 2.00 | 0.75 |")


def test_parsing_limits_many_threads() -> None:
    """16 cores read no faster than 8, and a build waits for its own work before."""
    *_, eight, sixteen = format_decompression(Rate(0.5)).splitlines()
    assert eight == "| 8 | 7 | 3,571 | 2,000 |"
    assert sixteen == "| 16 | 15 | 3,571 | 2,000 |"
