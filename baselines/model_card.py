"""The card of an exported model: README.md, what it is and what must be known of it.

Everything in it comes from the workdir; nothing is claimed that was not evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, get_args

from baselines.card_interface import describe_interface
from baselines.comparison.paper import TABLE_4
from baselines.comparison.tables import describe_split
from baselines.errors import ResultError
from baselines.evaluations import Result
from baselines.exported import CARD
from baselines.networks import RELEASED_MODELS, ResNet, Vgg
from baselines.remarks import choose_remarks
from baselines.results import RESULTS, read_results
from baselines.splits import split_names
from baselines.trained import Trained
from baselines.workdir import EVALUATIONS, Run
from bigearthnet.util.files import write_text
from bigearthnet.util.wording import count_of

# Settings that are without meaning for models without a frozen part, and for others.
_OF_INCEPTION = ("rgb_max", "inception_size", "weights", "features_dtype")
_OF_VGG = (*_OF_INCEPTION, "third_pool", "dropout_conv", "batch_norm", "fc_units")
_WITHOUT_MEANING = {
    "inception_v2": ("statistics", "upsampling", "third_pool", "dropout_conv"),
    "k_branch": (*_OF_INCEPTION, "third_pool", "upsampling"),
    **dict.fromkeys(get_args(Vgg), _OF_VGG),
    **dict.fromkeys(get_args(ResNet), (*_OF_VGG, "dropout_fc")),
}
# What models are after: those of the paper, and others.
_PAPER = (
    "after G. Sumbul et al., BigEarthNet: A Large-Scale Benchmark Archive for Remote "
    "Sensing Image Understanding, IGARSS 2019"
)
_LATER_CODE = (
    "after G. Sumbul, BigEarthNet Deep Learning Models with TensorFlow, 2019, trained "
    "on the archive of G. Sumbul et al., IGARSS 2019"
)

_LIMITS = """\
- It says which classes are somewhere in a patch of 1.2 km × 1.2 km, not where.
- The labels are those of CORINE Land Cover 2018, which leaves out areas below 25 ha.
- BigEarthNet is from ten European countries, June 2017 to May 2018; its splits for
  training and test are without snow and clouds.
- Pixels of Sentinel-2 are Level-2A digital numbers without the offset of 1000 that
  products of processing baseline 04.00 and later have; those of Sentinel-1 are dB.
- Probabilities are not calibrated. A class counts as predicted from 0.5 on."""

_FROZEN_LICENCE = " The frozen part holds the ImageNet weights of TF-Slim (Apache-2.0)."


def write_card(trained: Trained, folder: Path, output: Path, difference: float) -> None:
    """Writes the card of an exported model.

    Args:
        trained: The model.
        folder: Its workdir, for its evaluations.
        output: Folder of the card.
        difference: Largest difference of probabilities that the export has shown.

    Raises:
        ResultError: If an evaluation is damaged, or of other weights.
    """
    results = read_evaluations(folder, trained.weights_sha256)
    text = make_card(trained.run, trained.weights_sha256, results, difference)
    write_text(text, output / CARD)


def find_results(folder: Path) -> list[Path]:
    """Returns the results.json of all evaluations of a workdir, or of an export."""
    return sorted((folder / EVALUATIONS).rglob(RESULTS))


def read_evaluations(folder: Path, weights_sha256: str) -> list[Result]:
    """Reads all evaluations of a workdir.

    Args:
        folder: The workdir.
        weights_sha256: Of its weights.

    Raises:
        ResultError: If one is damaged, or of other weights.
    """
    results = []
    for path in find_results(folder):
        result = read_results(path.parent)
        if result.subject.weights_sha256 != weights_sha256:
            raise ResultError(
                f"{path} is the evaluation of other weights than the workdir's: "
                "evaluate again."
            )
        results.append(result)
    return results


def make_card(
    run: Run, weights_sha256: str, results: Sequence[Result], difference: float
) -> str:
    """Makes the text of a card, in Markdown.

    Args:
        run: What the model is.
        weights_sha256: Of its weights.
        results: Its evaluations, if any.
        difference: Largest difference of probabilities that the export has shown.
    """
    row = TABLE_4.get(run.settings.model)
    title = row.title if row else run.settings.model
    sections = {
        "Input and output": describe_interface(run, difference),
        "Training": _describe_training(run, weights_sha256),
        "Results": _describe_results(results),
        "Classes, in the order of the probabilities": "\n".join(
            f"- {number}: {label}"
            for number, label in enumerate(run.settings.nomenclature.labels)
        ),
        "Limits": _LIMITS,
        "Licence": _describe_licence(run),
    }
    parts = [
        f"# {title} on BigEarthNet",
        *(f"> **{k}: {v}**" for k, v in find_warnings(run, results).items()),
        _describe_model(run),
    ]
    for heading, text in sections.items():
        parts += [f"## {heading}", text]
    return "\n\n".join(parts) + "\n"


def find_warnings(run: Run, results: Sequence[Result]) -> dict[str, str]:
    """Finds what must not be overlooked: in few words → what it means.

    Args:
        run: What a model is.
        results: Its evaluations.
    """
    settings = run.settings
    release = settings.stored.release
    found = choose_remarks(
        synthetic=any(result.subject.synthetic_patches for result in results),
        trained_on_synthetic=run.data["train"]["synthetic_patches"] > 0,
        shuffled=settings.shuffle_labels,
        random=settings.uses_features and settings.weights == "random",
        where=settings.where,
        trained_on_test="test" in split_names(settings.train_split, release.splits),
    )
    return {remark.text: remark.meaning for remark in found}


def _describe_model(run: Run) -> str:
    settings = run.settings
    bands, classes = ", ".join(settings.bands), settings.nomenclature
    frozen = " on features of frozen Inception-v2" if settings.uses_features else ""
    trained = "trained anew with the package `bigearthnet`, not by the authors"
    if _is_imported(run):
        trained = "with the weights that its authors released"
    return (
        "Multi-label land cover of a patch of BigEarthNet "
        f"{settings.stored.release.name}: {len(classes)} classes ({classes.name}), "
        f"from {bands}. Model `{settings.model}`{frozen}, "
        f"{_LATER_CODE if settings.model in RELEASED_MODELS else _PAPER}; {trained}."
    )


def _is_imported(run: Run) -> bool:
    return run.frozen_weights is not None and not run.settings.uses_features


def _describe_training(run: Run, weights_sha256: str) -> str:
    data, settings = run.data["train"], run.settings
    validation = run.data["validation"]
    release, scheme = settings.stored.release.name, settings.stored.choice.scheme
    lines = [
        f"- {count_of(data['patches'], 'patch')} of {release}, {scheme} split "
        f"`{data['split']}`; sha256 of their ids {data['ids_sha256']}",
        f"- validation: {count_of(validation['patches'], 'patch')} of "
        f"`{validation['split']}`"
        if validation
        else "- no validation split",
        *([f"- of these splits only where {settings.where}"] if settings.where else []),
        f"- scaling: {run.scaling['formula']}",
        f"- sha256 of the trained weights {weights_sha256}",
    ]
    if run.frozen_weights:
        source = ", ".join(f"{k} {v}" for k, v in run.frozen_weights.items())
        kind = "imported" if _is_imported(run) else "frozen"
        lines.append(f"- {kind} weights: {source}")
    if run.initial_weights:
        lines.append(f"- training began with {_describe_initial(run.initial_weights)}")
    rows = [
        "| {} | {} |".format(name, str(value).replace("|", r"\|"))
        for name, value in settings.to_json().items()
        if name not in _WITHOUT_MEANING.get(settings.model, _OF_INCEPTION)
    ]
    return "\n".join([*lines, "", "| setting | value |", "| --- | --- |", *rows])


def _describe_initial(record: Mapping[str, Any]) -> str:
    """Names the weights that a training began with, and what these began with."""
    of = "an unknown training"
    if record["config"] is not None:
        of = f"{record['train_split']} of {record['config']}"
    text = f"the weights of {of} ({record['source']}, sha256 {record['sha256']})"
    if record["new"]:
        text += f", but for {', '.join(record['new'])}"
    before = record.get("initial_weights")
    return f"{text}, which began with {_describe_initial(before)}" if before else text


def _describe_results(results: Sequence[Result]) -> str:
    if not results:
        return "It was not evaluated: nothing is known of how good it is."
    rows = "\n".join(map(_format_result, results))
    return f"""\
| split | classes | threshold | patches | P | R | F1 | F2 | remarks |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |
{rows}

Of each patch, then the mean over patches; 0/0 = 0."""


def _format_result(result: Result) -> str:
    subject, metrics = result.subject, result.metrics
    derived = [f"derived from {subject.derived_from}"] if subject.derived_from else []
    cells = [
        describe_split(subject),
        subject.nomenclature.name,
        f"{metrics.threshold:g}",
        f"{metrics.patches:,}",
        *(f"{figure:.4f}" for figure in astuple(metrics.per_patch)),
        "; ".join([*subject.remarks, *derived]),
    ]
    return f"| {' | '.join(cells)} |"


def _describe_licence(run: Run) -> str:
    frozen = _FROZEN_LICENCE if run.settings.weights == "pretrained" else ""
    return (
        "The code that made it is Apache-2.0, BigEarthNet is published under "
        f"CDLA-Permissive-1.0.{frozen if run.settings.uses_features else ''} Whoever "
        "publishes these weights says what applies to them."
    )
