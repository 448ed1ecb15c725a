"""`results.json`: each field typed and described once; JSON and schema come of it.

Everything but `run` depends on the model and the patches alone.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Required

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from baselines.errors import ResultError
from baselines.evaluations import Result, Subject, Tuned
from baselines.fields import CONFIG, Count, Name, Sha256, describe, parse
from baselines.input_pipeline import hash_ids
from baselines.metrics import Metrics
from baselines.scores import SCORES, Scores
from bigearthnet.release.nomenclature import NOMENCLATURES, Nomenclature
from bigearthnet.util.options import look_up

SCHEMA_VERSION: Final = 1

_AVERAGING = (
    "per_patch: of each patch, then the mean over patches; micro: over all decisions; "
    "macro_present, macro_all: of each class, then the mean over the classes that are "
    "present, or over all. 0/0 = 0 everywhere."
)


class FrozenWeights(TypedDict, total=False):
    """The frozen part of a model: its checkpoint, or the seed of random numbers."""

    source: Required[Literal["tf-slim", "random", "released"]]
    sha256: Sha256
    seed: Count


class InitialWeights(TypedDict, total=False):
    """Weights that training began with."""

    source: Required[Literal["run", "export"]]
    sha256: Required[Sha256]
    config: Required[str | None]
    train_split: Required[str | None]
    new: Required[tuple[str, ...]]
    initial_weights: InitialWeights | None


@dataclass(frozen=True, config=CONFIG)
class Model:
    """Which model was evaluated."""

    name: Name
    seed: Count
    settings_sha256: Sha256
    """Of all settings but the seed."""
    weights_sha256: Sha256
    weights_source: Literal["scratch", "fine-tuned", "released", "pretrained", "random"]
    """`scratch`: everything was trained from drawn numbers; `fine-tuned`: from other
    weights; else what the frozen part holds."""
    shuffled_labels: bool
    """Whether it was trained on labels of other patches."""
    chosen_on: str | None
    """Split whose loss chose the epoch of the weights, for early stopping."""
    frozen_weights: FrozenWeights | None
    """Null where everything was trained."""
    trained_on_synthetic: Count
    """Patches that it was trained on and that are made up."""
    bands: tuple[str, ...] = ()
    """What it takes, in the order of its channels."""
    train_where: str = ""
    """Condition that chose the patches that it was trained on; empty for all."""
    initial_weights: InitialWeights | None = None
    """Null where training began with drawn numbers."""


@dataclass(frozen=True, config=CONFIG)
class Data:
    """What it was evaluated on."""

    config: Name
    """Configuration of the store."""
    split_scheme: Literal["official", "random"]
    split: Name
    """What was evaluated; several splits are joined by +."""
    train_split: Name
    patches: Annotated[int, Field(ge=1)]
    unlabelled_patches: Count
    """0 in precision, recall, F1 and F2; left out of the ranking metrics."""
    synthetic_patches: Count
    """Those of the patches that are made up."""
    ids_sha256: Sha256
    """Of the sorted ids of the patches, joined by a line feed, in UTF-8."""
    train_config: Name | None = None
    """What it was trained on, where its splits are others than those of `config`."""
    seen_elsewhere: Count = 0
    """Those of the patches that are in splits that it was trained on under another
    release or split scheme."""


@dataclass(frozen=True, config=CONFIG)
class Classes:
    """The classes of the scores."""

    name: Name
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    """The class order of every list and score."""
    derived_from: str | None
    """Nomenclature that was learnt, where scores were derived from finer classes."""


@dataclass(frozen=True, config=CONFIG)
class ScoresFile:
    """The scores that the metrics were computed from."""

    file: Literal["scores.parquet"]
    sha256: Sha256


@dataclass(frozen=True, config=CONFIG)
class Results:
    """The evaluation of one model on one split."""

    schema_version: Literal[1]
    remarks: tuple[str, ...]
    """What must be said wherever the results are shown."""
    model: Model
    data: Data
    nomenclature: Classes
    averaging: str
    """What the four averages are, for people."""
    metrics: Metrics
    """At the threshold that was asked for."""
    tuned: Tuned | None
    """At a threshold that was tuned on another split."""
    scores: ScoresFile
    packages: dict[str, str]
    """Versions."""
    run: dict[str, Any]
    """Times and the like; no comparison reads them."""


_ADAPTER = TypeAdapter(Results)


def make_schema() -> dict[str, Any]:
    """Returns the JSON schema, which schemas/results.schema.json holds."""
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **_ADAPTER.json_schema()}


def encode_result(result: Result, scores_sha256: str) -> dict[str, Any]:
    """Returns what `results.json` holds.

    Args:
        result: The evaluation.
        scores_sha256: Checksum of its `scores.parquet`.

    Raises:
        ResultError: If a field is not as it is described.
    """
    subject, metrics = result.subject, result.metrics
    classes = subject.nomenclature
    try:
        content = Results(
            SCHEMA_VERSION,
            subject.remarks,
            Model(name=subject.model, **_pick(Model, subject)),
            Data(
                **_pick(Data, subject),
                patches=metrics.patches,
                unlabelled_patches=metrics.unlabelled_patches,
                ids_sha256=hash_ids(result.scores.patch_ids),
            ),
            Classes(classes.name, classes.labels, subject.derived_from),
            _AVERAGING,
            metrics,
            result.tuned,
            ScoresFile(SCORES, scores_sha256),
            dict(result.packages),
            dict(result.run),
        )
    except ValidationError as cause:
        raise ResultError(f"results of {subject.model}: {describe(cause)}.") from None
    encoded: dict[str, Any] = _ADAPTER.dump_python(content, mode="json")
    return encoded


def _pick(kind: type, subject: Subject) -> dict[str, Any]:
    """Returns the fields of a part that the subject has under the same name."""
    names = {field.name for field in fields(kind)} & set(vars(subject))
    return {name: getattr(subject, name) for name in names}


def read_content(path: Path) -> Results:
    """Reads a results.json alone.

    Raises:
        ResultError: If it is missing or damaged, a field is missing, unknown or of
            another type, or the classes are not in the order that this version has.
    """
    try:
        content: Results = parse(_ADAPTER, path.read_bytes())
    except FileNotFoundError:
        raise ResultError(
            f"{path} is missing: the model was not evaluated. Run python -m "
            "baselines.evaluate --help."
        ) from None
    except OSError as cause:
        raise ResultError(f"{path} cannot be read: {cause}. Evaluate again.") from None
    except ValueError as cause:
        raise ResultError(
            f"{path}: not results of schema version {SCHEMA_VERSION}: {cause}. "
            "Evaluate again."
        ) from None
    name, labels = content.nomenclature.name, content.nomenclature.labels
    metrics = [content.metrics, *([content.tuned.metrics] if content.tuned else [])]
    orders = [labels, *(tuple(c.label for c in m.classes) for m in metrics)]
    if any(order != _find_classes(content).labels for order in orders):
        raise ResultError(
            f"{path}: the class order is not that of {name}. It was written by another "
            "version: evaluate again."
        )
    return content


def _find_classes(content: Results) -> Nomenclature:
    return look_up(NOMENCLATURES, content.nomenclature.name, "nomenclature")


def decode_result(content: Results, scores: Scores) -> Result:
    """Makes an evaluation of the content of its two files."""
    known = {field.name for field in fields(Subject)}
    parts = {**vars(content.model), **vars(content.data)}
    subject = Subject(
        model=content.model.name,
        nomenclature=_find_classes(content),
        derived_from=content.nomenclature.derived_from,
        **{name: value for name, value in parts.items() if name in known},
    )
    return Result(
        subject,
        scores,
        content.metrics,
        content.tuned,
        content.packages,
        content.run,
    )
