"""What an evaluation leaves: `results.json` beside `scores.parquet`.

`schemas/results.schema.json` says what each field means. Everything but the object
`run` (times, machine) depends on the model and the patches alone, so that the same seed
gives the same file.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from baselines.decisions import DEFAULT_THRESHOLD, patch_scores
from baselines.errors import ResultError
from baselines.evaluations import Result, Subject, Tuned
from baselines.input_pipeline import hash_ids
from baselines.metrics import compute_metrics
from baselines.results_json import (
    SCHEMA_VERSION,
    Results,
    decode_result,
    encode_result,
    read_content,
)
from baselines.scores import SCORES, Scores, read_scores, write_scores
from baselines.splits import share_split
from baselines.workdir import EVALUATIONS
from bigearthnet.release.nomenclature import Nomenclature
from bigearthnet.util.files import write_json

RESULTS = "results.json"

# Packages whose versions can change a result, where they are installed.
_PACKAGES = ("bigearthnet", "keras", "numpy", "pyarrow", "scikit-learn", "tensorflow")


def evaluation_folder(
    workdir: Path,
    split: str,
    derived: Nomenclature | None = None,
    config: str | None = None,
) -> Path:
    """Returns where a workdir keeps the evaluation of a split.

    Args:
        workdir: Folder of a trained model.
        split: The split.
        derived: Coarser nomenclature that the scores were turned into, or None.
        config: Configuration that was evaluated, where it is another than that of the
            run; else None.
    """
    folder = workdir / EVALUATIONS / (config or "") / split
    return folder / derived.name if derived else folder


def write_results(
    folder: Path,
    subject: Subject,
    scores: Scores,
    *,
    threshold: float = DEFAULT_THRESHOLD,
    tuned_threshold: float | None = None,
    tuned_on: str = "validation",
    run: Mapping[str, Any] | None = None,
) -> Result:
    """Computes the metrics of some scores and writes both files.

    A folder holds both or, while they are written, no `results.json`.

    Args:
        folder: Folder of the evaluation; it is made.
        subject: What was evaluated.
        scores: The labels and scores of every patch.
        threshold: Threshold of the headline.
        tuned_threshold: Threshold of the second column; None for none.
        tuned_on: Split that it was tuned on.
        run: Times and other facts that comparisons ignore.

    Raises:
        ResultError: If the scores are not valid or not of the subject's classes, the
            subject is not one of the schema, or the threshold was tuned on patches that
            are evaluated.
        OptionError: If a threshold is not in (0, 1].
    """
    _check_arguments(subject, scores, None if tuned_threshold is None else tuned_on)
    compute = functools.partial(
        compute_metrics,
        scores.y_true,
        scores.probability,
        labels=subject.nomenclature.labels,
    )
    tuned = tuned_threshold and Tuned(tuned_on, compute(tuned_threshold))
    result = Result(
        subject,
        scores,
        compute(threshold),
        tuned or None,
        _find_versions(),
        dict(run or {}),
    )
    encode_result(result, "0" * 64)  # refuses it while nothing is written
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).unlink(missing_ok=True)
    content = encode_result(result, write_scores(scores, folder, _describe(subject)))
    write_json(content, folder / RESULTS)
    return result


def read_results(folder: Path) -> Result:
    """Reads an evaluation and checks that its two files belong together.

    Raises:
        ResultError: If a file is missing, damaged, of another schema or class order,
            or the scores are not those that the results were computed from.
    """
    path = folder / RESULTS
    content = read_content(path)
    num_classes = len(content.nomenclature.labels)
    scores = read_scores(folder, content.scores.sha256, num_classes)
    result = decode_result(content, scores)
    _check_scores(result, content, path)
    return result


def _check_arguments(subject: Subject, scores: Scores, tuned_on: str | None) -> None:
    scores.check()
    expected, found = len(subject.nomenclature), scores.y_true.shape[1]
    if found != expected:
        raise ResultError(
            f"expected scores of the {expected} classes of {subject.nomenclature.name},"
            f" got {found} classes."
        )
    if tuned_on and share_split(tuned_on, subject.split):
        raise ResultError(
            f"the threshold was tuned on {tuned_on}, and {subject.split} is evaluated: "
            "expected other patches, validation for example."
        )


def _describe(subject: Subject) -> dict[str, Any]:
    """Returns the metadata of scores.parquet."""
    return {
        "schema_version": SCHEMA_VERSION,
        "remarks": list(subject.remarks),
        "model": subject.model,
        "seed": subject.seed,
        "split": subject.split,
        "weights_sha256": subject.weights_sha256,
        "nomenclature": subject.nomenclature.name,
        "classes": list(subject.nomenclature.labels),
    }


def _check_scores(result: Result, content: Results, path: Path) -> None:
    """Checks that the results were computed from the scores."""
    scores, metrics = result.scores, result.metrics
    if hash_ids(scores.patch_ids) != content.data.ids_sha256:
        raise ResultError(f"{path}: {SCORES} holds other patches. Evaluate again.")
    for name, values in patch_scores(scores.y_true, result.predict()).items():
        stored = getattr(metrics.per_patch, name)
        if not np.isclose(values.mean(), stored, rtol=0, atol=1e-9):
            raise ResultError(
                f"{path}: {name} is {values.mean()} of {SCORES}, and {stored} here. "
                "One of them was changed: evaluate again."
            )


def _find_versions() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
