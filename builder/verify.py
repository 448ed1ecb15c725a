"""Checks everything that a data directory holds.

For each store: every file's size and checksum; every example's place in the order, its
split, labels, facts and preview, and the checksum of its record; every count; the
statistics; the table of patches; the card. Stores of one configuration are compared
with each other, every pixel and field. With --source, so are they with the source; with
--complete, also that no patch of the official lists is missing. The exit status is 1
if anything differs.

Example:
  python -m builder.verify --data_dir=data --source=BigEarthNet-S2-v1.0.tar.gz
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from absl import flags

from bigearthnet.errors import BigEarthNetError, OptionError
from bigearthnet.release import RELEASES, Release
from bigearthnet.release.patch_index import load_index
from bigearthnet.source.patch import Patch, decode_patch
from bigearthnet.store import Store, find_stores
from bigearthnet.util import command
from builder import checks, source_checks
from builder.records import RecordIndex
from builder.table import format_table

# Differences of each check that are shown; all are counted.
_MOST_SHOWN = 10


@dataclass
class CheckResult:
    """What one check found.

    Attributes:
        store: Name of the configuration.
        format: Name of the store's format, or of the formats compared.
        check: What was checked.
        checked: How many of them.
        num_differences: Differences found.
        shown: The first of them, one line each.
    """

    store: str
    format: str
    check: str
    checked: int = 0
    num_differences: int = 0
    shown: list[str] = field(default_factory=list)

    def run(self, findings: Iterator[str | None]) -> None:
        """Takes one item for each thing checked: None, or the difference.

        An error of this package ends the check and counts as a difference.
        """
        try:
            for finding in findings:
                self.checked += 1
                if finding is not None:
                    self.add(finding)
        except BigEarthNetError as error:
            self.add(str(error))

    def add(self, difference: str) -> None:
        """Counts a difference and keeps the first ones."""
        self.num_differences += 1
        if len(self.shown) < _MOST_SHOWN:
            self.shown.append(difference)


def verify(
    data_dir: Path,
    *,
    sources: Mapping[str, Path] | None = None,
    complete: bool = False,
    decode: Callable[..., Patch] = decode_patch,
    releases: Sequence[Release] = RELEASES,
    stores: Sequence[Store] | None = None,
    quiet: bool = False,
) -> list[CheckResult]:
    """Checks every store of a data directory.

    Args:
        data_dir: The directory.
        sources: Name of each archive of the release → the file or folder that was
            built from, to compare every pixel and field with; None to skip that.
        complete: Whether every patch of the official lists must be there.
        decode: How the source's files are read; see `source.patch.decode_patch`.
        releases: The releases that stores may be of.
        stores: The stores to check; None for all of the directory, and its tables.
        quiet: Shows no progress.

    Returns:
        One result for each store and check.

    Raises:
        StoreError: If there is no store.
        ShardError: If a JSON file of a store cannot be read.
        OptionError: If the source is not there, or a package that is needed is not
            installed.
    """
    results = []
    chosen = find_stores(data_dir, releases) if stores is None else stores
    _check_installed(chosen)
    for name, source in (sources or {}).items():
        if not source.exists():
            raise OptionError(f"source {name}: there is no {source}.")
    first: dict[str, RecordIndex] = {}
    for store in chosen:
        config = store.config
        patches = load_index(config.release, config.choice.scheme)
        records, damaged = RecordIndex(store, patches, quiet=quiet), set[str]()
        todo: list[tuple[str, Iterator[str | None]]] = [
            ("files", checks.check_files(store, damaged)),
            ("records", records.check(damaged)),
            ("splits", checks.check_counts(store, records)),
            ("statistics", checks.check_statistics(store, records)),
            ("patch table", checks.check_patch_table(store, records)),
            ("quarantine", checks.check_quarantine(store, records)),
        ]
        # Every other store of the configuration is compared with the first one, and
        # only that one with the lists and the source.
        reference = first.setdefault(config.name, records)
        if reference is not records:
            name = f"same as {reference.store.format.name}"
            todo.append((name, checks.check_agreement(reference, records)))
        elif complete:
            todo.append(("official lists", checks.check_complete(records)))
        if reference is records and sources is not None:
            found = source_checks.check_sources(sources, records, decode, quiet=quiet)
            names = ", ".join(path.name for path in sources.values())
            todo.append((f"source {names}", found))
        for name, findings in todo:
            results.append(result := CheckResult(config.name, store.format.name, name))
            result.run(findings)
    if stores is None:
        results.append(result := CheckResult("all", "all", "patch tables"))
        result.run(checks.check_shared_tables(data_dir, list(chosen)))
    return results


def _check_installed(stores: Sequence[Store]) -> None:
    """Refuses to begin what would end in the middle."""
    names = {"PIL", *("yaml" for s in stores if s.format.name == "parquet")}
    command.check_packages("hf", *sorted(names))


def summarize(results: list[CheckResult]) -> str:
    """Returns the results as a table, and the differences below it."""
    header = ("config", "format", "check", "checked", "differences")
    rows = [(r.store, r.format, r.check, r.checked, r.num_differences) for r in results]
    lines = [format_table(header, rows)]
    for result in results:
        where = f"{result.store} {result.format}, {result.check}"
        lines += [f"{where}: {line}" for line in result.shown]
        hidden = result.num_differences - len(result.shown)
        if hidden:
            lines.append(f"{where}: and {hidden:,} more")
    return "\n".join(lines)


def _define_flags() -> None:
    flags.DEFINE_string("data_dir", None, "Directory to check.", required=True)
    flags.DEFINE_string("source", None, "Archive or folder that it was built from.")
    flags.DEFINE_bool(
        "complete", False, "No patch of the official lists may be missing."
    )
    flags.DEFINE_bool(
        "rasterio",
        False,
        "Decode the source with rasterio instead of our own reader (20 times slower).",
    )


def _main() -> int:
    values = flags.FLAGS
    results = verify(
        command.path_flag("data_dir"),
        sources={"s2": command.path_flag("source")} if values.source else None,
        complete=values.complete,
        decode=source_checks.decode_with_rasterio if values.rasterio else decode_patch,
    )
    print(summarize(results))
    differences = sum(result.num_differences for result in results)
    plural = "" if differences == 1 else "s"
    print(f"{differences:,} difference{plural}" if differences else "everything agrees")
    return 1 if differences else 0


if __name__ == "__main__":
    command.run(_main, _define_flags)
