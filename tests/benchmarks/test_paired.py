from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import paired
from benchmarks.measure import Measurement
from benchmarks.report import RowResult, encode_sizes
from builder.synthesize import write_archives


def make_results(*seconds: float) -> dict[str, RowResult]:
    """Every row with one round of as many seconds as its place says."""
    return {
        row.name: RowResult(row, [Measurement(1000, time, None, 1.0, None)])
        for row, time in zip(paired.ROWS, seconds, strict=False)
    }


def test_one_build_is_compared_with_the_sum_of_single_ones() -> None:
    """4 s of Sentinel-2 and 2 s of Sentinel-1 against 9 s together, of zstd's 3."""
    results = make_results(2, 1, 3, 4, 2, 9, 8, 5, 4)
    table = paired.make_table({1000: list(results.values())})

    assert 1.5 == pytest.approx(paired.find_overhead(results))
    assert "take 1.50 of the time" in table
    (line,) = [x for x in table.splitlines() if "**ours**: `v2-s1s2`" in x]
    assert "| 111 (111 – 111) | 0.33 |" in line


def test_the_json_has_the_figures_of_each_size_and_row() -> None:
    """Seconds and rates of every round, and why a program failed."""
    results = make_results(2, 1, 3, 4, 2, 9, 8, 5, 4)
    results["v2-s1 tfrecord"] = RowResult(paired.ROWS[4], error="it broke")
    figures = encode_sizes({1000: list(results.values())})["1000"]

    assert [4] == figures["v2-s2 tfrecord"]["seconds"]
    assert [250] == figures["v2-s2 tfrecord"]["rates"]
    assert ("it broke", []) == (
        figures["v2-s1 tfrecord"]["error"],
        figures["v2-s1 tfrecord"]["rates"],
    )


def test_a_program_that_failed_is_named() -> None:
    """Nothing is computed of it."""
    results = make_results(2, 1, 3, 4, 2, 9, 8, 5, 4)
    results["v2-s1 tfrecord"] = RowResult(paired.ROWS[4], error="it broke")
    table = paired.make_table({1000: list(results.values())})

    assert "`v2-s1`, tfrecord | it broke |" in table
    assert "of the time" not in table


def test_columns_are_weighed(tmp_path: Path) -> None:
    """Radar takes most of its store, a map little of the other."""
    write_archives(tmp_path / "archives", 12, seed=0, quiet=True)
    columns = paired.weigh_columns(tmp_path / "archives", tmp_path / "data")

    assert 60_000 < columns["v2-s1: bands_s1"] < 115_200
    assert 100 < columns["v2-s2: reference_map"] < 14_400
    assert "v2-s1: bands_10m" not in columns
