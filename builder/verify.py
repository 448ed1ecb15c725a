"""Checks everything that a data directory holds.

For each store: every file's size and checksum; every example's place in the order, its
split, labels, facts and preview, and the checksum of its record; every count; the
statistics; the table of patches; the card. Stores of one configuration are compared
with each other, every pixel and field, and parts of the same tables row by row. With
--source, or --s2, --s1 and --maps, so are they with what they were built from; with
--complete, also that no patch of the official lists is missing.

With --release, manifests must be those that checksums/ of this clone lists.

With --quick, only files: size and checksum of all that the manifests name, missing and
stray ones, and what describes them. Run it after every copy or download.

A damaged file is one difference: what depends on it is counted as skipped, and the end
names the file and what mends it. The exit status is 1 if anything differs.

Example:
  python -m builder.verify --data_dir=data --source=BigEarthNet-S2-v1.0.tar.gz
  python -m builder.verify --data_dir=data --source=FOLDER_OF_ALL_ARCHIVES
  python -m builder.verify --data_dir=copy --quick
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from absl import flags

from bigearthnet.errors import BigEarthNetError, OptionError, ShardError
from bigearthnet.formats import FORMATS
from bigearthnet.release import RELEASES, Release
from bigearthnet.release.patch_index import load_index
from bigearthnet.schema.configs import list_configs
from bigearthnet.source.patch import Patch, decode_patch
from bigearthnet.store import MANIFEST, STATISTICS, Store
from bigearthnet.store.search import find_stores
from bigearthnet.util import command
from bigearthnet.util.paths import check_path
from builder import checks, file_checks, pair_checks, source_checks
from builder.checksums import STORES, check_released, find_table
from builder.findings import CheckResult, Damaged, Finding, summarize
from builder.records import RecordIndex
from builder.sources import define_flags, read_given_flags


def verify(
    data_dir: Path,
    *,
    sources: Mapping[str, Path] | None = None,
    complete: bool = False,
    decode: Callable[..., Patch] = decode_patch,
    releases: Sequence[Release] = RELEASES,
    quick: bool = False,
    stores: Sequence[Store] | None = None,
    released: Path | None = None,
    quiet: bool = False,
) -> list[CheckResult]:
    """Checks every store of a data directory.

    Args:
        data_dir: The data directory, or the folder of a store.
        sources: Name of each archive of the release → the file or folder that was
            built from, to compare every pixel and field with; None to skip that.
        complete: Whether every patch of the official lists must be there.
        decode: How the source's files are read; see `source.patch.decode_patch`.
        releases: The releases that stores may be of.
        quick: Checks files alone, and reads no records.
        stores: The stores to check; None for all of the directory, and its tables.
        released: Table of the releases that stores must be, as in `checksums/`; None
            for any stores.
        quiet: Shows no progress.

    Returns:
        One result for each store and check.

    Raises:
        StoreError: If there is no store.
        OptionError: If the source is not there, a package that is needed is not
            installed, or records would have to be read and may not.
    """
    if quick and (sources or complete):
        raise OptionError("a quick check reads no records: neither source nor complete")
    for name, source in (sources or {}).items():
        check_path(source, "source")
        if not source.exists():
            raise OptionError(f"source {name}: there is no {source}.")
    unread: dict[Path, BigEarthNetError] = {}
    is_all = stores is None
    chosen = [*(find_stores(data_dir, releases, unread) if is_all else stores or ())]
    _check_installed(chosen, quick)
    if not quiet:
        stores_named = ", ".join(f"{s.config.name} {s.format.name}" for s in chosen)
        against = [f"with {path}" for path in (sources or {}).values()]
        what = ["files" if quick else "files and records", *against]
        print(
            f"verifies {stores_named} in {data_dir}: {', '.join(what)}", file=sys.stderr
        )
    results: list[CheckResult] = []
    if is_all:
        for folder in _find_lost(data_dir, releases):
            unread[folder] = ShardError(f"{folder / MANIFEST} is missing")
        results += _describe_unread(data_dir, unread)
    damaged: dict[Path, set[str]] = {store.folder: set() for store in chosen}
    for store in chosen:
        names = damaged[store.folder]
        todo: _Checks = [
            ("files", file_checks.check_files(store, names, quiet=quiet)),
            ("descriptions", file_checks.check_descriptions(store, names)),
        ]
        if released is not None:
            todo.append(("release", check_released(store, released)))
        results += _run(store, todo)
    if not quick:
        # Stores are compared with the one that has lost least.
        chosen.sort(key=lambda store: len(damaged[store.folder]))
        results += _check_records(chosen, damaged, sources, complete, decode, quiet)
    results += pair_checks.check_pairs(chosen)
    if is_all:
        results += pair_checks.check_cards(chosen, damaged)
        results.append(result := CheckResult("all", "all", "patch tables"))
        result.run(file_checks.check_shared_tables(data_dir, chosen, [*unread]))
    return results


# Name of each check → what it finds.
_Checks: TypeAlias = list[tuple[str, Iterable[Finding]]]


def _run(store: Store, todo: _Checks) -> Iterator[CheckResult]:
    for name, findings in todo:
        result = CheckResult(store.config.name, store.format.name, name, store.folder)
        result.run(findings)
        yield result


def _check_records(
    stores: Sequence[Store],
    damaged: Mapping[Path, set[str]],
    sources: Mapping[str, Path] | None,
    complete: bool,
    decode: Callable[..., Patch],
    quiet: bool,
) -> Iterator[CheckResult]:
    """Checks what the stores hold; arguments as of `verify`."""
    first: dict[str, RecordIndex] = {}
    for store in stores:
        config = store.config
        patches = load_index(config.release, config.choice.scheme)
        records = RecordIndex(store, patches, damaged[store.folder], quiet=quiet)
        todo: _Checks = [
            ("records", records.check()),
            ("splits", checks.check_counts(records)),
            ("statistics", checks.check_statistics(records)),
            ("patch table", checks.check_patch_table(records)),
            ("quarantine", checks.check_quarantine(records)),
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
            names = ", ".join(
                sources[name].name for name in config.choice.archives if name in sources
            )
            todo.append((f"source {names}", found))
        yield from _run(store, todo)


def _find_lost(data_dir: Path, releases: Sequence[Release]) -> Iterator[Path]:
    """Yields folders of stores that have shards, and no manifest."""
    for config in list_configs(releases).values():
        for form in FORMATS.values():
            folder = form.store_folder(data_dir.absolute(), config)
            shards = form.shard_file(config, "*", 0, 0).replace("00000", "*")
            if not (folder / MANIFEST).exists() and any(folder.glob(shards)):
                yield folder


def _describe_unread(
    data_dir: Path, unread: Mapping[Path, BigEarthNetError]
) -> Iterator[CheckResult]:
    """Yields a difference for each store that cannot be read."""
    for folder, error in unread.items():
        title = os.path.relpath(folder, data_dir)
        result = CheckResult(title, "-", "store", folder)
        finding: Finding = str(error)  # of another version, say: no file is damaged
        for name in (MANIFEST, STATISTICS) if isinstance(error, ShardError) else ():
            if str(folder / name) in str(error):
                finding = Damaged(folder / name, str(error))
        result.run([finding])
        yield result


def _check_installed(stores: Sequence[Store], quick: bool) -> None:
    """Refuses to begin what would end in the middle."""
    names = {"yaml" for store in stores if store.format.name == "parquet"}
    command.check_packages("hf", *sorted(names if quick else {"PIL", *names}))


def _define_flags() -> None:
    command.define_path(
        "data_dir", None, "Data directory, or store, to check.", required=True
    )
    flags.DEFINE_bool(
        "quick", False, "Only files: sizes and checksums; read no records."
    )
    flags.DEFINE_bool(
        "release", False, "Stores must be releases that checksums/ of this clone lists."
    )
    define_flags()
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
    stores = find_stores(values.data_dir, RELEASES, {})
    results = verify(
        values.data_dir,
        sources=read_given_flags(store.config for store in stores),
        complete=values.complete,
        decode=source_checks.decode_with_rasterio if values.rasterio else decode_patch,
        quick=values.quick,
        released=find_table(STORES) if values.release else None,
    )
    print(summarize(results))
    differs = any(result.num_differences or result.skipped for result in results)
    if not differs:
        name = next(result.store for result in results if result.folder is not None)
        option = f', config="{name}"' if name != RELEASES[0].choices[0].name else ""
        print(f'next: bigearthnet.load("train", "{values.data_dir}"{option}) loads it')
    return int(differs)


if __name__ == "__main__":
    command.run(_main, _define_flags)
