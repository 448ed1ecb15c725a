from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baselines.errors import ResultError
from baselines.scores import SCORES, Scores, read_scores, write_scores
from bigearthnet.util.files import hash_file

MakeScores = Callable[..., Scores]


def test_scores_are_read_as_they_were_written(
    tmp_path: Path, make_scores: MakeScores
) -> None:
    """Order, labels and every bit of the probabilities survive."""
    scores = make_scores(num_classes=5)
    sha256 = write_scores(scores, tmp_path, {})
    read = read_scores(tmp_path, sha256, 5)

    assert scores.patch_ids == read.patch_ids
    assert np.array_equal(scores.y_true, read.y_true)
    assert np.array_equal(scores.probability, read.probability)
    assert (np.uint8, np.float32) == (read.y_true.dtype, read.probability.dtype)
    assert [SCORES] == [path.name for path in tmp_path.iterdir()]


def test_sorting_keeps_rows_together() -> None:
    """Labels and scores move with their patch."""
    scores = Scores(
        ("b", "a", "c"),
        np.array([[0, 1], [1, 0], [1, 1]], np.uint8),
        np.array([[0.2, 0], [0.1, 0], [0.3, 0]], np.float32),
    ).sort()

    assert ("a", "b", "c") == scores.patch_ids
    assert [[1, 0], [0, 1], [1, 1]] == scores.y_true.tolist()
    assert scores.probability[:, 0] == pytest.approx([0.1, 0.2, 0.3])


def test_a_patch_that_comes_twice_is_refused(make_scores: MakeScores) -> None:
    """Each patch has one row; a repeated or missing id is named."""
    scores = make_scores()
    ids = scores.patch_ids
    twice = dataclasses.replace(scores, patch_ids=(ids[1], *ids[1:]))
    with pytest.raises(ResultError, match=f"patch {ids[1]} comes 2 times"):
        twice.check()
    with pytest.raises(ResultError, match="a patch id for each of 120 rows, got 119"):
        dataclasses.replace(scores, patch_ids=ids[1:]).check()


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (pa.table({"patch_id": ["a"]}), "y_true"),
        (
            pa.table({"patch_id": ["a"], "y_true": [1], "probability": [0.5]}),
            "expected a column of fixed_size_list.*got int64",
        ),
        (
            pa.table({"patch_id": ["a"], "y_true": [[1, 0]], "probability": [[0.5]]}),
            "expected a column of fixed_size_list.*got list",
        ),
    ],
)
def test_a_table_of_other_columns_is_refused(
    tmp_path: Path, table: pa.Table, match: str
) -> None:
    """A file of the right checksum that does not hold scores is an error of ours."""
    pq.write_table(table, tmp_path / SCORES)

    with pytest.raises(ResultError, match=f"not scores of ours: .*{match}"):
        read_scores(tmp_path, hash_file(tmp_path / SCORES), 2)


def test_scores_of_another_number_of_classes_are_refused(
    tmp_path: Path, make_scores: MakeScores
) -> None:
    """Rows of five classes are not read as rows of four."""
    sha256 = write_scores(make_scores(num_classes=5), tmp_path, {})

    with pytest.raises(ResultError, match=r"expected a column of .*\[4\], got .*\[5\]"):
        read_scores(tmp_path, sha256, 4)
