from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.cost_model import V1_LOAD, V2_LOAD, compute, format_costs


def test_costs_follow_from_how_the_work_is_cut() -> None:
    """Parts and shards are those of a build; small ones are counted by hand."""
    cost = compute(replace(V1_LOAD, splits=(8_000, 4_000)), 1)
    assert (cost.spool_tasks, cost.shards) == (3, 3)
    assert cost.requests == 12_000 * 13
    assert cost.hours == pytest.approx(cost.core_hours)
    assert cost.index_nbytes == 0
    assert compute(V1_LOAD, 1).shards == 192


def test_workers_share_the_time_and_not_the_work() -> None:
    """More workers take less time, at least a round of each stage; the cost stays."""
    one, many = compute(V2_LOAD, 1), compute(V2_LOAD, 100)
    assert one.core_hours == many.core_hours
    assert one.hours / 100 < many.hours < one.hours / 50
    assert "core-hours" in format_costs({"v2.0": many})
