"""Stores near a folder in which one was expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bigearthnet.store.nearby import describe_stores, is_store


def make_store(folder: Path, **changes: object) -> Path:
    """Makes what is taken for a store at first sight."""
    folder.mkdir(parents=True)
    facts = {"dataset": "bigearthnet", "release": "v1.0", "config": "s2", "files": []}
    manifest = {**facts, "format": "arrow", **changes}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "statistics.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("searched", "store"),
    [
        ("my-ben", "my-ben"),
        ("data", "data/huggingface-random"),
        ("data", "data/bigearthnet/s2/2.0.0"),
        ("data", "data/renamed"),
        ("data/bigearthnet", "data/bigearthnet/s2/2.0.0"),
        ("data/bigearthnet/s2", "data/bigearthnet/s2/2.0.0"),
        ("dta", "data/bigearthnet/s2/2.0.0"),
        ("dta", "my-ben"),
        ("datasets--me--ben", "datasets--me--ben/snapshots/0123abc"),
    ],
)
def test_a_store_is_found_from_nearby(
    searched: str, store: str, tmp_path: Path
) -> None:
    """In, below and beside a folder, which need not exist, stores are described."""
    folder = make_store(tmp_path / "x" / store)

    assert [f"{folder} (config s2, arrow)"] == describe_stores(
        [tmp_path / "x" / searched]
    )


def test_the_nearest_come_first_and_few(tmp_path: Path) -> None:
    """Stores in the folder come before others; five are named."""
    for number in range(6):
        make_store(tmp_path / "a" / str(number))
    inner = make_store(tmp_path / "b" / "c")
    found = describe_stores([tmp_path / "b"])

    assert 5 == len(found)
    assert found[0].startswith(str(inner))


def test_manifests_of_other_programs_are_none(tmp_path: Path) -> None:
    """A manifest.json of something else, or a damaged one, is no store."""
    other = make_store(tmp_path / "x" / "other")
    (other / "manifest.json").write_text('{"dataset": "mnist", "files": []}')
    damaged = make_store(tmp_path / "x" / "damaged")
    (damaged / "manifest.json").write_text("{")

    assert [] == describe_stores([tmp_path / "x"])
    assert (False, False) == (is_store(damaged), is_store(other))
