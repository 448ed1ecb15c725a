"""Measurements → a table, results.json and pictures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import Measurement
from benchmarks.rows import Row

_WITHOUT_MARKDOWN = str.maketrans("", "", "*`")


@dataclass
class RowResult:
    """What was measured of one row.

    Attributes:
        row: What was run.
        runs: The counted runs, in order.
        peak_pss: Most bytes of memory, of the run before them.
        error: Why it could not be measured, or None.
        versions: Versions of the packages that it measures.
    """

    row: Row
    runs: list[Measurement] = field(default_factory=list)
    peak_pss: int | None = None
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """Median of patches per second; None without a run."""
        return statistics.median(r.rate for r in self.runs) if self.runs else None

    @property
    def cpu_per_1000(self) -> float | None:
        """Median of processor seconds for 1,000 patches, start-up included."""
        if not self.runs:
            return None
        return statistics.median(1000 * r.cpu_seconds / r.patches for r in self.runs)

    @property
    def patch_nbytes(self) -> float | None:
        """Bytes on disk of a patch, where the row writes."""
        run = self.runs[-1] if self.runs else None
        return run.nbytes / run.patches if run and run.nbytes is not None else None


def encode_sizes(
    found: Mapping[int, Sequence[RowResult]],
) -> dict[str, dict[str, dict[str, Any]]]:
    """Returns what was measured at several sizes, as JSON: size → row → figures."""
    return {
        str(size): {
            result.row.name: {
                "seconds": [run.seconds for run in result.runs],
                "rates": [run.rate for run in result.runs],
                "cpu_per_1000": result.cpu_per_1000,
                "peak_pss": result.peak_pss,
                "patch_nbytes": result.patch_nbytes,
                "error": result.error,
            }
            for result in results
        }
        for size, results in found.items()
    }


def find_ratio(
    result: RowResult, other: RowResult | None, *, inverse: bool = False
) -> float | None:
    """Returns the median, over the rounds, of the ratio of two rates.

    Args:
        result: The numerator, unless inverse.
        other: The denominator.
        inverse: Whether to turn it over.
    """
    if other is None:
        return None
    pairs = zip(result.runs, other.runs, strict=False)
    ratios = [one.rate / two.rate for one, two in pairs]
    if not ratios:
        return None
    return statistics.median(1 / r if inverse else r for r in ratios)


def make_json(
    results: Sequence[RowResult],
    machine: Mapping[str, object],
    options: Mapping[str, object],
) -> dict[str, Any]:
    """Returns what `results.json` holds: every run of every row, and the machine."""
    return {
        "machine": dict(machine),
        "options": dict(options),
        "rows": [
            {
                **asdict(result.row),
                "runs": [asdict(run) for run in result.runs],
                "peak_pss": result.peak_pss,
                "error": result.error,
                "versions": result.versions,
            }
            for result in results
        ],
    }


def make_table(results: Sequence[RowResult]) -> str:
    """Returns the results in Markdown, a table for each group of rows."""
    by_name = {result.row.name: result for result in results}
    lines: list[str] = []
    for group in dict.fromkeys(result.row.group for result in results):
        lines += [
            f"### {group}",
            "",
            "| program | patches/s (min – max) | CPU s / 1,000 | peak MB | kB a patch "
            "| ours is | of the limit |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [_make_line(r, by_name) for r in results if r.row.group == group]
        lines.append("")
    failed = [result for result in results if result.error]
    lines += [f"- {r.row.title}: not measured. {r.error}" for r in failed]
    return "\n".join(lines).rstrip() + "\n"


def _make_line(result: RowResult, by_name: Mapping[str, RowResult]) -> str:
    row = result.row
    if not result.runs:
        return f"| {row.title} | not measured | | | | | |"
    rates = [run.rate for run in result.runs]
    ours = find_ratio(result, by_name.get(row.ours or ""), inverse=True)
    limit = find_ratio(result, by_name.get(row.limit or ""))
    peak, nbytes = result.peak_pss, result.patch_nbytes
    cells = [
        row.title,
        f"{result.rate:,.0f} ({min(rates):,.0f} – {max(rates):,.0f})",
        f"{result.cpu_per_1000:.2f}",
        f"{peak / 1e6:,.0f}" if peak else "",
        f"{nbytes / 1e3:.1f}" if nbytes else "",
        f"{ours:,.1f} ×" if ours and row.ours != row.name else "",
        f"{limit:.2f}" if limit else "",
    ]
    return f"| {' | '.join(cells)} |"


def draw(results: Sequence[RowResult], path: Path, value: str, label: str) -> None:
    """Draws one figure of every row as bars, a panel for each group.

    Args:
        results: The rows.
        path: Picture to write.
        value: Property of RowResult to draw.
        label: Text of the axis, with the unit.
    """
    from matplotlib.figure import Figure

    shown = [r for r in results if getattr(r, value) is not None]
    groups = list(dict.fromkeys(r.row.group for r in shown))
    if not groups:
        return
    figures = [getattr(r, value) for r in shown]
    limits = min(figures) / 2, max(figures) * 4
    counts = [sum(r.row.group == group for r in shown) for group in groups]
    figure = Figure(figsize=(9, 0.45 * len(shown) + 0.9 * len(groups)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(groups), 1, squeeze=False, height_ratios=counts)
    for axis, group in zip(axes[:, 0], groups, strict=True):
        rows = [r for r in shown if r.row.group == group][::-1]
        values = [getattr(r, value) for r in rows]
        colors = ["tab:blue" if r.row.is_ours else "tab:gray" for r in rows]
        titles = [r.row.title.translate(_WITHOUT_MARKDOWN) for r in rows]
        bars = axis.barh(titles, values, color=colors)
        labels = [f"{v:,.0f}" if v >= 100 else f"{v:.3g}" for v in values]
        axis.bar_label(bars, labels, padding=3, fontsize=8)
        axis.set_xscale("log")
        axis.set_xlim(limits)
        axis.set_title(group, fontsize=10, loc="left")
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel(label)
    figure.savefig(path, dpi=120)
