"""`results.json` ↔ `Result`; its JSON schema says what each field means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baselines.errors import ResultError
from baselines.evaluations import Result, Subject, Tuned
from baselines.input_pipeline import hash_ids
from baselines.metrics import Metrics
from baselines.schemas import find_problem
from baselines.scores import SCORES, Scores
from bigearthnet.release.nomenclature import NOMENCLATURES, Nomenclature
from bigearthnet.util.options import look_up

SCHEMA_VERSION = 1

# Fields of `Subject` that stand in the file under `model` and `data`.
_MODEL = (
    "seed",
    "settings_sha256",
    "weights_sha256",
    "weights_source",
    "shuffled_labels",
    "chosen_on",
    "frozen_weights",
    "trained_on_synthetic",
)
_DATA = ("config", "split_scheme", "split", "train_split")

_AVERAGING = (
    "per_patch: of each patch, then the mean over patches; micro: over all decisions; "
    "macro_present, macro_all: of each class, then the mean over the classes that are "
    "present, or over all. 0/0 = 0 everywhere."
)


def check_schema(content: Any, path: Path) -> None:
    """Refuses what is not of the schema.

    Raises:
        ResultError: If a field is missing, unknown or of another type; it is named.
    """
    if problem := find_problem(content, "results"):
        raise ResultError(
            f"{path}: not results of schema version {SCHEMA_VERSION}: {problem}. "
            "Evaluate again."
        )


def encode_result(result: Result, scores_sha256: str) -> dict[str, Any]:
    """Returns what `results.json` holds.

    Args:
        result: The evaluation.
        scores_sha256: Checksum of its `scores.parquet`.
    """
    subject, metrics = result.subject, result.metrics
    labels, fields = subject.nomenclature.labels, asdict(subject)
    return {
        "schema_version": SCHEMA_VERSION,
        "remarks": list(subject.remarks),
        "model": {"name": subject.model, **{k: fields[k] for k in _MODEL}},
        "data": {
            **{k: fields[k] for k in _DATA},
            "patches": metrics.patches,
            "unlabelled_patches": metrics.unlabelled_patches,
            "synthetic_patches": subject.synthetic_patches,
            "ids_sha256": hash_ids(result.scores.patch_ids),
        },
        "nomenclature": {
            "name": subject.nomenclature.name,
            "labels": list(labels),
            "derived_from": subject.derived_from,
        },
        "averaging": _AVERAGING,
        "metrics": _encode_metrics(metrics, labels),
        "tuned": result.tuned
        and {
            "split": result.tuned.split,
            "metrics": _encode_metrics(result.tuned.metrics, labels),
        },
        "scores": {"file": SCORES, "sha256": scores_sha256},
        "packages": dict(result.packages),
        "run": dict(result.run),
    }


def _encode_metrics(metrics: Metrics, labels: tuple[str, ...]) -> dict[str, Any]:
    content = asdict(metrics)
    rows = zip(labels, content["classes"], strict=True)
    content["classes"] = [{"label": label, **row} for label, row in rows]
    return content


def _decode_metrics(content: Mapping[str, Any]) -> Metrics:
    rows = [{k: v for k, v in r.items() if k != "label"} for r in content["classes"]]
    return Metrics.from_json({**content, "classes": rows})


def decode_result(content: Mapping[str, Any], scores: Scores) -> Result:
    """Makes an evaluation of what `encode_result` returned.

    Args:
        content: Content of `results.json`, of the schema.
        scores: Content of its `scores.parquet`.
    """
    tuned = content["tuned"]
    return Result(
        _decode_subject(content),
        scores,
        _decode_metrics(content["metrics"]),
        Tuned(tuned["split"], _decode_metrics(tuned["metrics"])) if tuned else None,
        content["packages"],
        content["run"],
    )


def decode_nomenclature(content: Mapping[str, Any], path: Path) -> Nomenclature:
    """Returns the classes of an evaluation.

    Raises:
        ResultError: If they are not in the order that this version has.
    """
    name, labels = content["nomenclature"]["name"], content["nomenclature"]["labels"]
    nomenclature = look_up(NOMENCLATURES, name, "nomenclature")
    lengths = [len(labels), len(content["metrics"]["classes"])]
    if content["tuned"]:
        lengths.append(len(content["tuned"]["metrics"]["classes"]))
    if list(nomenclature.labels) != labels or len(set(lengths)) > 1:
        raise ResultError(
            f"{path}: the class order is not that of {name}. It was written by another "
            "version: evaluate again."
        )
    return nomenclature


def _decode_subject(content: Mapping[str, Any]) -> Subject:
    model, data, classes = (content[k] for k in ("model", "data", "nomenclature"))
    return Subject(
        model=model["name"],
        **{k: model[k] for k in _MODEL},
        **{k: data[k] for k in _DATA},
        synthetic_patches=data["synthetic_patches"],
        nomenclature=NOMENCLATURES[classes["name"]],
        derived_from=classes["derived_from"],
    )
