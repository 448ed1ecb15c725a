from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.measure import Measurement
from benchmarks.report import RowResult, draw, find_ratio, make_json, make_table
from benchmarks.rows import Row


def make_result(
    name: str, *rates: float, ours: str | None = None, limit: str | None = None
) -> RowResult:
    """A row whose rounds had as many patches per second."""
    row = Row(
        name, f"title of {name}", "group", "ours", "p", "s", ours=ours, limit=limit
    )
    runs = [Measurement(1000, 1000 / rate, 161_000_000, 2.0, None) for rate in rates]
    return RowResult(row, runs, peak_pss=250_000_000)


def test_figures_are_medians_over_rounds() -> None:
    """One slow round does not change the figure."""
    result = make_result("a", 10, 1000, 20)

    assert 20 == pytest.approx(result.rate)
    assert 2.0 == result.cpu_per_1000
    assert 161_000 == result.patch_nbytes


def test_ratios_are_taken_round_by_round() -> None:
    """Two programs are compared within each round, since machines drift."""
    ours, peer = make_result("a", 100, 10, 40), make_result("b", 10, 5, 10)

    assert 4 == pytest.approx(find_ratio(ours, peer))
    assert 1 / 4 == pytest.approx(find_ratio(ours, peer, inverse=True))
    assert None is find_ratio(ours, None)
    assert None is find_ratio(ours, make_result("c"))


def test_the_table_compares_with_ours_and_the_limit() -> None:
    """A peer shows how many times ours is faster, ours what part of the limit it is."""
    results = [
        make_result("limit", 200, 200),
        make_result("mine", 100, 120, limit="limit"),
        make_result("peer", 10, 10, ours="mine"),
    ]
    lines = make_table(results).splitlines()

    assert "### group" == lines[0]
    assert "| title of limit | 200 (200 – 200) | 2.00 | 250 | 161.0 |  |  |" in lines
    assert "| title of mine | 110 (100 – 120) | 2.00 | 250 | 161.0 |  | 0.55 |" in lines
    assert "| title of peer | 10 (10 – 10) | 2.00 | 250 | 161.0 | 11.0 × |  |" in lines


def test_what_was_not_measured_is_listed_with_its_error() -> None:
    """A peer that does not run keeps its line, and the reason stands below."""
    failed = make_result("peer")
    failed.error = "pip install peer: no such package"
    table = make_table([failed])

    assert "| title of peer | not measured | | | | | |" in table
    assert "- title of peer: not measured. pip install peer: no such package" in table


def test_the_json_holds_every_run() -> None:
    """Programs find machine, options, rows and each of their runs."""
    content = make_json([make_result("a", 10, 20)], {"cores": 2}, {"rounds": 2})
    read = json.loads(json.dumps(content))

    assert {"cores": 2} == read["machine"]
    assert {"rounds": 2} == read["options"]
    assert "a" == read["rows"][0]["name"]
    assert [100.0, 50.0] == [run["seconds"] for run in read["rows"][0]["runs"]]


def test_figures_are_drawn(tmp_path: Path) -> None:
    """A picture is drawn of what was measured, and none of nothing."""
    draw([make_result("a", 10), make_result("b")], tmp_path / "x.png", "rate", "1/s")
    draw([make_result("b")], tmp_path / "none.png", "rate", "1/s")

    assert ["x.png"] == [path.name for path in tmp_path.iterdir()]
    assert b"\x89PNG" == (tmp_path / "x.png").read_bytes()[:4]
