"""What the checks of `builder.verify` find, and how people are told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from bigearthnet.errors import BigEarthNetError
from bigearthnet.formats import FORMATS
from builder.table import format_table

# Differences of each check that are shown; all are counted.
_MOST_SHOWN = 10

# Files that are named as the reason of what was skipped; the end names all.
_MOST_REASONS = 3


@dataclass(frozen=True)
class Damaged:
    """A difference: a file that is missing, or not what was written.

    Attributes:
        path: The file.
        problem: What is wrong, as a line that names it.
    """

    path: Path
    problem: str


@dataclass(frozen=True)
class Skipped:
    """What cannot be said, because a file that says it is damaged.

    Attributes:
        files: Names of the files; one of them at least says it.
        count: How many things are not checked.
    """

    files: tuple[str, ...]
    count: int = 1


# Of each thing checked: a difference, nothing known, or no difference.
Finding: TypeAlias = str | Damaged | Skipped | None


@dataclass
class CheckResult:
    """What one check found.

    Attributes:
        store: Name of the configuration.
        format: Name of the store's format, or of the formats compared.
        check: What was checked.
        folder: Folder of the store; None if it is not about one.
        checked: How many were checked.
        skipped: How many were not, since they depend on a damaged file.
        num_differences: Differences found.
        shown: The first of them, one line each.
        damaged: Files of the store that are missing, or not what was written.
        reasons: Names of the files because of which something was skipped.
    """

    store: str
    format: str
    check: str
    folder: Path | None = None
    checked: int = 0
    skipped: int = 0
    num_differences: int = 0
    shown: list[str] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)
    reasons: dict[str, None] = field(default_factory=dict)

    def run(self, findings: Iterable[Finding]) -> None:
        """Takes one finding for each thing checked.

        An error of this package, or of the operating system, ends the check and counts
        as a difference.
        """
        try:
            for finding in findings:
                self._take(finding)
        except (BigEarthNetError, OSError) as error:
            self._add(str(error))

    def _take(self, finding: Finding) -> None:
        if isinstance(finding, Skipped):
            self.skipped += finding.count
            self.reasons.update(dict.fromkeys(finding.files))
            return
        self.checked += 1
        if isinstance(finding, Damaged):
            self.damaged.append(finding.path)
            self._add(finding.problem)
        elif finding is not None:
            self._add(finding)

    def _add(self, difference: str) -> None:
        self.num_differences += 1
        if len(self.shown) < _MOST_SHOWN:
            self.shown.append(difference)


def summarize(results: Sequence[CheckResult]) -> str:
    """Returns the results as a table; below it differences, damaged files, remedies."""
    header = ("config", "format", "check", "checked", "skipped", "differences")
    rows = [
        (r.store, r.format, r.check, r.checked, r.skipped, r.num_differences)
        for r in results
    ]
    lines = [format_table(header, rows)]
    for result in results:
        where = f"{result.store} {result.format}, {result.check}"
        lines += [f"{where}: {line}" for line in result.shown]
        hidden = result.num_differences - len(result.shown)
        if hidden:
            lines.append(f"{where}: and {hidden:,} more")
        if result.skipped:
            lines.append(f"{where}: {_describe_skipped(result)}")
    lines += _describe_damage(results)
    differences = sum(result.num_differences for result in results)
    skipped = sum(result.skipped for result in results)
    if not differences and not skipped:
        return "\n".join([*lines, "everything agrees"])
    plural = "" if differences == 1 else "s"
    more = f", {skipped:,} not checked because of damaged files" if skipped else ""
    return "\n".join([*lines, f"{differences:,} difference{plural}{more}"])


def _describe_skipped(result: CheckResult) -> str:
    names = ", ".join([*result.reasons][:_MOST_REASONS])
    others = len(result.reasons) - _MOST_REASONS
    more = f" and {others:,} others" if others > 0 else ""
    return f"{result.skipped:,} skipped, which depend on {names}{more}"


def _describe_damage(results: Sequence[CheckResult]) -> list[str]:
    """Names the damaged files of each store, and what mends them."""
    lines = []
    stores = {result.folder: result for result in results if result.folder}
    for folder, store in stores.items():
        paths = [path for r in results if r.folder == folder for path in r.damaged]
        names = [str(path.relative_to(folder)) for path in dict.fromkeys(paths)]
        if names:
            lines += [f"damaged or missing in {folder}:", *(f"  {n}" for n in names)]
            lines += [
                "  To mend it, copy or download these files again; or delete the folder"
                " and build it again,",
                f"  with the options that its provenance.json names: {_command(store)}",
            ]
    return lines


def _command(store: CheckResult) -> str:
    """Returns the command that builds a store again."""
    command = "python -m builder.build --source=..."
    if store.folder is None or store.format not in FORMATS:  # nothing says what it was
        return command
    data_dir = store.folder.parents[FORMATS[store.format].folder.count("/")]
    return (
        f"{command} --data_dir={data_dir} --config={store.store} "
        f"--formats={store.format}"
    )
