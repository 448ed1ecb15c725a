"""The results of an evaluation as text, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from baselines.decisions import METRICS
from baselines.evaluations import Result
from baselines.metrics import Averages, Metrics
from bigearthnet.util.wording import count_of

_TITLES = ("P", "R", "F1", "F2")
_AVERAGES = {
    "per_patch": "per patch",
    "micro": "micro",
    "macro_present": "macro, present classes",
    "macro_all": "macro, all classes",
}
# Characters of the first column, and of each figure; longer labels are wrapped.
_WIDTH, _FIGURE = 48, 9


def format_results(results: Sequence[Result]) -> str:
    """Formats an evaluation.

    Args:
        results: What `evaluate.evaluate` returned: the classes that were learnt first.
    """
    result = results[0]
    lines = [*_describe(result), "", *_list_averages(results), ""]
    return "\n".join([*lines, *_list_classes(result)])


def _describe(result: Result) -> Iterator[str]:
    subject, metrics = result.subject, result.metrics
    yield (
        f"{subject.model}, seed {subject.seed}, on {subject.release}, "
        f"{subject.split_scheme} split {subject.split}: "
        f"{count_of(metrics.patches, 'patch')}, "
        f"{metrics.unlabelled_patches:,} of them without a label (they count as 0)"
    )
    yield (
        f"{subject.nomenclature.name}: {metrics.present_classes} of "
        f"{len(subject.nomenclature)} classes present; predicted from "
        f"{metrics.threshold:g} on; 0/0 = 0"
    )
    yield from (f"!! {remark}" for remark in subject.remarks)


def _list_averages(results: Sequence[Result]) -> Iterator[str]:
    """Lists the headline, the other averages, and the headlines of coarser levels."""
    first, tuned = results[0].metrics, results[0].tuned
    titles = [*_TITLES, *(f"{title}*" for title in _TITLES if tuned)]
    yield _format("averaged", titles)
    for name, title in _AVERAGES.items():
        yield _format(title, _list_figures(results[0], name))
    for result in results[1:]:
        title = f"per patch, {result.subject.nomenclature.name}, derived"
        yield _format(title, _list_figures(result, "per_patch"))
    if tuned:
        thresholds = ", ".join(
            f"{r.tuned.metrics.threshold:g}" for r in results if r.tuned
        )
        yield f"* at thresholds tuned on {tuned.split} for F1 per patch: {thresholds}"
    micro, macro = first.average_precision_micro, first.average_precision_macro
    yield _format("average precision, micro", [_show(micro)])
    yield _format("average precision, macro, present classes", [_show(macro)])


def _list_figures(result: Result, name: str) -> list[str]:
    chosen: list[Metrics] = [result.metrics]
    if result.tuned:
        chosen.append(result.tuned.metrics)
    averages: list[Averages] = [getattr(metrics, name) for metrics in chosen]
    return [_show(getattr(a, metric)) for a in averages for metric in METRICS]


def _list_classes(result: Result) -> Iterator[str]:
    """Lists the classes that are present or predicted, the most frequent first."""
    labels, rows = result.subject.nomenclature.labels, result.metrics.classes
    yield _format("class", ["patches", "found", *_TITLES, "AP"])
    for label, row in sorted(
        zip(labels, rows, strict=True), key=lambda pair: -pair[1].patches
    ):
        if row.patches or row.predicted:
            figures = [*(getattr(row, name) for name in METRICS), row.average_precision]
            shown = figures if row.patches else [None] * len(figures)
            counts = [f"{row.patches:,}" if row.patches else "–", f"{row.predicted:,}"]
            yield _format(label, [*counts, *map(_show, shown)])


def _format(title: str, cells: Sequence[str]) -> str:
    *above, last = textwrap.wrap(title, _WIDTH - 1, subsequent_indent="  ")
    row = f"{last:<{_WIDTH}}" + "".join(f"{cell:>{_FIGURE}}" for cell in cells)
    return "\n".join([*above, row])


def _show(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
