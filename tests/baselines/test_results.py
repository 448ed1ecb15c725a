from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow.parquet as pq
import pytest

from baselines.errors import ResultError
from baselines.evaluations import Subject
from baselines.metrics import compute_metrics
from baselines.results import evaluation_folder, read_results, write_results
from baselines.results_json import make_schema
from baselines.schemas import load_schema
from baselines.scores import Scores
from bigearthnet.release.nomenclature import BEN19, CLC43, CLC_LEVEL2
from bigearthnet.util.files import hash_file

MakeSubject = Callable[..., Subject]
MakeScores = Callable[..., Scores]
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path, make_subject: MakeSubject, make_scores: MakeScores) -> Path:
    """An evaluation with a tuned threshold."""
    folder = tmp_path / "evaluations" / "test"
    subject = make_subject(seed=3)
    write_results(
        folder, subject, make_scores(), tuned_threshold=0.6, run={"seconds": 2.5}
    )
    return folder


def read_json(folder: Path) -> dict[str, Any]:
    """The content of results.json."""
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return content


def change_json(folder: Path, change: Change) -> None:
    """Changes the content of results.json."""
    content = read_json(folder)
    change(content)
    (folder / "results.json").write_text(json.dumps(content))


def test_what_was_written_is_read(
    folder: Path, make_subject: MakeSubject, make_scores: MakeScores
) -> None:
    """Subject, scores, metrics and the tuned column survive the two files."""
    scores, result = make_scores(), read_results(folder)

    assert make_subject(seed=3) == result.subject
    assert scores.patch_ids == result.scores.patch_ids
    assert np.array_equal(scores.y_true, result.scores.y_true)
    assert np.array_equal(scores.probability, result.scores.probability)
    arrays = scores.y_true, scores.probability
    assert compute_metrics(*arrays, labels=CLC43.labels) == result.metrics
    assert result.tuned is not None
    assert "validation" == result.tuned.split
    tuned = compute_metrics(*arrays, 0.6, CLC43.labels)
    assert tuned == result.tuned.metrics
    assert {"seconds": 2.5} == result.run
    assert np.__version__ == result.packages["numpy"]


def test_the_json_says_what_a_reader_needs(folder: Path) -> None:
    """Split, ids, counts, threshold and class order stand in the file itself."""
    content = read_json(folder)

    jsonschema.Draft202012Validator.check_schema(load_schema("results"))
    jsonschema.validate(content, load_schema("results"))
    # Written by: json.dumps(make_schema(), indent=1)
    assert make_schema() == load_schema("results"), "write it again"
    assert ("official", "test", 120) == tuple(
        content["data"][k] for k in ("split_scheme", "split", "patches")
    )
    assert list(CLC43.labels) == content["nomenclature"]["labels"]
    labels = [row["label"] for row in content["metrics"]["classes"]]
    assert list(CLC43.labels) == labels
    assert 0.5 == content["metrics"]["threshold"]
    assert hash_file(folder / "scores.parquet") == content["scores"]["sha256"]


def test_the_scores_say_their_class_order(folder: Path) -> None:
    """The Parquet file has the documented columns, and the classes in its metadata."""
    schema = pq.read_schema(folder / "scores.parquet")
    metadata = json.loads(schema.metadata[b"bigearthnet"])

    assert ["patch_id", "y_true", "probability"] == schema.names
    assert (43, 43) == (schema.types[1].list_size, schema.types[2].list_size)
    assert list(CLC43.labels) == metadata["classes"]
    assert ("s_cnn_all", 3, "test") == tuple(
        metadata[k] for k in ("model", "seed", "split")
    )


def test_the_same_evaluation_gives_the_same_file_but_for_times(
    folder: Path, tmp_path: Path, make_subject: MakeSubject, make_scores: MakeScores
) -> None:
    """Only the object `run` differs between two evaluations of a model."""
    again = tmp_path / "again"
    write_results(
        again,
        make_subject(seed=3),
        make_scores(),
        tuned_threshold=0.6,
        run={"seconds": 9},
    )
    one, other = read_json(folder), read_json(again)

    assert one.pop("run") != other.pop("run")
    assert one == other


def test_derived_levels_have_a_folder_of_their_own() -> None:
    """Scores of level 2 that come from level 3 do not replace those of level 3."""
    work = Path("W")

    assert work / "evaluations/test" == evaluation_folder(work, "test")
    assert work / "evaluations/test/clc_level2" == evaluation_folder(
        work, "test", CLC_LEVEL2
    )


def add_text(content: dict[str, Any]) -> None:
    """Adds a field that the schema does not know."""
    content["text"] = "of another version"


def raise_f1(content: dict[str, Any]) -> None:
    """Claims a better headline than the scores give."""
    content["metrics"]["per_patch"]["f1"] = 0.99


def swap_classes(content: dict[str, Any]) -> None:
    """Changes the class order."""
    labels = content["nomenclature"]["labels"]
    labels[0], labels[1] = labels[1], labels[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (add_text, "text: Unexpected keyword argument"),
        (lambda c: c.pop("data"), "data: Field required"),
        (lambda c: c.update(schema_version=2), "schema_version: Input should be 1"),
        (
            lambda c: c["data"].update(split_scheme="own"),
            "data/split_scheme: .*got 'own'",
        ),
        (lambda c: c["model"].update(seed=-1), "model/seed: Input should be greater"),
        (lambda c: c["metrics"]["classes"].pop(), "class order is not that of clc43"),
        (swap_classes, "class order is not that of clc43"),
        (raise_f1, r"f1 is 0\.\d+ of scores.parquet, and 0.99 here"),
        (lambda c: c["data"].update(ids_sha256="0" * 64), "holds other patches"),
    ],
)
def test_a_changed_json_is_refused(folder: Path, change: Change, match: str) -> None:
    """What is not of the schema, or not computed from the scores, is named."""
    change_json(folder, change)

    with pytest.raises(ResultError, match=f"results.json: .*{match}"):
        read_results(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, "\ufffe"])
def test_a_damaged_json_is_refused(folder: Path, text: str) -> None:
    """Cut, empty, nested or other files end in an error of ours."""
    (folder / "results.json").write_text(text)

    with pytest.raises(ResultError, match=r"results.json.*Evaluate again"):
        read_results(folder)


def test_a_missing_evaluation_is_named(tmp_path: Path) -> None:
    """A folder without results says that the model was not evaluated."""
    with pytest.raises(ResultError, match="missing: the model was not evaluated"):
        read_results(tmp_path)


def test_changed_scores_are_refused(folder: Path) -> None:
    """Scores that are missing or of another checksum do not belong to the results."""
    path = folder / "scores.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ResultError, match="not the file that its results"):
        read_results(folder)
    path.unlink()
    with pytest.raises(ResultError, match=r"scores.parquet cannot be read"):
        read_results(folder)


def test_scores_of_other_classes_are_not_written(
    tmp_path: Path, make_subject: MakeSubject, make_scores: MakeScores
) -> None:
    """43 scores a patch are no results of 19 classes, and nothing is written."""
    subject = make_subject(nomenclature=BEN19)
    with pytest.raises(ResultError, match="19 classes of ben19, got 43"):
        write_results(tmp_path / "new", subject, make_scores())

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("tuned_on", ["test", "validation+test"])
def test_a_threshold_is_not_tuned_on_what_is_evaluated(
    tmp_path: Path, make_subject: MakeSubject, make_scores: MakeScores, tuned_on: str
) -> None:
    """Tuning on the evaluated split, or on a part of it, is refused."""
    with pytest.raises(ResultError, match=r"tuned on .*test, and test is evaluated"):
        write_results(
            tmp_path,
            make_subject(),
            make_scores(),
            tuned_threshold=0.4,
            tuned_on=tuned_on,
        )


def test_a_failed_rewrite_leaves_no_results(
    folder: Path,
    make_subject: MakeSubject,
    make_scores: MakeScores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Old results do not stay beside new scores when writing is interrupted."""

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("baselines.results.write_json", fail)
    with pytest.raises(KeyboardInterrupt):
        write_results(folder, make_subject(), make_scores(seed=1))

    assert not (folder / "results.json").exists()
    with pytest.raises(ResultError, match="is missing"):
        read_results(folder)
