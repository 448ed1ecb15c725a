"""Runs → the entries of a comparison: one for each model, over all its seeds.

Runs on different releases, or on the official and on the random split, become groups of
their own, which are never compared with each other. Within a group everything that a
difference could come from, beside the model, must be the same.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from baselines.comparison.paper import TABLE_4
from baselines.decisions import METRICS, patch_scores
from baselines.errors import ResultError
from baselines.evaluations import Result, Subject
from baselines.input_pipeline import hash_ids
from baselines.metrics import Metrics
from baselines.results import RESULTS, evaluation_folder, read_results
from baselines.workdir import EVALUATIONS
from bigearthnet.release import V1
from bigearthnet.release.nomenclature import NOMENCLATURES
from bigearthnet.util.options import look_up
from bigearthnet.util.wording import count_of


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of one workdir, its patches sorted by id.

    Attributes:
        workdir: The workdir.
        result: The evaluation.
    """

    workdir: Path
    result: Result


@dataclass(frozen=True)
class Entry:
    """A model with one set of settings, trained with one or more seeds.

    Attributes:
        name: What it is called in tables.
        runs: Its runs, by seed.
    """

    name: str
    runs: tuple[Evaluation, ...]

    @property
    def subject(self) -> Subject:
        """What was evaluated, with the first seed."""
        return self.runs[0].result.subject

    @property
    def predicted(self) -> npt.NDArray[np.uint8]:
        """The classes that the first seed's model predicts, (patch, class), uint8."""
        return self.runs[0].result.predict()

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(run.result.subject.seed for run in self.runs)

    @property
    def untested_because(self) -> str | None:
        """Why statements of significance leave it out; None if they do not."""
        reasons = [remark.untested for remark in self.subject.findings]
        return next(filter(None, reasons), None)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Warnings that have to stand beside its figures."""
        derived = self.subject.derived_from
        return (
            *self.subject.remarks,
            *([f"scores derived from {derived}"] if derived else []),
        )

    def values(self, get: Callable[[Metrics], float | None]) -> list[float] | None:
        """Returns a metric of each seed; None where it is not defined."""
        found = [get(run.result.metrics) for run in self.runs]
        known = [value for value in found if value is not None]
        return known if len(known) == len(found) else None

    def class_values(self, number: int, name: str) -> list[float] | None:
        """Returns a metric of a class for each seed; None where it is not defined.

        Args:
            number: Number of the class.
            name: Name of a field of `ClassMetrics`.
        """
        return self.values(lambda metrics: getattr(metrics.classes[number], name))

    def patch_scores(self) -> dict[str, npt.NDArray[np.float64]]:
        """Returns each headline metric of each patch, as a mean over the seeds."""
        results = [run.result for run in self.runs]
        scores = [patch_scores(r.scores.y_true, r.predict()) for r in results]
        return {name: np.mean([s[name] for s in scores], axis=0) for name in METRICS}


@dataclass(frozen=True)
class Group:
    """Entries that may be compared: same patches, labels, classes and threshold.

    Attributes:
        entries: The models, in the paper's order.
    """

    entries: tuple[Entry, ...]

    @property
    def result(self) -> Result:
        """One of the evaluations, for what they have in common."""
        return self.entries[0].runs[0].result


def read_evaluation(
    workdir: Path, split: str, labels: str | None = None, config: str | None = None
) -> Evaluation:
    """Reads the evaluation of a workdir.

    Args:
        workdir: The workdir.
        split: The split.
        labels: Name of the nomenclature; None for the one the model was trained on.
            Scores that were derived for it are taken where the model learnt another.
        config: Configuration that was evaluated; None for that of the run.

    Raises:
        ResultError: If there is none, or it is damaged.
        OptionError: If there is no such nomenclature.
    """
    other = config if (workdir / EVALUATIONS / (config or "")).is_dir() else None
    folder = evaluation_folder(workdir, split, config=other)
    if labels is not None:
        wanted = look_up(NOMENCLATURES, labels, "nomenclature")
        derived = evaluation_folder(workdir, split, wanted, other)
        if derived.is_dir():
            folder = derived
    is_there = config is None or (folder / RESULTS).is_file()
    result = read_results(folder) if is_there else None
    if result is None or config not in (None, result.subject.config):
        raise ResultError(
            f"{workdir} has no evaluation of {split} of {config}: run python -m "
            f"baselines.evaluate --workdir={workdir} --config={config} --split={split}."
        )
    found = result.subject.nomenclature.name
    if labels is not None and found != labels:
        raise ResultError(
            f"{workdir} has no evaluation of {split} in {labels}: its model learnt "
            f"{found}."
        )
    if result.subject.split != split:
        raise ResultError(
            f"{folder} holds an evaluation of {result.subject.split}, not of {split}. "
            "Was it renamed?"
        )
    return Evaluation(workdir, replace(result, scores=result.scores.sort()))


def group_evaluations(runs: Sequence[Evaluation]) -> list[Group]:
    """Puts seeds of a model together, and what may be compared into groups.

    Args:
        runs: The runs, in any order.

    Returns:
        A group for each release and split scheme, `official` first.

    Raises:
        ResultError: If runs of one group must not be compared, or a run comes twice.
    """
    groups = []
    for place in sorted({_find_scheme(run) for run in runs}):
        members = [run for run in runs if _find_scheme(run) == place]
        for run in members[1:]:
            check_comparable(members[0], run)
        groups.append(Group(_make_entries(members)))
    return groups


def _find_scheme(run: Evaluation) -> tuple[str, str]:
    """Returns release and split scheme."""
    subject = run.result.subject
    return subject.release, subject.split_scheme


def check_comparable(one: Evaluation, other: Evaluation) -> None:
    """Refuses to compare runs that differ in more than the model.

    Raises:
        ResultError: If splits, classes, patches, labels or thresholds differ; it names
            both workdirs and the difference.
    """
    ours, theirs = _describe(one.result), _describe(other.result)
    problems = [
        f"{what}: {ours[what]} and {theirs[what]}"
        for what in ours
        if ours[what] != theirs[what]
    ]
    if not problems:
        scores, labels = one.result.scores, other.result.scores.y_true
        rows = np.flatnonzero((scores.y_true != labels).any(axis=1))
        if len(rows):
            example = scores.patch_ids[rows[0]]
            problems = [
                f"labels of {count_of(len(rows), 'patch')}, {example} for example"
            ]
    if problems:
        raise ResultError(
            f"{one.workdir} and {other.workdir} must not be compared: they differ in "
            f"{problems[0]}. Evaluate both in the same way."
        )


def _describe(result: Result) -> dict[str, object]:
    """Returns what runs that are compared have in common, beside the labels."""
    ids = result.scores.patch_ids
    return {
        "split scheme": result.subject.split_scheme,
        "split": result.subject.split,
        "classes": result.subject.nomenclature.name,
        "threshold": result.metrics.threshold,
        "patches (number, sha256 of the ids)": (len(ids), hash_ids(ids)),
        "synthetic patches": result.subject.synthetic_patches,
    }


def _make_entries(runs: Sequence[Evaluation]) -> tuple[Entry, ...]:
    by_key: dict[tuple[object, ...], list[Evaluation]] = {}
    for run in sorted(runs, key=lambda run: run.result.subject.seed):
        subject = run.result.subject
        key = (
            subject.model,
            subject.settings_sha256,
            subject.derived_from,
            # Of random numbers only the seed differs, which is the run's.
            (subject.frozen_weights or {}).get("sha256"),
        )
        by_key.setdefault(key, []).append(run)
    titles = [_find_title(members[0].result.subject) for members in by_key.values()]
    entries = []
    for title, members in zip(titles, by_key.values(), strict=True):
        _check_seeds(members)
        if titles.count(title) > 1:
            title = f"{title} ({_describe_variant(members[0].result.subject)})"
        entries.append(Entry(title, tuple(members)))
    return tuple(sorted(entries, key=_find_place))


def _describe_variant(subject: Subject) -> str:
    """Describes how an entry differs from others of the same model."""
    settings = f"settings {subject.settings_sha256[:8]}"
    checkpoint = (subject.frozen_weights or {}).get("sha256")
    return f"{settings}, checkpoint {checkpoint[:8]}" if checkpoint else settings


def _check_seeds(runs: Sequence[Evaluation]) -> None:
    """Refuses the same seed twice: it would count as two independent runs."""
    for one, other in itertools.pairwise(runs):
        seed = one.result.subject.seed
        if seed == other.result.subject.seed:
            raise ResultError(
                f"{one.workdir} and {other.workdir} hold the same model with the same "
                f"seed, {seed}: expected each seed once."
            )


def _find_title(subject: Subject) -> str:
    row = TABLE_4.get(subject.model)
    title = row.title if row else subject.model
    if subject.release != V1.name or "S1" in subject.sensors:
        title = f"{title} ({subject.sensors})"
    return f"{title}, derived" if subject.derived_from else title


def _find_place(entry: Entry) -> tuple[int, str]:
    models = list(TABLE_4)
    model = entry.subject.model
    return (models.index(model) if model in models else len(models), entry.name)
