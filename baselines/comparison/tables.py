"""Groups of models → the tables of a comparison."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from operator import attrgetter

from baselines.comparison.entries import Entry, Group
from baselines.comparison.pairs import Pair
from baselines.comparison.paper import SPLIT, TABLE_4, TITLE, PaperRow
from baselines.evaluations import Subject
from baselines.metrics import Averages
from baselines.significance import MIN_PRODUCTS, NUM_FLIPS, T_TEST_LABEL
from bigearthnet.release import V1
from bigearthnet.release.nomenclature import CLC43
from bigearthnet.report.page import Table

NONE = "–"

# Title of each headline metric, factor and decimals, as the paper prints them; what a
# narrow screen shows comes first.
_FORMATS = {
    "f1": ("F1", 1, 4),
    "f2": ("F2", 1, 4),
    "precision": ("P %", 100, 2),
    "recall": ("R %", 100, 2),
}
_TITLES = {"precision": "P", "recall": "R", "f1": "F1", "f2": "F2"}

_AVERAGES = {
    "micro": "micro",
    "macro_present": "macro over present classes",
    "macro_all": "macro over all classes",
}
# Title of each metric that is not a headline → where it stands in `Metrics`.
_OTHER_METRICS = {
    f"{title}, {average}": f"{field}.{name}"
    for field, average in _AVERAGES.items()
    for name, title in _TITLES.items()
} | {
    "average precision, micro": "average_precision_micro",
    "average precision, macro over present classes": "average_precision_macro",
    "label ranking average precision": "ranking.lrap",
    "ranking loss": "ranking.ranking_loss",
    "coverage (classes)": "ranking.coverage",
    "one-error": "ranking.one_error",
    "Hamming loss": "hamming_loss",
    "subset accuracy": "subset_accuracy",
}


def has_paper_labels(subject: Subject) -> bool:
    """Whether the paper reports figures for these classes: level 3 only."""
    return set(subject.nomenclature.labels) == set(CLC43.labels)


def has_paper_rows(subject: Subject) -> bool:
    """Whether the paper's figures stand in a table: of its classes and scheme only."""
    return has_paper_labels(subject) and subject.split_scheme == "random"


def describe_split(subject: Subject) -> str:
    """Says which patches were evaluated: release, scheme and split."""
    return f"{subject.release} {subject.split_scheme}, {subject.split}"


def make_headline_table(group: Group) -> Table:
    """Makes Table 4 of the paper; of a random split, below the paper's own rows."""
    subject, metrics = group.result.subject, group.result.metrics
    rows = [_paper_row(row) for row in TABLE_4.values() if has_paper_rows(subject)]
    rows += [_headline_row(entry) for entry in group.entries]
    notes = [
        "P, R, F1, F2: of each patch, then the mean over patches; 0/0 = 0; a class is "
        f"predicted from a probability of {metrics.threshold:g} on. Several seeds: "
        "mean ± standard deviation.",
        f"Patches without a label, which count as 0: {metrics.unlabelled_patches:,}. "
        f"Classes present: {metrics.present_classes} of {len(subject.nomenclature)}.",
    ]
    if has_paper_labels(subject):
        notes.append(
            f"Paper: {TITLE}. Its random 60/20/20 split was never published, and its "
            "threshold is not stated: no row of ours was measured on its patches."
        )
        if not has_paper_rows(subject):
            notes[-1] += (
                " Its figures are on another split than this table's, and stand in the "
                "table of the random split alone."
            )
    # The paper's table is of v1.0.
    title = "Table 4" if subject.release == V1.name else "Per patch"
    return Table(
        f"{title}: {describe_split(subject)} split, {subject.nomenclature.name}",
        ("Model", *_headline_titles(), "Source", "Patches", "Split", "Remarks"),
        tuple(rows),
        frozenset({1, 2, 3, 4, 6}),
        tuple(notes),
    )


def make_tuned_table(group: Group) -> Table | None:
    """Makes the table of results at tuned thresholds; None if there is none."""
    rows = []
    for entry in group.entries:
        chosen = [run.result.tuned for run in entry.runs if run.result.tuned]
        if len(chosen) < len(entry.runs):
            continue
        averages = [t.metrics.per_patch for t in chosen]
        thresholds = dict.fromkeys(f"{t.metrics.threshold:g}" for t in chosen)
        rows.append(
            (
                entry.name,
                *_headline_cells(averages),
                ", ".join(thresholds),
                ", ".join(sorted({t.split for t in chosen})),
                describe_split(entry.subject),
                "; ".join(entry.remarks),
            )
        )
    if not rows:
        return None
    header = ("Model", *_headline_titles(), "Threshold", "Tuned on", "Split", "Remarks")
    return Table(
        "The same at a threshold that was tuned",
        header,
        tuple(rows),
        frozenset(range(1, 6)),
        (
            "For each seed the threshold of a fixed grid with the highest F1 per patch "
            "on the split named; not comparable with the table above.",
        ),
    )


def make_metrics_table(group: Group) -> Table:
    """Makes the table of all other metrics, a column for each model."""
    rows = [
        (title, *(format_values(e.values(attrgetter(path))) for e in group.entries))
        for title, path in _OTHER_METRICS.items()
    ]
    return Table(
        f"Other metrics: {describe_split(group.result.subject)} split",
        ("Metric", *(entry.name for entry in group.entries)),
        tuple(rows),
        frozenset(range(1, len(group.entries) + 1)),
        (
            "Ranking metrics leave out patches without a label. Best is 1, but 0 for "
            "ranking loss, one-error and Hamming loss; coverage is best at the mean "
            "number of labels.",
        ),
    )


def make_class_table(group: Group) -> Table:
    """Makes the table of all classes: F1 and average precision of each model."""
    classes = group.result.metrics.classes
    rows = []
    for number, label in enumerate(group.result.subject.nomenclature.labels):
        count = classes[number].patches
        values = [
            entry.class_values(number, name) if count else None
            for entry in group.entries
            for name in ("f1", "average_precision")
        ]
        cells = [format_values(value, 1, 3) for value in values]
        rows.append((label, f"{count:,}" if count else NONE, *cells))
    titles = [f"{e.name}: {what}" for e in group.entries for what in ("F1", "AP")]
    return Table(
        f"Classes: {describe_split(group.result.subject)} split",
        ("Class", "Patches", *titles),
        tuple(rows),
        frozenset(range(1, len(titles) + 2)),
        (f"AP: average precision; {NONE} where no patch has the class.",),
    )


def make_pairs_table(pairs: Sequence[Pair]) -> Table:
    """Makes the table of the differences between models.

    Args:
        pairs: All pairs and metrics of a group; at least one.
    """
    first = pairs[0].difference
    if first.products < MIN_PRODUCTS:
        test = (
            f"No p-value: {first.products} products are fewer than {MIN_PRODUCTS}; "
            "the interval is too narrow for so few."
        )
    else:
        test = (
            "p: two-sided paired sign-flip test over products; corrected after Holm "
            f"for {len(pairs)} tests."
        )
    notes = (
        f"Over {first.patches:,} patches of {first.products:,} products (patch id up "
        "to column and row). Several seeds are averaged patch by patch first. "
        "Interval: paired bootstrap over products.",
        test,
    )
    return Table(
        "Differences between models",
        (
            "Models",
            "Metric",
            "Mean difference",
            "95 % interval",
            "p, corrected",
            "p",
            f"p of a paired t-test ({T_TEST_LABEL})",
        ),
        tuple(_pair_row(pair) for pair in pairs),
        frozenset(range(2, 7)),
        notes,
    )


def format_values(
    values: Sequence[float] | None, factor: float = 1, digits: int = 4
) -> str:
    """Formats a value, or several as mean ± standard deviation (n − 1)."""
    if values is None:
        return NONE
    mean = f"{factor * statistics.fmean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {factor * statistics.stdev(values):.{digits}f}"


def format_p(p_value: float | None, *, is_bound: bool = False) -> str:
    """Formats a p-value.

    Args:
        p_value: The p-value, or None.
        is_bound: Whether it is the least that the test can give: printed as a bound.
    """
    if p_value is None:
        return NONE
    if p_value >= 0.001:
        return f"{p_value:.3f}"
    mantissa, _, exponent = f"{p_value:.1e}".partition("e")
    return f"{'< ' if is_bound else ''}{float(mantissa):g}e{int(exponent)}"


def _headline_titles() -> tuple[str, ...]:
    return tuple(title for title, _, _ in _FORMATS.values())


def _headline_cells(averages: Sequence[Averages]) -> tuple[str, ...]:
    return tuple(
        format_values([getattr(a, name) for a in averages], factor, digits)
        for name, (_, factor, digits) in _FORMATS.items()
    )


def _paper_row(row: PaperRow) -> tuple[str, ...]:
    return (row.title, *_headline_cells([row.averages]), "paper", NONE, SPLIT, "")


def _headline_row(entry: Entry) -> tuple[str, ...]:
    count = len(entry.seeds)
    seeds = f"seed {entry.seeds[0]}" if count == 1 else f"{count} seeds"
    return (
        entry.name,
        *_headline_cells([run.result.metrics.per_patch for run in entry.runs]),
        f"ours, {seeds}",
        f"{entry.runs[0].result.metrics.patches:,}",
        describe_split(entry.subject),
        "; ".join(entry.remarks),
    )


def _pair_row(pair: Pair) -> tuple[str, ...]:
    d = pair.difference
    is_bound = d.p_value is not None and d.p_value <= 1 / (NUM_FLIPS + 1)
    return (
        f"{pair.one} − {pair.other}",
        _TITLES[pair.metric],
        f"{d.mean:+.4f}",
        NONE if d.low is None else f"{d.low:+.4f} to {d.high:+.4f}",
        format_p(d.p_holm, is_bound=is_bound),
        format_p(d.p_value, is_bound=is_bound),
        format_p(d.p_t_test),
    )
